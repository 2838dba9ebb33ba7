package jiratest

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzRequests sends any body to any operation, and any query to the search: the
// answer is one of Jira's, and the server lives on.
func FuzzRequests(f *testing.F) {
	for _, x := range examples() {
		f.Add(x[0], x[1], x[2])
	}
	for _, jql := range []string{"project = SEC AND labels in (a, 'b') ORDER BY created DESC, key", `cf[1] ~ "\"a\""`, "updated >= -5m", `labels = "\`, "("} {
		f.Add("GET", "search/jql?jql="+url.QueryEscape(jql), "")
	}
	f.Add("PUT", "issue/SEC-1", `{"update":{"labels":[{"add":null}],"comment":[{}],"customfield_1":[{"set":{"value":"a","child":{}}}]}}`)
	f.Add("POST", "issue/SEC-1/transitions", `{"transition":{"id":"11"},"update":{"resolution":[{}]},"fields":null}`)
	s, err := Start(Options{Projects: []Project{{Key: "SEC", Fields: []Field{{ID: "customfield_1", Type: Cascading, Options: []Option{{Value: "a"}}}}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(s.Close)
	f.Fuzz(func(t *testing.T, method, path, body string) {
		to, err := url.Parse(s.URL() + "/rest/api/2/" + path)
		if err != nil {
			t.Skip("no address")
		}
		req, err := http.NewRequest(method, to.String(), strings.NewReader(body))
		if err != nil {
			t.Skip("no request")
		}
		req.SetBasicAuth("docket@example.com", "jira-token-1")
		req.Header.Set("Content-Type", "application/json")
		if strings.HasSuffix(to.Path, "/attachments") {
			req.Header.Set("Content-Type", "multipart/form-data; boundary=x")
			req.Header.Set("X-Atlassian-Token", "no-check")
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		if w.Code >= 500 {
			t.Errorf("%s %s with %q = %d; want no server error", method, path, body, w.Code)
		}
	})
}
