package jiratest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
)

func TestJQL(t *testing.T) {
	clock := newClock()
	o := rich()
	o.Now, o.TimeZone = clock.now, time.FixedZone("CET", 3600)
	c := cloud(t, o)
	c.create(map[string]any{"customfield_10040": "docket-9f2c51ab", "customfield_10043": m("value", "red"), "labels": []string{"docket-9f2c51ab"}})
	clock.add(time.Hour)
	c.create(map[string]any{"customfield_10040": "9f2c51ab of docket", "labels": []string{"Docket-9F2C51AB", "x"}})
	c.create(map[string]any{"project": m("key", "NOP"), "labels": nil})
	c.do(204, "POST", "/rest/api/2/issue/SEC-2/transitions", m("transition", m("id", "12")))
	for _, tt := range []struct {
		jql  string
		want []string
	}{
		{"project = SEC", []string{"SEC-2", "SEC-1"}},
		{"project = SEC ORDER BY created ASC", []string{"SEC-1", "SEC-2"}},
		{"project in (SEC, NOP) order by created desc, key asc", []string{"SEC-2", "NOP-1", "SEC-1"}},
		{`project = "SEC" and labels = "docket-9f2c51ab" order by key`, []string{"SEC-1", "SEC-2"}},
		{"labels = docket-9f2c51ab AND labels = x", []string{"SEC-2"}},
		{"labels in (x, y)", []string{"SEC-2"}},
		{`cf[10040] ~ "docket-9f2c51ab" order by key`, []string{"SEC-1", "SEC-2"}},
		{`cf[10040] ~ "\"docket-9f2c51ab\""`, []string{"SEC-1"}},
		{`cf[10040] ~ "docket-9f2c51a"`, nil},
		{"cf[10043] = red", []string{"SEC-1"}},
		{"cf[10043] = 1", []string{"SEC-1"}},
		{"key = SEC-1", []string{"SEC-1"}},
		{"issuekey in (SEC-2, 'NOP-1') order by key", []string{"SEC-2", "NOP-1"}},
		{"id = 10000", []string{"SEC-1"}},
		{"status = done", []string{"SEC-2"}},
		{`status = "To Do" order by key`, []string{"SEC-1", "NOP-1"}},
		{`updated >= "2026-01-02 14:00" AND project = SEC`, []string{"SEC-2"}},
		{`updated >= "2026/01/02 14:01" AND project = SEC`, nil},
		{"created >= -30m AND project = SEC", []string{"SEC-2"}},
		{"project = sec AND labels = x", []string{"SEC-2"}},
	} {
		t.Run(tt.jql, func(t *testing.T) {
			if got := c.keys(tt.jql); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("search(%s) = %v; want %v", tt.jql, got, tt.want)
			}
		})
	}
}

func TestPagesOfCloud(t *testing.T) {
	c := cloud(t, jiratest.Options{MaxPage: 2, EmptyFirstPage: true})
	for range 5 {
		c.create(nil)
	}
	query := url.Values{"jql": {"project = SEC ORDER BY created ASC"}, "fields": {"summary,labels"}, "properties": {"docket.finding"}}
	var sizes []int
	var seen []string
	for {
		page := c.do(200, "GET", "/rest/api/2/search/jql?"+query.Encode(), nil)
		issues := page.at("issues").([]any)
		sizes = append(sizes, len(issues))
		for _, each := range issues {
			seen = append(seen, each.(map[string]any)["key"].(string))
		}
		if page.at("total") != nil || page.at("startAt") != nil {
			t.Errorf("page = %s; want no total and no startAt", page.Text)
		}
		if page.at("isLast") == true {
			break
		}
		query.Set("nextPageToken", page.at("nextPageToken").(string))
	}
	if !reflect.DeepEqual(sizes, []int{0, 2, 2, 1}) || !reflect.DeepEqual(seen, []string{"SEC-1", "SEC-2", "SEC-3", "SEC-4", "SEC-5"}) {
		t.Errorf("pages = %v with %v; want 0, 2, 2, 1 with all five", sizes, seen)
	}
	query.Set("jql", "project = SEC")
	c.do(400, "GET", "/rest/api/2/search/jql?"+query.Encode(), nil)
}

func TestPagesOfDataCenter(t *testing.T) {
	c := dataCenter(t, jiratest.Options{MaxPage: 2})
	for range 3 {
		c.create(nil)
	}
	page := c.do(200, "POST", "/rest/api/2/search", map[string]any{"jql": "project = SEC order by created", "startAt": 2, "maxResults": 50, "fields": []string{"summary"}})
	if page.at("total") != 3.0 || page.at("startAt") != 2.0 || page.at("maxResults") != 2.0 || page.at("issues.0.key") != "SEC-3" || page.at("issues.1") != nil {
		t.Errorf("second page = %s; want SEC-3 of 3", page.Text)
	}
	if page := c.do(200, "GET", "/rest/api/2/search?jql=order+by+created&startAt=9", nil); page.at("total") != 3.0 || page.at("issues.0") != nil {
		t.Errorf("page past the end = %s; want it empty, of 3", page.Text)
	}
	if page := c.do(200, "GET", "/rest/api/2/search?jql=project=SEC", nil); page.at("issues.0.fields.summary") == nil || page.at("issues.0.fields.comment") != nil {
		t.Errorf("search without fields = %s; want the navigable ones", page.Text)
	}
}

func TestStaleIndexShowsOldValues(t *testing.T) {
	clock := newClock()
	c := dataCenter(t, jiratest.Options{Now: clock.now})
	key := c.create(nil)
	c.SetIndexLag(time.Minute)
	clock.add(time.Hour)
	c.do(204, "PUT", "/rest/api/2/issue/"+key, m("fields", m("labels", []string{"other"})))
	search := func() any {
		return c.do(200, "GET", "/rest/api/2/search?fields=labels&jql=labels=docket", nil).at("issues.0.fields.labels.0")
	}
	if got := search(); got != "docket" {
		t.Errorf("label in the index = %v; want the old one", got)
	}
	clock.add(time.Minute)
	if got := search(); got != nil {
		t.Errorf("label in the index after the lag = %v; want nothing found", got)
	}
}

func BenchmarkLookUp(b *testing.B) {
	s := jiratest.New(b, jiratest.Options{NoBodies: true})
	post := func(path, body string) int {
		req, err := http.NewRequest("POST", "/rest/api/2/"+path, strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		req.SetBasicAuth("docket@example.com", "jira-token-1")
		req.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		return w.Code
	}
	for i := range 10_000 {
		if got := post("issue", fmt.Sprintf(`{"fields":{"project":{"key":"SEC"},"issuetype":{"name":"Task"},"summary":"a","labels":["docket-%020x"]}}`, i)); got != 201 {
			b.Fatalf("create = %d; want 201", got)
		}
	}
	for b.Loop() {
		if got := post("search/jql", `{"jql":"labels = \"docket-00000000000000000007\""}`); got != 200 {
			b.Fatalf("search = %d; want 200", got)
		}
	}
}
