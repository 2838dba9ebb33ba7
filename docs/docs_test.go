// Package docs tests what the pages say against the code.
package docs_test

import (
	"encoding"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/connectors/file"
	"github.com/docket-hub/docket/connectors/jira"
	"github.com/docket-hub/docket/connectors/securityhub"
	"github.com/docket-hub/docket/connectors/trustedadvisor"
	"github.com/docket-hub/docket/connectors/webhook"
	"github.com/docket-hub/docket/internal/app"
)

//go:generate go test . -count=1 -run TestCommandsAreCurrent -update

func page(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestReadmeConfiguration loads the configurations that the README shows.
func TestReadmeConfiguration(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(page(t, "../README.md"), -1)
	if len(blocks) != 2 {
		t.Fatalf("README.md has %d blocks of YAML; want a whole configuration and one of AWS", len(blocks))
	}
	blocks[1][1] += "teams: [{name: security}]\nroute: {team: security, sinks: []}\n" // the part about AWS has no routes
	for _, b := range blocks {
		name := filepath.Join(t.TempDir(), "docket.yaml")
		if err := os.WriteFile(name, []byte(b[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := app.Load(name, func(string) (string, bool) { return "0123456789abcdef0123456789abcdef", true })
		if err != nil {
			t.Fatalf("Load(README's configuration) = %v; want no error", err)
		}
		if w := c.Warnings(); len(w) > 0 {
			t.Errorf("README's configuration warns: %v; want no warning", w)
		}
	}
}

// TestConfigurationKeys looks for every key of the configuration's structs in
// configuration.md, at its place in the tree.
func TestConfigurationKeys(t *testing.T) {
	text := page(t, "configuration.md")
	for _, key := range slices.Concat(
		keys("", reflect.TypeFor[config.Config](), 0),
		keys("", reflect.TypeFor[file.SourceConfig](), 0),
		keys("", reflect.TypeFor[file.SinkConfig](), 0),
		keys("", reflect.TypeFor[jira.Config](), 0),
		keys("", reflect.TypeFor[securityhub.Config](), 0),
		keys("", reflect.TypeFor[trustedadvisor.Config](), 0),
		keys("", reflect.TypeFor[webhook.Config](), 0),
		keys("", reflect.TypeFor[webhook.SinkConfig](), 0),
	) {
		if !strings.Contains(text, "`"+key+"`") {
			t.Errorf("configuration.md does not name `%s`; want every key", key)
		}
	}
}

// keys are the paths of all keys at and below a struct. Keys of members of a
// team and of due dates are documented in one line each, so those stand alone.
func keys(prefix string, typ reflect.Type, depth int) []string {
	var out []string
	for i := range typ.NumField() {
		f := typ.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if key == "" || key == "-" {
			continue
		}
		path := prefix + key
		elem, many := f.Type, ""
		for elem.Kind() == reflect.Pointer || elem.Kind() == reflect.Slice {
			if elem.Kind() == reflect.Slice {
				many = "[]"
			}
			elem = elem.Elem()
		}
		leaf := elem.Kind() != reflect.Struct || reflect.PointerTo(elem).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) ||
			strings.HasSuffix(elem.PkgPath(), "/secret")
		switch {
		case leaf:
			if strings.HasPrefix(path, "risk.sla.P") {
				path = key
			}
			out = append(out, path)
		case key == "members":
			out = append(out, path)
			out = append(out, keys("", elem, depth+1)...)
		case key == "routes" && depth > 0: // the tree's nodes have the keys of its root
			out = append(out, path)
		case many == "":
			out = append(out, keys(path+".", elem, depth+1)...)
		default:
			out = append(out, keys(path+many+".", elem, depth+1)...)
		}
	}
	return out
}
