package jiratest_test

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
)

// A create takes effect and its answer is lost: the client does not know, the server does.
func Example() {
	s, err := jiratest.Start(jiratest.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	s.Inject(jiratest.Rule{Route: "POST issue", Times: 1, Fault: jiratest.Fault{Kind: jiratest.DropAfter}})

	body := `{"fields":{"project":{"key":"SEC"},"issuetype":{"name":"Task"},"summary":"Bucket is public","labels":["docket-9f2c51ab"]}}`
	req, err := http.NewRequest("POST", s.URL()+"/rest/api/2/issue", strings.NewReader(body))
	if err != nil {
		fmt.Println(err)
		return
	}
	req.SetBasicAuth("docket@example.com", "jira-token-1")
	req.Header.Set("Content-Type", "application/json")
	_, err = http.DefaultClient.Do(req)
	fmt.Println("lost:", err != nil)
	fmt.Println("open:", s.OpenByKey())
	// Output:
	// lost: true
	// open: map[docket-9f2c51ab:[SEC-1]]
}
