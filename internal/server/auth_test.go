package server

import (
	"net/http"
	"strings"
	"testing"

	"github.com/docket-hub/docket/config/secret"
)

func token(name, role, text string) Token {
	return Token{Name: name, Role: role, Token: secret.New(text, secret.Ref{})}
}

func TestNewKeyring(t *testing.T) {
	for _, tc := range []struct {
		name   string
		tokens []Token
		any    bool
		usable int
		want   []string // of the error
	}{
		{"none", nil, false, 0, nil},
		{"good", allTokens(), true, 4, nil},
		{"all that is wrong at once", []Token{token("", RoleAdmin, "a"), token("ci", "root", "b"), token("x", RoleViewer, ""), {Name: "z", Role: RoleViewer}, token("y", RoleViewer, "c")}, true, 1,
			[]string{"tokens[0]: it has no name", `tokens[1]: token ci: "root" is none of the roles viewer, responder, ingest, admin`, "tokens[2]: token x is empty", "tokens[3]: token z is empty"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ring, err := newKeyring(tc.tokens)
			if ring.any != tc.any || len(ring.keys) != tc.usable || (err != nil) != (tc.want != nil) {
				t.Errorf("newKeyring() = any %v, %d keys, %v; want any %v, %d keys", ring.any, len(ring.keys), err, tc.any, tc.usable)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("newKeyring() = %v; want it to say %q", err, want)
				}
			}
		})
	}
}

func TestFind(t *testing.T) {
	ring, err := newKeyring([]Token{token("a", RoleViewer, "one"), token("b", RoleAdmin, "two"), token("c", RoleAdmin, "one")})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		given, name string
		ok          bool
	}{{"one", "a", true}, {"two", "b", true}, {"", "", false}, {"on", "", false}, {"one ", "", false}, {"ONE", "", false}} {
		if got, ok := ring.find(tc.given); got.name != tc.name || ok != tc.ok {
			t.Errorf("find(%q) = %v, %v; want %q, %v", tc.given, got, ok, tc.name, tc.ok)
		}
	}
}

func TestAuthorizationHeader(t *testing.T) {
	x := start(t, nil)
	good := "Bearer " + bearer(RoleViewer)
	for _, tc := range []struct {
		name   string
		header []string
		status int
	}{
		{"as it should be", []string{"Authorization", good}, 200},
		{"scheme in small letters", []string{"Authorization", "bearer " + bearer(RoleViewer)}, 200},
		{"none", nil, 401},
		{"empty", []string{"Authorization", ""}, 401},
		{"no token", []string{"Authorization", "Bearer "}, 401},
		{"basic", []string{"Authorization", "Basic " + bearer(RoleViewer)}, 401},
		{"twice", []string{"Authorization", good, "Authorization", "Bearer " + bearer(RoleAdmin)}, 401},
		{"cut", []string{"Authorization", good[:len(good)-1]}, 401},
		{"longer", []string{"Authorization", good + "x"}, 401},
		{"another header", []string{"X-Api-Key", bearer(RoleViewer)}, 401},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := x.send(t, "", "GET", "/api/v1/sinks", nil, tc.header...); got.status != tc.status {
				t.Errorf("GET with %q = %d; want %d", tc.header, got.status, tc.status)
			}
		})
	}
}

func TestWithoutTokens(t *testing.T) {
	x := start(t, func(o *Options, _ *timings) { o.Tokens = nil })
	own := x.Addr().String()
	_, port, _ := strings.Cut(own, ":")
	for _, tc := range []struct {
		name   string
		header []string
		status int
	}{
		{"a program of this machine", nil, 200},
		{"by name", []string{"Host", "localhost:" + port}, 200},
		{"by name without port", []string{"Host", "LOCALHOST"}, 200},
		{"by IPv6", []string{"Host", "[::1]:" + port}, 200},
		{"by IPv6 without port", []string{"Host", "[::1]"}, 200},
		{"a token that nobody asked for", []string{"Authorization", "Bearer something"}, 200},
		{"a rebound name", []string{"Host", "evil.example:" + port}, 403},
		{"a name that only looks right", []string{"Host", "127.0.0.1.evil.example"}, 403},
		{"another address", []string{"Host", "192.0.2.1"}, 403},
		{"no host", []string{"Host", " "}, 403},
		{"own page", []string{"Origin", "http://" + own}, 200},
		{"another site's page", []string{"Origin", "https://evil.example"}, 403},
		{"a page of another local port", []string{"Origin", "http://127.0.0.1:1"}, 403},
		{"a page of a file", []string{"Origin", "null"}, 403},
		{"a link on another site", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"a link on another local port", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"typed into a browser", []string{"Sec-Fetch-Site", "none"}, 200},
		{"a proxy", []string{"X-Forwarded-For", "192.0.2.1"}, 403},
		{"a proxy by the standard", []string{"Forwarded", "for=192.0.2.1"}, 403},
	} {
		for _, route := range []string{"GET /api/v1/sinks", "POST /-/reload", "GET /metrics"} {
			method, path, _ := strings.Cut(route, " ")
			t.Run(tc.name+" "+route, func(t *testing.T) {
				got := x.send(t, "", method, path, nil, tc.header...)
				if ok := got.status < 300; ok != (tc.status == 200) || !ok && (got.status != tc.status || got.failed().Code != "forbidden") {
					t.Errorf("%s with %q = %d %s; want %d", route, tc.header, got.status, got.body, tc.status)
				}
			})
		}
	}
	if got := x.send(t, "", "GET", "/-/healthy", nil, "Host", "lb.example"); got.status != 200 {
		t.Errorf("GET /-/healthy by another name = %d; want 200", got.status)
	}
}

func TestListenNeedsTokens(t *testing.T) {
	for _, tc := range []struct {
		listen string
		tokens []Token
		ok     bool
	}{
		{"127.0.0.1:0", nil, true},
		{"127.9.9.9:0", nil, true},
		{"[::1]:0", nil, true},
		{"localhost:0", nil, true},
		{":0", nil, false},
		{"0.0.0.0:0", nil, false},
		{"[::]:0", nil, false},
		{"192.0.2.1:0", nil, false},
		{"docket.example:0", nil, false},
		{"localhost.example:0", nil, false},
		{"0.0.0.0:0", allTokens(), true},
	} {
		o := start(t, nil).o
		o.Listen, o.Tokens = tc.listen, tc.tokens
		_, err := New(withRegistry(o))
		if (err == nil) != tc.ok || err != nil && !strings.Contains(err.Error(), "server.auth.tokens") {
			t.Errorf("New(%s, %d tokens) = %v; want ok %v, naming the key to set", tc.listen, len(tc.tokens), err, tc.ok)
		}
	}
}

func TestSetTokens(t *testing.T) {
	x := start(t, nil)
	status := func(role string) int { return x.send(t, role, "GET", "/api/v1/sinks", nil).status }
	if got := status(RoleViewer); got != http.StatusOK {
		t.Fatalf("before = %d; want 200", got)
	}
	x.SetTokens([]Token{token("new", RoleViewer, bearer("new"))})
	if got := []int{status(RoleViewer), status("new"), status("")}; got[0] != 401 || got[1] != 200 || got[2] != 401 {
		t.Errorf("after the swap = %v; want 401 200 401", got)
	}
	x.SetTokens([]Token{{Name: "empty", Role: RoleAdmin}})
	if got := []int{status("new"), status("")}; got[0] != 401 || got[1] != 401 {
		t.Errorf("with a token that cannot be used = %v; want 401 401: it must not open the door", got)
	}
	if !strings.Contains(x.log.String(), "token empty is empty") {
		t.Errorf("log = %s; want the token that was left out", x.log)
	}
	x.SetTokens(nil)
	if got := status(""); got != http.StatusOK {
		t.Errorf("without tokens on a loopback address = %d; want 200", got)
	}
}

func TestSetTokensBeyondThisMachine(t *testing.T) {
	x := start(t, func(o *Options, _ *timings) { o.Listen = "0.0.0.0:0" })
	x.url = strings.Replace(x.url, "[::]", "127.0.0.1", 1)
	x.url = strings.Replace(x.url, "0.0.0.0", "127.0.0.1", 1)
	x.SetTokens(nil)
	if got := x.send(t, "", "GET", "/api/v1/sinks", nil); got.status != 401 || !strings.Contains(got.failed().Message, "server.auth.tokens") {
		t.Errorf("GET without any token configured = %d %s; want 401", got.status, got.body)
	}
}
