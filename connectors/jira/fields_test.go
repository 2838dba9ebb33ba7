package jira

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/connectortest"
	"github.com/docket-hub/docket/connectors/jira/jiratest"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ticket"
)

// manyFields is a project with one custom field of each type.
func manyFields() jiratest.Project {
	options := []jiratest.Option{{Value: "Payments"}, {Value: "Shop", Children: []jiratest.Option{{Value: "Web"}, {Value: "App"}}}}
	p := jiratest.Project{Key: "SEC"}
	for i, kind := range []string{jiratest.Text, jiratest.TextArea, jiratest.Number, jiratest.Select, jiratest.MultiSelect, jiratest.Cascading,
		jiratest.UserPicker, jiratest.Date, jiratest.DateTime, jiratest.LabelsField, jiratest.URLField} {
		p.Fields = append(p.Fields, jiratest.Field{ID: fmt.Sprintf("customfield_%d", i+1), Name: kind, Type: kind, Options: options})
	}
	return p
}

func TestTypedFields(t *testing.T) {
	for _, dataCenter := range []bool{false, true} {
		w := newWorld(t, jiratest.Options{DataCenter: dataCenter, Projects: []jiratest.Project{manyFields()}}, func(_ *jiratest.Server, c *Config) {
			c.Fields = map[string]any{
				"customfield_1": "{{ .Case.Account }} {{ .Case.Title }}", "customfield_2": "{{ .Case.Description }} [~x]", "customfield_3": int64(3),
				"customfield_4": "payments", "customfield_5": []any{"Shop", "Payments"}, "customfield_6": "shop > app",
				"customfield_7": "ada@example.com", "customfield_8": "{{ .Case.Due }}", "customfield_9": "{{ .Ticket.Since.Format \"2006-01-02T15:04:05Z07:00\" }}",
				"customfield_10": "one two, three", "customfield_11": "{{ .Case.URL }}",
			}
		})
		in := sample()
		out := w.apply(in)
		user := map[bool]string{false: "557058:ada", true: "ada"}[dataCenter]
		for field, want := range map[string]string{
			"customfield_1": "111122223333 Bucket number 0 is public", "customfield_2": `Everybody can read it. \[\~x\]`, "customfield_3": "3",
			"customfield_4": "Payments", "customfield_5": "Payments, Shop", "customfield_6": "Shop > App", "customfield_7": user,
			"customfield_8": "2026-01-09", "customfield_9": "2026-01-02T12:00:00.000+0000", "customfield_10": "one-two, three", "customfield_11": in.CaseURL,
		} {
			if got := out.Held[field]; got != want {
				t.Errorf("Held[%s] (data center: %v) = %q; want %q", field, dataCenter, got, want)
			}
		}
		before := w.writes()
		in.Ref, in.Last = out.Ref, out.Held
		w.apply(in)
		if n := w.writes() - before; n != 0 {
			t.Errorf("the same fields again made %d writes; want none", n)
		}
		w.do(w.srv.Edit(out.Ref.Key, "customfield_1", "a person's"))
		in = then(in, out, func(in *pipeline.Ticket) { in.Account.ID = "999988887777"; in.Due = in.Due.Add(24 * time.Hour) })
		out = w.apply(in)
		i := w.issue(out.Ref.Key)
		if i.Fields["customfield_1"] != "a person's" || out.Held["customfield_8"] != "2026-01-10" {
			t.Errorf("fields = %v; want the person's to stay and the date to follow", i.Fields)
		}
	}
}

// TestRefusals: what is wrong with the settings is permanent, names its key and makes nothing.
func TestRefusals(t *testing.T) {
	required := jiratest.Project{Key: "SEC", Fields: []jiratest.Field{{ID: "customfield_4", Name: "Team", Type: jiratest.Select, Required: true, Options: []jiratest.Option{{Value: "Payments"}, {Value: "Shop"}}}}}
	set := func(field string, v any) func(*Config) {
		return func(c *Config) { c.Fields = map[string]any{field: v} }
	}
	for _, c := range []struct {
		name    string
		project jiratest.Project
		change  func(*Config)
		want    []string
	}{
		{"no such project", jiratest.Project{Key: "SEC"}, func(c *Config) { c.Project = "NONE" }, []string{"project: NONE"}},
		{"no project at all", jiratest.Project{Key: "SEC"}, func(c *Config) { c.Project = "" }, []string{"project: neither"}},
		{"no such type", jiratest.Project{Key: "SEC"}, func(c *Config) { c.IssueType = "Incident" }, []string{"issue_type: ", `"Incident"`, "Task, Bug"}},
		{"labels are not on the screen", jiratest.Project{Key: "SEC", OffScreen: []string{"labels"}}, func(*Config) {}, []string{"labels: ", "key_field"}},
		{"key_field is not on the screen", jiratest.Project{Key: "SEC"}, func(c *Config) { c.KeyField = "customfield_9" }, []string{"key_field: "}},
		{"a required field", required, func(*Config) {}, []string{"fields.customfield_4: ", `"Team"`, "Payments, Shop"}},
		{"a value that is none", required, set("customfield_4", "Sales"), []string{"fields.customfield_4 (Team): ", `"Sales"`, "Payments, Shop"}},
		{"a field that is not there", jiratest.Project{Key: "SEC"}, set("customfield_77", "x"), []string{"fields.customfield_77: it is not on the create screen"}},
		{"no number", manyFields(), set("customfield_3", "three"), []string{"fields.customfield_3", "no number"}},
		{"no date", manyFields(), set("customfield_8", "soon"), []string{"fields.customfield_8", "no date"}},
		{"nobody", manyFields(), set("customfield_7", "nobody@example.com"), []string{"fields.customfield_7", "nobody called"}},
		{"no such child", manyFields(), set("customfield_6", "Shop > Till"), []string{"fields.customfield_6", "Web, App"}},
		{"a priority that the project has not", jiratest.Project{Key: "SEC", Priorities: []string{"Major", "Minor"}}, func(c *Config) { c.Priorities = map[pipeline.Priority]string{pipeline.P2: "High"} }, []string{"priorities.P2: ", `"High"`, "Major, Minor"}},
		{"what only the server knows", manyFields(), set("customfield_11", "no address"), []string{"fields.customfield_11: "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, jiratest.Options{Projects: []jiratest.Project{c.project}}, func(_ *jiratest.Server, conf *Config) { c.change(conf) })
			_, err := w.sink.Apply(t.Context(), sample())
			if !pipeline.IsPermanent(err) || len(w.srv.Creates()) != 0 {
				t.Fatalf("Apply() = %v, %d creates; want a permanent error and none", err, len(w.srv.Creates()))
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("Apply() = %v; want it to say %q", err, part)
				}
			}
		})
	}
}

// TestUsualPrioritiesAreOptional: without the key, names that the project lacks are left to its default.
func TestUsualPrioritiesAreOptional(t *testing.T) {
	w := newWorld(t, jiratest.Options{Projects: []jiratest.Project{{Key: "SEC", Priorities: []string{"Major", "Minor"}}}})
	out := w.apply(sample())
	if _, ok := out.Held[wordPriority]; ok || w.issue(out.Ref.Key).Priority == "High" {
		t.Errorf("Held = %v; want no priority", out.Held)
	}
}

func TestRefusedAssigneeIsLeftOut(t *testing.T) {
	w := newWorld(t, jiratest.Options{})
	in := sample()
	in.Assignees = []string{"ada@example.com"}
	w.do(w.srv.ForbidProject("SEC", jiratest.AssignIssues))
	out := w.apply(in)
	if got := w.issue(out.Ref.Key); got.Assignee != "" || len(w.srv.Creates()) != 1 {
		t.Errorf("issue = %+v; want it made once, without an assignee", got)
	}
}

func TestAssignees(t *testing.T) {
	users := []jiratest.User{
		{ID: "557058:ada", Name: "ada", Email: "ada@example.com", Display: "Ada Byron"},
		{ID: "557058:adam", Name: "adam", Email: "adam@example.com", Display: "Adam First"},
		{ID: "557058:old", Name: "old", Email: "old@example.com", Display: "Old Hand", Inactive: true},
		{ID: "557058:plus", Name: "plus", Email: "a+b@example.com", Display: "Plus Sign"},
	}
	for _, c := range []struct{ who, cloud, datacenter string }{
		{"ada@example.com", "557058:ada", "ada"}, {"557058:ada", "557058:ada", ""}, {"ada", "", "ada"}, {"Ada Byron", "557058:ada", "ada"},
		{"old@example.com", "", ""}, {"ad", "", ""}, {"a+b@example.com", "557058:plus", "plus"}, {"payments", "", ""}, {"", "", ""},
	} {
		for _, dataCenter := range []bool{false, true} {
			want := c.cloud
			if dataCenter {
				want = c.datacenter
			}
			w := newWorld(t, jiratest.Options{DataCenter: dataCenter, Users: users})
			u, err := w.sink.people.assignable(t.Context(), "SEC", c.who)
			if got := u["accountId"] + u["name"]; err != nil || got != want {
				t.Errorf("assignable(%q) (data center: %v) = %q, %v; want %q", c.who, dataCenter, got, err, want)
			}
			n := w.requests("GET user")
			if _, err := w.sink.people.assignable(t.Context(), "SEC", c.who); err != nil || w.requests("GET user") != n {
				t.Errorf("assignable(%q) asked again; want it remembered", c.who)
			}
		}
	}
}

// TestMarkerLost: where a new issue loses its key, one is made and no more.
func TestMarkerLost(t *testing.T) {
	w := newWorld(t, jiratest.Options{})
	var on atomic.Bool
	on.Store(true)
	// An automation takes the label off before the answer to the create is out.
	robot := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && on.Load() && strings.Contains(string(body), "jira:issue_created") {
			err = w.srv.Edit("SEC-1", "labels", []string{})
		}
		if err != nil {
			t.Errorf("the automation: %v", err)
		}
	}))
	defer robot.Close()
	w.srv.SetWebhook(jiratest.Webhook{URL: robot.URL, When: jiratest.BeforeAnswer})
	out, err := w.sink.Apply(t.Context(), sample())
	if !pipeline.IsPermanent(err) || !strings.Contains(err.Error(), "as a label") || out.Ref.Key != "SEC-1" {
		t.Fatalf("Apply() = %+v, %v; want a permanent error that names the label, and the ref", out, err)
	}
	on.Store(false)
	before := w.requests("POST issue")
	for n := range 3 {
		if _, err := w.sink.Apply(t.Context(), connectortest.Ticket(n+5)); !pipeline.IsPermanent(err) {
			t.Errorf("Apply(another ticket) = %v; want it refused", err)
		}
	}
	if n := w.requests("POST issue") - before; n != 0 {
		t.Errorf("%d more creates; want none", n)
	}
	if err := w.sink.Check(t.Context()); err != nil {
		t.Fatalf("Check() = %v; want no error", err)
	}
	w.apply(connectortest.Ticket(9))
}

func TestLongTexts(t *testing.T) {
	long := sample()
	for i := range 50 {
		long.Findings = append(long.Findings, pipeline.TicketFinding{Title: strings.Repeat("wörd ", 30) + fmt.Sprint(i), Status: "open", Resource: strings.Repeat("😀", 100)})
	}
	long.Title = strings.Repeat("😀", 400)
	for _, c := range []struct {
		name   string
		forbid []string
	}{
		{"as a file", nil}, {"as a comment", []string{jiratest.CreateAttachments}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, jiratest.Options{}, func(_ *jiratest.Server, c *Config) { c.DescriptionLimit = 5000 })
			if c.forbid != nil {
				w.do(w.srv.ForbidProject("SEC", c.forbid...))
			}
			in := long
			out := w.apply(in)
			in.Ref, in.Last = out.Ref, out.Held
			w.apply(in)
			i := w.issue(out.Ref.Key)
			if !strings.Contains(i.Description, "Cut here") || len(i.Attachments)+len(i.Comments) != 1 {
				t.Fatalf("description of %d bytes, %d files, %d comments; want it cut and the rest kept once", len(i.Description), len(i.Attachments), len(i.Comments))
			}
			if c.forbid == nil && !strings.Contains(string(i.Attachments[0].Data), "wörd 49") && !strings.Contains(string(i.Attachments[0].Data), "And ") {
				t.Errorf("the file ends early: %d bytes", len(i.Attachments[0].Data))
			}
		})
	}
}

func TestTemplates(t *testing.T) {
	file := filepath.Join(t.TempDir(), "text.tmpl")
	if err := os.WriteFile(file, []byte("h1. {{ wiki .Case.Title }}\n{{ .Text }}"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, jiratest.Options{}, func(_ *jiratest.Server, c *Config) {
		c.Templates.Title = "[{{ .Case.Priority }}] {{ .Case.Title }}\n({{ upper .Case.Team }})"
		c.Templates.DescriptionFile = file
	})
	in := sample()
	in.Title = "A {macro}"
	i := w.issue(w.apply(in).Ref.Key)
	if i.Summary != "[P2] A {macro} (PAYMENTS)" || !strings.HasPrefix(i.Description, `h1. A \{macro\}`+"\n"+`h1. A \{macro\}`) {
		t.Errorf("summary %q, description %.60q; want the templates filled in", i.Summary, i.Description)
	}
	// What a team or a route says counts before the sink's own, key by key.
	over := sample()
	over.Key, over.Settings = "docket-0000000000000000ee00", map[string]any{"templates": map[string]any{"title": "{{ .Case.Team }}: {{ .Case.Title }}"}}
	i = w.issue(w.apply(over).Ref.Key)
	if i.Summary != over.Team+": "+over.Title || !strings.HasPrefix(i.Description, "h1. ") {
		t.Errorf("summary %q, description %.60q; want the settings' title and the sink's text", i.Summary, i.Description)
	}
	for text, want := range map[string]string{"{{ .Case.Acount }}": "Acount", "{{": "unclosed action", "{{ nosuch }}": "nosuch"} {
		for name, err := range map[string]error{
			"try":           new(templates).try(ticket.Texts{Title: text}, nil),
			"CheckSettings": w.sink.CheckSettings(map[string]any{"templates": map[string]any{"title": text}}),
		} {
			if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "templates.title: ") {
				t.Errorf("%s(%q) = %v; want it to name the key and %q", name, text, err, want)
			}
		}
	}
	for want, texts := range map[string]any{
		"templates: wants title and description_file":             "x",
		"templates.title: wants a text":                           map[string]any{"title": 1},
		"templates.body: there are title and description_file":    map[string]any{"body": "x"},
		"templates.description_file: open " + file + "x: no such": map[string]any{"description_file": file + "x"},
	} {
		if err := w.sink.CheckSettings(map[string]any{"templates": texts}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("CheckSettings(templates: %v) = %v; want %s", texts, err, want)
		}
	}
}

// TestLongTextAfterALostAnswer: what did not fit is kept, though the call that wrote the description ended before.
func TestLongTextAfterALostAnswer(t *testing.T) {
	long := sample()
	long.Description = strings.Repeat("words ", 2000)
	for _, c := range []struct {
		name, route string
		fault       jiratest.Fault
	}{
		{"create lost", "POST issue", jiratest.Fault{Kind: jiratest.DropAfter}},
		{"file refused for now", "POST issue/{key}/attachments", jiratest.Fault{Kind: jiratest.AnswerBefore, Status: 503}},
		{"file lost", "POST issue/{key}/attachments", jiratest.Fault{Kind: jiratest.DropAfter}},
	} {
		w := newWorld(t, jiratest.Options{}, func(_ *jiratest.Server, c *Config) { c.DescriptionLimit = 5000 })
		w.srv.Inject(jiratest.Rule{Route: c.route, Times: 1, Fault: c.fault})
		in := long
		out, err := w.sink.Apply(t.Context(), in)
		if !pipeline.IsUnsure(err) {
			t.Fatalf("%s: Apply() = %v; want it unsure", c.name, err)
		}
		in.Ref = out.Ref
		out = w.apply(in)
		again := then(in, out, func(in *pipeline.Ticket) { in.Priority = pipeline.P1 })
		again.Settings = map[string]any{"priorities": map[string]any{"P1": "High"}}
		w.apply(again)
		if files := w.issue(out.Ref.Key).Attachments; len(files) != 2 || len(files[0].Data) < 5000 || files[0].Name == files[1].Name {
			t.Errorf("%s: %d files; want the whole text, once a revision", c.name, len(files))
		}
	}
}

// TestLongTextFitsNowhere: an issue that takes neither files nor comments is kept up all the same, and not asked again.
func TestLongTextFitsNowhere(t *testing.T) {
	w := newWorld(t, jiratest.Options{}, func(_ *jiratest.Server, c *Config) { c.DescriptionLimit = 1000 })
	full := jiratest.Fault{Kind: jiratest.AnswerBefore, Status: 413}
	w.srv.Inject(jiratest.Rule{Route: "POST issue/{key}/attachments", Fault: full}, jiratest.Rule{Route: "POST issue/{key}/comment", Fault: full})
	in := sample()
	in.Description = strings.Repeat("words ", 500)
	out := w.apply(in)
	in.Ref, in.Last = out.Ref, out.Held
	w.apply(in)
	if files, said := w.requests("POST issue/{key}/attachments"), w.requests("POST issue/{key}/comment"); files != 1 || said != 1 {
		t.Errorf("%d files and %d comments tried; want one of each", files, said)
	}
}
