package server

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// may is who may use which route, by hand: a route that is not here fails the test.
var may = map[string]string{
	"GET /api/v1/findings":               "viewer responder admin",
	"GET /api/v1/findings/{fingerprint}": "viewer responder admin",
	"GET /api/v1/cases":                  "viewer responder admin",
	"GET /api/v1/cases/{id}":             "viewer responder admin",
	"GET /api/v1/explain":                "viewer responder admin",
	"GET /api/v1/suppressions":           "viewer responder admin",
	"GET /api/v1/sources":                "viewer responder admin",
	"GET /api/v1/sinks":                  "viewer responder admin",
	"GET /api/v1/scopes":                 "viewer responder admin",
	"GET /api/v1/deadletters":            "viewer responder admin",
	"GET /api/v1/brake":                  "viewer responder admin",
	"GET /api/v1/rejects":                "viewer responder admin",
	"GET /api/v1/routes":                 "viewer responder admin",
	"GET /metrics":                       "viewer responder admin",
	"POST /api/v1/act":                   "responder admin",
	"POST /api/v1/plan":                  "responder admin",
	"POST /api/v1/drill":                 "admin",
	"POST /api/v1/routes/test":           "responder admin",
	"POST /api/v1/rules/diff":            "admin",
	"POST /api/v1/ingest/{source}":       "ingest admin",
	"GET /api/v1/cases/{id}/preview":     "viewer responder admin",
	"POST /api/v1/sinks/test":            "admin",
	"POST /api/v1/reconcile":             "admin",
	"POST /api/v1/apply":                 "admin",
	"POST /api/v1/sources/{name}/run":    "admin",
	"POST /api/v1/sources/{name}/reset":  "admin",
	"POST /api/v1/state/verify":          "admin",
	"POST /api/v1/state/backup":          "admin",
	"POST /api/v1/state/export":          "admin",
	"POST /-/reload":                     "admin",
	"PUT /-/reload":                      "admin",
	"GET /debug/pprof/":                  "admin",
	"GET /debug/pprof/profile":           "admin",
	"GET /debug/pprof/trace":             "admin",
	"POST /hooks/{sink}":                 "everybody",
	"GET /-/healthy":                     "everybody",
	"GET /-/ready":                       "everybody",
}

var wildcard = regexp.MustCompile(`\{\w+\}`)

// target is an address that the route matches and serves quickly.
func target(rt route) string {
	p := wildcard.ReplaceAllString(rt.path, "DK-1")
	switch {
	case rt.path == "/api/v1/explain":
		p += "?ref=DK-1"
	case rt.path == "/debug/pprof/profile":
		p += "?seconds=1" // pprof takes whole seconds here
	case rt.path == "/debug/pprof/trace":
		p += "?seconds=0.05"
	}
	return p
}

func TestRolesAndRoutes(t *testing.T) {
	x := start(t, nil)
	routes := x.routes()
	if len(routes) != len(may) {
		t.Errorf("routes() = %d; want the %d that this table lists", len(routes), len(may))
	}
	for _, rt := range routes {
		want, listed := may[rt.pattern()]
		if !listed {
			t.Errorf("route %s is not in this table; add who may use it", rt.pattern())
			continue
		}
		for _, role := range append(Roles(), "", "stranger") {
			t.Run(rt.pattern()+" as "+role, func(t *testing.T) {
				got := x.send(t, role, rt.method, target(rt), strings.NewReader(`{}`))
				known := role != "" && role != "stranger"
				switch {
				case want == "everybody" || known && slices.Contains(strings.Fields(want), role):
					if got.status != rt.status() {
						t.Errorf("status = %d (%s); want %d", got.status, got.body, rt.status())
					}
				case known:
					if got.status != http.StatusForbidden || got.failed().Code != "forbidden" ||
						!strings.Contains(got.failed().Message, "needs the role "+strings.ReplaceAll(want, " ", " or ")) {
						t.Errorf("answer = %d %s; want 403 that names %s", got.status, got.body, want)
					}
				default:
					if got.status != http.StatusUnauthorized || got.failed().Code != "unauthorized" || got.header.Get("WWW-Authenticate") == "" {
						t.Errorf("answer = %d %s; want 401", got.status, got.body)
					}
				}
			})
		}
	}
}

func TestNoRoute(t *testing.T) {
	x := start(t, nil)
	for _, tc := range []struct {
		name, role, method, target string
		status                     int
		allow                      string
	}{
		{"nothing there", RoleViewer, "GET", "/api/v1/nothing", 404, ""},
		{"nothing there for ingest", RoleIngest, "GET", "/", 404, ""},
		{"strangers learn nothing", "", "GET", "/api/v1/nothing", 401, ""},
		{"wrong method", RoleAdmin, "DELETE", "/api/v1/cases/DK-1", 405, "GET"},
		{"two methods", RoleAdmin, "GET", "/-/reload", 405, "POST, PUT"},
		{"strangers learn no methods", "", "DELETE", "/api/v1/cases/DK-1", 401, ""},
		{"a name that is empty", RoleViewer, "GET", "/api/v1/cases/", 404, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := x.send(t, tc.role, tc.method, tc.target, nil)
			if got.status != tc.status || got.header.Get("Allow") != tc.allow || got.failed().Code == "" {
				t.Errorf("%s %s = %d, Allow %q, %s; want %d, Allow %q", tc.method, tc.target, got.status, got.header.Get("Allow"), got.body, tc.status, tc.allow)
			}
		})
	}
}

// TestDocument compares docs/api.md with the routes: each has a heading, and
// below it the line with its roles.
func TestDocument(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	heading := regexp.MustCompile("(?m)^### `([A-Z]+ /\\S*)`\n\nRole: (.+)\\.$")
	written := map[string]string{}
	for _, m := range heading.FindAllStringSubmatch(string(data), -1) {
		written[m[1]] = m[2]
	}
	for _, rt := range start(t, nil).routes() {
		want := strings.Join(rt.need.roles(), ", ")
		if rt.need == needNothing {
			want = "none"
		}
		if got := written[rt.pattern()]; got != want {
			t.Errorf("docs/api.md has for %s the role %q; want %q", rt.pattern(), got, want)
		}
		delete(written, rt.pattern())
	}
	for pattern := range written {
		t.Errorf("docs/api.md describes %s; there is no such route", pattern)
	}
}
