package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/config/secret"
	"github.com/docket-hub/docket/pipeline"
)

// blockSample is what a connector's configuration may hold.
type blockSample struct {
	Paths    []string          `yaml:"paths"`
	Auth     blockAuth         `yaml:"auth"`
	Quota    *blockQuota       `yaml:"quota"`
	Wait     time.Duration     `yaml:"wait"`
	DueDate  bool              `yaml:"due_date"`
	Statuses map[string]string `yaml:"statuses"`
}

type blockAuth struct {
	User  string       `yaml:"user"`
	Token secret.Value `yaml:"token"`
}

type blockQuota struct {
	PerSecond float64 `yaml:"per_second"`
	Burst     int     `yaml:"burst"`
}

// row is one line of a generated configuration.
type row struct {
	indent, key, value string
	path               string
	typ                reflect.Type // of the value; nil for an item's dash
	closed             bool         // the key is one of a closed list
}

func (r row) text() string { return strings.TrimRight(r.indent+r.key+": "+r.value, " ") }

func (r row) col() int { return len(r.indent) + 1 }

// generator writes a configuration in which every key of a type stands once,
// each in a line of its own.
type generator struct {
	rows []row
	skip []string // paths left out
}

// samples are the values that must fit together; for all else any of the type will do.
func samples() map[string]string {
	return map[string]string{
		"time_zone": "UTC", "server.listen": "127.0.0.1:8080", "server.external_url": "https://docket.example.com",
		"risk.feeds.kev.url": "https://feeds.example.com/kev.json", "risk.feeds.epss.url": "https://feeds.example.com/epss.csv.gz",
		"server.auth.tokens[0].role": "viewer", "aws.accounts[0].id": `"111122223333"`,
		"aws.accounts[0].role_arn": "arn:aws:iam::111122223333:role/docket-readonly", "aws.regions[0]": "eu-west-1",
		"aws.organization.exclude[0]": `"111122223333"`, "aws.organization.management_role": "arn:aws:iam::111122223333:role/docket-directory",
		"sources[0].type": "file", "sources[0].name": "reports", "sinks[0].type": "file", "sinks[0].name": "disk",
		"teams[0].name": "sec", "route.team": "sec", "route.routes[0].team": "sec",
		"route.sinks[0]": "disk", "route.routes[0].sinks[0]": "disk",
		"route.group_by[0]": "account", "route.routes[0].group_by[0]": "tag.owner",
		"route.assignee[0]": "team", "route.routes[0].assignee[0]": "account_tag.owner",
		"limits.first_run": "go", "risk.sla.start": "ticketed", "suppressions[0].until": "2099-01-31",
		"risk.factors[0].name": "crown_jewel", "ack.for": "1d", "ack.max": "2d", "close.max_ratio": "0.5",
		"sinks[0].unsure.deadline": "20s", "sinks[0].unsure.pause": "10s", "sinks[0].unsure.late": "30s",
		"sinks[0].unsure.grace": "60s", "sinks[0].unsure.lag": "60s", "sinks[0].unsure.settle": "40s", "sinks[0].unsure.lease": "30s",
		"risk.thresholds.P1": "90", "risk.thresholds.P2": "70", "risk.thresholds.P3": "40", "risk.thresholds.P4": "20",
		"sources[0].min_severity": "low",
	}
}

func (g *generator) structure(path, indent string, t reflect.Type) {
	for _, f := range fields(t) {
		g.key(child(path, f.key), indent, f.key, t.FieldByIndex(f.index).Type, true)
	}
	if _, ok := restField(reflect.New(t).Elem()); ok {
		g.structure(path, indent, reflect.TypeFor[blockSample]())
	}
}

func (g *generator) key(path, indent, key string, t reflect.Type, closed bool) {
	if slices.Contains(g.skip, path) {
		return
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	r := row{indent: indent, key: key, path: path, typ: t, closed: closed}
	switch {
	case t == secretType():
		g.rows = append(g.rows, r)
		g.rows = append(g.rows, row{indent + "  ", "env", "SET", path + ".env", reflect.TypeFor[string](), true})
		return
	case scalarValue(path, t) != "":
		r.value = scalarValue(path, t)
		g.rows = append(g.rows, r)
		return
	}
	g.rows = append(g.rows, r)
	g.below(path, indent+"  ", t)
}

func (g *generator) below(path, indent string, t reflect.Type) {
	switch t.Kind() {
	case reflect.Struct:
		g.structure(path, indent, t)
	case reflect.Map:
		closed := t.Key().Kind() != reflect.String || strings.HasSuffix(path, ".match") || strings.HasSuffix(path, ".roles")
		for _, key := range mapKeys(path, t) {
			g.key(child(path, key), indent, key, t.Elem(), closed)
		}
	case reflect.Slice:
		at := item(path, 0)
		if value := scalarValue(at, t.Elem()); value != "" {
			g.rows = append(g.rows, row{indent: indent, key: "-", value: value, path: at})
			return
		}
		g.rows = append(g.rows, row{indent: indent, key: "-", path: at})
		g.below(at, indent+"  ", t.Elem())
	}
}

func mapKeys(path string, t reflect.Type) []string {
	switch {
	case t.Key() == reflect.TypeFor[pipeline.Priority]():
		return []string{"P1", "P2", "P3", "P4"}
	case t.Key() == reflect.TypeFor[pipeline.Severity]():
		return []string{"CRITICAL", "INFORMATIONAL"}
	case strings.HasSuffix(path, ".match"):
		return []string{"account", "resource_type"}
	case strings.HasSuffix(path, ".roles"):
		return []string{"admin"}
	case strings.HasSuffix(path, "teams[0].sinks"), strings.HasSuffix(path, ".templates"):
		return []string{"disk"}
	}
	return []string{"anything"}
}

func scalarValue(path string, t reflect.Type) string {
	if text := samples()[path]; text != "" {
		return text
	}
	switch {
	case t == durationType():
		return "3h"
	case t == reflect.TypeFor[Size]():
		return "1GiB"
	case t == reflect.TypeFor[pipeline.Priority]():
		return "P2"
	case t.Kind() == reflect.String, t.Kind() == reflect.Interface:
		return "some-text"
	case t.Kind() == reflect.Int:
		return "3"
	case t.Kind() == reflect.Float64:
		return "0.5"
	case t.Kind() == reflect.Bool:
		return "false"
	}
	return ""
}

// check loads rows and decodes the blocks, as a start would.
func check(t *testing.T, rows []row) Errors {
	t.Helper()
	var b strings.Builder
	for _, r := range rows {
		if r.key == "-" {
			fmt.Fprintf(&b, "%s- %s\n", r.indent, r.value)
			continue
		}
		b.WriteString(r.text() + "\n")
	}
	c, err := Parse([]File{{"docket.yaml", []byte(b.String())}}, ".", testEnv())
	for _, s := range c.Sources {
		err = Join(err, s.Block.Decode(&blockSample{}))
	}
	for _, s := range c.Sinks {
		err = Join(err, s.Block.Decode(&blockSample{}))
	}
	return asErrors(t, err)
}

// variants are whole configurations; together they hold every key.
func variants(t *testing.T) [][]row {
	t.Helper()
	var all [][]row
	for _, skips := range [][]string{
		{"aws.organization", "risk.feeds.kev.file", "risk.feeds.epss.url"}, {"aws.accounts", "risk.feeds.kev.url", "risk.feeds.epss.file"},
	} {
		g := generator{skip: append(skips, "route.match", "route.when", "route.continue", "route.routes[0].routes")}
		g.structure("", "", reflect.TypeFor[Config]())
		if es := check(t, g.rows); len(es) > 0 {
			t.Fatalf("the generated configuration has errors:\n%v", es)
		}
		all = append(all, g.rows)
	}
	return all
}

// second breaks a line of its own in a copy of rows and returns its number and path.
func second(rows []row, notUnder string) ([]row, int, string) {
	out := slices.Clone(rows)
	path, value := "time_zone", "Mars/Base"
	if notUnder == path {
		path, value = "ack.for", "banana"
	}
	i := slices.IndexFunc(out, func(r row) bool { return r.path == path })
	out[i].value = value
	return out, i + 1, path
}

func TestEveryKeyMisspelt(t *testing.T) {
	tried := 0
	for _, rows := range variants(t) {
		for i, r := range rows {
			if !r.closed {
				continue
			}
			tried++
			broken, line, path := second(rows, r.path)
			broken[i].key += r.key[len(r.key)-1:]
			es := check(t, broken)
			wrong := strings.TrimSuffix(r.path, r.key) + broken[i].key
			mustHold(t, es, i+1, r.col(), wrong, "did you mean "+r.key+"?")
			mustHold(t, es, line, len(broken[line-1].indent+broken[line-1].key)+3, path, "")
			if t.Failed() {
				t.Fatalf("at %s", r.path)
			}
		}
	}
	if tried < 200 {
		t.Errorf("%d keys were tried; want at least 200", tried)
	}
}

func TestEveryTypeWrong(t *testing.T) {
	tried := 0
	for _, rows := range variants(t) {
		for i, r := range rows {
			if r.typ == nil || r.typ.Kind() == reflect.Interface {
				continue
			}
			tried++
			broken, _, path := second(rows, r.path)
			switch {
			case r.value != "":
				broken[i].value = "[wrong, {a: b}]"
			case r.typ.Kind() == reflect.Slice:
				broken[i].value = "{a: b}" // one text may stand for some lists
			default:
				broken[i].value = "wrong"
			}
			// What stood below the key goes.
			end := i + 1
			for end < len(broken) && len(broken[end].indent) > len(r.indent) {
				end++
			}
			broken = slices.Delete(broken, i+1, end)
			es := check(t, broken)
			mustHold(t, es, i+1, r.col()+len(r.key)+2, r.path, "")
			line := slices.IndexFunc(broken, func(r row) bool { return r.path == path }) + 1
			mustHold(t, es, line, len(broken[line-1].indent+broken[line-1].key)+3, path, "")
			if t.Failed() {
				t.Fatalf("at %s", r.path)
			}
		}
	}
	if tried < 200 {
		t.Errorf("%d places were tried; want at least 200", tried)
	}
}
