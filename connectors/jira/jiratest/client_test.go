package jiratest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
)

// clock is a clock that stands still until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// client speaks to a server with the right credentials.
type client struct {
	*jiratest.Server
	t     *testing.T
	base  string
	user  string
	token string
	http  *http.Client
}

// cloud starts a Cloud site.
func cloud(t *testing.T, o jiratest.Options) *client {
	t.Helper()
	return newClient(t, o, "docket@example.com")
}

// dataCenter starts a Data Center server.
func dataCenter(t *testing.T, o jiratest.Options) *client {
	t.Helper()
	o.DataCenter = true
	return newClient(t, o, "docket")
}

func newClient(t *testing.T, o jiratest.Options, user string) *client {
	t.Helper()
	s := jiratest.New(t, o)
	transport := &http.Transport{DisableKeepAlives: true} // a connection that was cut is not tried again behind the test's back
	return &client{Server: s, t: t, base: s.URL(), user: user, token: "jira-token-1", http: &http.Client{Transport: transport, Timeout: 10 * time.Second}}
}

// answer is what came back.
type answer struct {
	Status int
	Header http.Header
	Text   string
	JSON   any // nil when the text is none
}

// try sends a request. body is a string, sent as it is, or a value that becomes JSON.
func (c *client) try(method, path string, body any, change ...func(*http.Request)) (answer, error) {
	c.t.Helper()
	var data []byte
	switch b := body.(type) {
	case nil:
	case string:
		data = []byte(b)
	default:
		var err error
		if data, err = json.Marshal(b); err != nil {
			c.t.Fatal(err)
		}
	}
	req, err := http.NewRequest(method, c.base+path, bytes.NewReader(data))
	if err != nil {
		c.t.Fatal(err)
	}
	req.SetBasicAuth(c.user, c.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, f := range change {
		f(req)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	out := answer{Status: resp.StatusCode, Header: resp.Header, Text: string(text)}
	if json.Unmarshal(text, &out.JSON) != nil {
		out.JSON = nil
	}
	return out, err
}

// do sends a request and wants a status.
func (c *client) do(want int, method, path string, body any, change ...func(*http.Request)) answer {
	c.t.Helper()
	out, err := c.try(method, path, body, change...)
	if err != nil || out.Status != want {
		c.t.Fatalf("%s %s = %d %s, %v; want %d", method, path, out.Status, out.Text, err, want)
	}
	return out
}

// at walks into an answer: "issues.0.key".
func (a answer) at(path string) any {
	v := a.JSON
	for part := range strings.SplitSeq(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[part]
		case []any:
			i := int(part[0] - '0')
			if i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}

// fields are the fields of an issue that Jira takes, with some changed; nil takes one away.
func fields(change map[string]any) map[string]any {
	f := map[string]any{
		"project": map[string]any{"key": "SEC"}, "issuetype": map[string]any{"name": "Task"},
		"summary": "Bucket is public", "description": "Everybody can read it.", "labels": []string{"docket", "docket-9f2c51ab"},
	}
	for key, value := range change {
		if f[key] = value; value == nil {
			delete(f, key)
		}
	}
	return map[string]any{"fields": f}
}

// create makes an issue and returns its key.
func (c *client) create(change map[string]any) string {
	c.t.Helper()
	return c.do(201, "POST", "/rest/api/2/issue", fields(change)).at("key").(string)
}

func (c *client) issue(key string) jiratest.Snapshot {
	c.t.Helper()
	is, ok := c.Issue(key)
	if !ok {
		c.t.Fatalf("Issue(%s) is not there; want it", key)
	}
	return is
}

// keys runs a search and lists the keys that it finds.
func (c *client) keys(jql string) []string {
	c.t.Helper()
	var out []string
	path, list := "/rest/api/3/search/jql", "issues"
	if strings.Contains(c.base, "dc") {
		path = "/rest/api/2/search"
	}
	found := c.do(200, "POST", path, map[string]any{"jql": jql, "fields": []string{"key", "labels"}}).at(list).([]any)
	for _, each := range found {
		out = append(out, each.(map[string]any)["key"].(string))
	}
	return out
}
