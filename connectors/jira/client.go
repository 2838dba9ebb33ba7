package jira

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	gojira "github.com/andygrunwald/go-jira"

	"github.com/docket-hub/docket/internal/httpx"
	"github.com/docket-hub/docket/pipeline"
)

// client speaks REST v2. What go-jira does well goes through jira, the rest through http; both end in
// the same classes of errors.
type client struct {
	http  *httpx.Client
	jira  *gojira.Client
	base  string
	mu    sync.Mutex
	about *serverInfo // nil until it was asked
	fixed string      // the configured deployment
}

type serverInfo struct {
	BaseURL        string `json:"baseUrl"`
	DeploymentType string `json:"deploymentType"` // Cloud or Server
}

// doer lets go-jira send through httpx.
type doer struct{ *httpx.Client }

func (d doer) Do(r *http.Request) (*http.Response, error) { return d.HTTP(r) }

func newClient(c Config, log *slog.Logger, now func() time.Time) (*client, error) {
	h, err := httpx.New(httpx.Options{Base: c.URL, Auth: c.Auth.sign, Log: log, Route: route, Hold: holds, Now: now})
	if err != nil {
		return nil, err
	}
	base := strings.TrimRight(c.URL, "/")
	j, err := gojira.NewClient(doer{h}, base)
	if err != nil {
		return nil, err
	}
	return &client{http: h, jira: j, base: base, fixed: c.Deployment}, nil
}

// sign puts the credentials on a request.
func (a Auth) sign(r *http.Request) {
	switch {
	case a.Email != "":
		r.SetBasicAuth(a.Email, a.Token.Reveal())
	case a.User != "":
		r.SetBasicAuth(a.User, a.Password.Reveal())
	default:
		r.Header.Set("Authorization", "Bearer "+a.Token.Reveal())
	}
}

// route names the endpoint of a path: rest/api/2/issue/SEC-1/comment is issue/{}/comment, about SEC-1.
func route(method, path string) httpx.Route {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if len(parts) > 3 && parts[0] == "rest" {
		parts = parts[3:]
	}
	r := httpx.Route{Read: method == http.MethodGet || method == http.MethodHead || slices.Contains(parts, "search")}
	if len(parts) > 1 && parts[0] == "issue" && parts[1] != "createmeta" {
		r.Record = parts[1]
	}
	for i := 1; i < len(parts); i++ {
		switch parts[i-1] {
		case "issue", "project", "createmeta", "issuetypes", "comment", "properties":
			if parts[i] != "createmeta" {
				parts[i] = "{}"
			}
		}
	}
	r.Template = strings.Join(parts, "/")
	return r
}

// holds says what a named wait is about
// (https://developer.atlassian.com/cloud/jira/platform/rate-limiting/, header RateLimit-Reason).
func holds(e *httpx.Error, r httpx.Route) []httpx.Hold {
	reason := e.Header.Get("RateLimit-Reason")
	switch {
	case reason == "jira-per-issue-on-write" && r.Record != "":
		return []httpx.Hold{httpx.HoldRecord(r.Record)}
	case reason == "jira-burst-based": // of one endpoint and method
		return []httpx.Hold{httpx.HoldEndpoint(e.Method, r.Template)}
	default: // a quota of the whole tenant; or no reason, as Data Center, which counts per user
		return []httpx.Hold{httpx.HoldAll}
	}
}

// bare takes off what go-jira puts in front of an error of its transport.
func bare(err error) error {
	for err != nil && strings.HasPrefix(err.Error(), "No response returned: ") {
		inner := errors.Unwrap(err)
		if inner == nil {
			break
		}
		err = inner
	}
	return err
}

const api = "rest/api/2/"

// info asks the server what it is, once.
func (c *client) info(ctx context.Context) (serverInfo, error) {
	c.mu.Lock()
	about := c.about
	c.mu.Unlock()
	if about != nil {
		return *about, nil
	}
	about = &serverInfo{}
	if _, err := c.http.Do(ctx, http.MethodGet, api+"serverInfo", nil, about); err != nil {
		return *about, fmt.Errorf("asking the server what it is: %w", err)
	}
	c.mu.Lock()
	c.about = about
	c.mu.Unlock()
	return *about, nil
}

// isCloud says which flavour the server speaks.
func (c *client) isCloud(ctx context.Context) (bool, error) {
	if c.fixed != "" {
		return c.fixed == cloud, nil
	}
	about, err := c.info(ctx)
	return strings.EqualFold(about.DeploymentType, "cloud"), err
}

// gateway is the host of OAuth and scoped tokens; people do not browse there.
const gateway = "api.atlassian.com"

// browse is the address of an issue for people.
func (c *client) browse(ctx context.Context, key string) string {
	base := c.base
	if u, err := url.Parse(base); err == nil && u.Host == gateway {
		about, err := c.info(ctx)
		if err != nil || about.BaseURL == "" {
			return ""
		}
		base = strings.TrimRight(about.BaseURL, "/")
	}
	return base + "/browse/" + url.PathEscape(key)
}

func issuePath(id string) string { return api + "issue/" + url.PathEscape(id) }

// read reads an issue by id or key with docket's property.
func (c *client) read(ctx context.Context, id string, fields ...string) (*issue, error) {
	return c.readWith(ctx, id, "", fields)
}

func (c *client) readWith(ctx context.Context, id, expand string, fields []string) (*issue, error) {
	q := url.Values{"properties": {propertyKey}, "fields": {strings.Join(fields, ",")}}
	if expand != "" {
		q.Set("expand", expand)
	}
	var i issue
	if _, err := c.http.Do(ctx, http.MethodGet, issuePath(id)+"?"+q.Encode(), nil, &i); err != nil {
		return nil, fmt.Errorf("reading issue %s: %w", id, err)
	}
	if i.ID == "" || i.Key == "" {
		return nil, fmt.Errorf("reading issue %s: the answer is no issue", id)
	}
	return &i, nil
}

// property is one entry of an issue's or comment's properties in a write.
type property struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// create makes an issue; fields and property in one call, so that the marker is never missing.
func (c *client) create(ctx context.Context, fields map[string]any, m marker) (*issue, error) {
	body := map[string]any{"fields": fields, "properties": []property{{propertyKey, m}}}
	var made issue
	if _, err := c.http.Do(ctx, http.MethodPost, api+"issue", body, &made); err != nil {
		return nil, err
	}
	if made.ID == "" {
		return nil, pipeline.Unsure(errors.New("the answer names no issue"))
	}
	return &made, nil
}

// edit writes fields, operations and the property in one call. The property alone has a call of its
// own: an edit wants fields or operations.
func (c *client) edit(ctx context.Context, id string, fields map[string]any, update map[string]any, m marker) error {
	if len(fields) == 0 && len(update) == 0 {
		_, err := c.http.Do(ctx, http.MethodPut, issuePath(id)+"/properties/"+propertyKey, m, nil)
		return err
	}
	body := map[string]any{"properties": []property{{propertyKey, m}}}
	if len(fields) > 0 {
		body["fields"] = fields
	}
	if len(update) > 0 {
		body["update"] = update
	}
	_, err := c.jira.Issue.UpdateIssueWithContext(ctx, id, body)
	return err
}

// refusals are the errors of a 400 by field, and its other messages.
func refusals(err error) (fields map[string]string, messages []string) {
	var e *httpx.Error
	if !errors.As(err, &e) || e.Status != http.StatusBadRequest {
		return nil, nil
	}
	var body struct {
		Messages []string          `json:"errorMessages"`
		Errors   map[string]string `json:"errors"`
	}
	if json.Unmarshal(e.Body, &body) != nil {
		return nil, nil
	}
	return body.Errors, body.Messages
}

// named rewrites a 400 so that it names the keys of the configuration; other errors stay.
func named(doing string, err error) error {
	fields, messages := refusals(err)
	if len(fields) == 0 {
		return fmt.Errorf("%s: %w", doing, err)
	}
	parts := slices.Clone(messages)
	for _, f := range slices.Sorted(maps.Keys(fields)) {
		parts = append(parts, configKey(f)+": "+fields[f])
	}
	return fmt.Errorf("%s: %s: %w", doing, strings.Join(parts, "; "), err)
}

// configKey is the key of the configuration that sets a field.
func configKey(field string) string {
	switch field {
	case "summary":
		return "templates.title (summary)"
	case "description":
		return "templates.description_file (description)"
	case "priority":
		return "priorities"
	case "duedate":
		return "due_date"
	case "issuetype":
		return "issue_type"
	case "project", "assignee", "resolution":
		return field
	}
	return "fields." + field
}
