package ticket

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/pipeline"
)

func TestTemplates(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       string // of the sample ticket
		fails      string // part of the error at load
	}{
		{"plain", "as it is", "as it is", ""},
		{"fields", "{{ .Case.Priority }} {{ .Case.Title }} in {{ .Case.Account }}", "P2 Bucket is public in 111122223333", ""},
		{"a group that it has not", `{{ index .Case.Group "tag.owner" }}.`, ".", ""},
		{"findings", `{{ range .Findings }}{{ .Title }} {{ end }}`, "", ""},
		{"functions", `{{ upper .Case.Team }} {{ md "*a*" }} {{ printf "%03d" .Case.Count }}`, `PAYMENTS \*a\* 003`, ""},
		{"a misspelt field", "{{ .Case.Titel }}", "", "1:8: executing"},
		{"a misspelt field in a branch", "{{ if .Reason }}\n{{ .Cases }}{{ end }}", "", "2:3: executing"},
		{"a misspelt field in a loop", "{{ range .Findings }}{{ .Name }}{{ end }}", "", "can't evaluate field Name"},
		{"a misspelt function", "{{ wiki .Case.Title }}", "", `function "wiki" not defined`},
		{"not closed", "a\nb {{ .Case.Title", "", "2: unclosed action"},
		{"loops without end", "{{ range .Findings }}{{ range .Products }}{{ range $.Findings }}{{ range $.Findings }}x{{ end }}{{ end }}{{ end }}{{ end }}", "", "more than 3 deep"},
		{"a template that calls itself", `{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}`, "", "write it in one piece"},
		{"a loop over a number", "{{ range 1000000000 }}{{ end }}", "", "not over a number"},
		{"much of little", `{{ printf "%500000d" 1 }}`, "", "writes more than 262144 bytes"},
		{"doubled", `{{ $x := printf "%200000d" 1 }}{{ $x = print $x $x }}{{ $x = print $x $x }}`, "", "writes more than 262144 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, err := Compile("", c.text, Functions())
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("Compile() = %v; want an error with %q", err, c.fails)
				}
				return
			}
			if err != nil {
				t.Fatalf("Compile() = %v; want no error", err)
			}
			in := pipeline.Ticket{Case: "DK-1", Team: "payments", Title: "Bucket is public", Priority: pipeline.P2, Account: pipeline.Account{ID: "111122223333"}, Count: 3}
			if got, err := x.Execute(NewData(in)); err != nil || got != c.want {
				t.Errorf("Execute() = %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestTemplateErrorsNameTheFile(t *testing.T) {
	if _, err := Compile("team.tmpl", "a\n{{ .Nope }}", nil); err == nil || !strings.Contains(err.Error(), "team.tmpl:2:3:") {
		t.Errorf("Compile() = %v; want an error at team.tmpl:2:3", err)
	}
}

// TestTemplateGolden holds a description by a user's template against a file.
func TestTemplateGolden(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "custom.tmpl"))
	if err != nil {
		t.Fatal(err)
	}
	x, err := Compile("custom.tmpl", string(text), Functions())
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]pipeline.Ticket{"custom": plain(), "custom_hostile": hostile()} {
		d := NewData(in)
		d.Text = "(docket's own text)\n"
		got, err := x.Execute(d)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", name+".md")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", file, diff)
		}
	}
}

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "text.tmpl")
	for _, tc := range []struct {
		name string
		size int
		ok   bool
	}{{"empty", 0, true}, {"as long as can be", mostTemplate, true}, {"one byte more", mostTemplate + 1, false}} {
		t.Run(tc.name, func(t *testing.T) {
			if err := os.WriteFile(path, make([]byte, tc.size), 0o600); err != nil {
				t.Fatal(err)
			}
			if b, err := ReadFile(path); (err == nil) != tc.ok || tc.ok && len(b) != tc.size {
				t.Errorf("ReadFile(%d bytes) = %d bytes, %v; want it read: %v", tc.size, len(b), err, tc.ok)
			}
		})
	}
}
