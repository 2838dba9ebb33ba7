package jiratest

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// removed is what Cloud says to the search that it no longer has.
const removed = "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API. A full migration guideline is available at https://developer.atlassian.com/changelog/#CHANGE-2046"

// find runs a query over what the index has heard of. The issues of fresh are seen as they are now.
func (s *Server) find(jql string, bounded bool, fresh []int64) ([]*content, error) {
	q, err := parseJQL(jql)
	if err != nil {
		return nil, err
	}
	if bounded && len(q.clauses) == 0 {
		return nil, fmt.Errorf("Unbounded JQL queries are not allowed here. Please add a search restriction to your query.")
	}
	for i := range q.clauses {
		if err := s.bind(&q.clauses[i]); err != nil {
			return nil, err
		}
	}
	for _, o := range q.order {
		if !slices.Contains([]string{"created", "updated", "key", "id", "issuekey"}, o.field) {
			return nil, fmt.Errorf("Field '%s' does not exist or this field cannot be viewed by anonymous users.", o.field)
		}
	}
	var out []*content
	for is := range s.candidates(q) {
		state := s.inIndex(is)
		if id, err := strconv.ParseInt(is.id, 10, 64); err == nil && slices.Contains(fresh, id) {
			state = is.index[len(is.index)-1].state
		}
		if state == nil || !is.visible() || is.archived {
			continue
		}
		if !slices.ContainsFunc(q.clauses, func(c clause) bool { return !c.test(state) }) {
			out = append(out, state)
		}
	}
	order := append(q.order, ordering{field: "id", down: true})
	slices.SortFunc(out, func(a, b *content) int {
		for _, o := range order {
			var n int
			switch o.field {
			case "created":
				n = a.created.Compare(b.created)
			case "updated":
				n = a.updated.Compare(b.updated)
			default:
				n = cmp.Or(cmp.Compare(len(a.id), len(b.id)), cmp.Compare(a.id, b.id))
			}
			if o.down {
				n = -n
			}
			if n != 0 {
				return n
			}
		}
		return 0
	})
	return out, nil
}

// candidates are the issues that can match: those with what one clause asks for,
// or all. The clauses themselves are tested later.
func (s *Server) candidates(q query) iter.Seq[*issue] {
	var best map[*issue]bool
	for _, c := range q.clauses {
		var tag string
		field := strings.ToLower(c.field)
		switch m := customField.FindStringSubmatch(field); {
		case field == "labels" && c.operator == "=":
			tag = "label " + strings.ToLower(c.values[0])
		case m != nil && c.operator == "~" && s.oneLine("customfield_"+m[1]):
			tag = "customfield_" + m[1] + " " + slices.MaxFunc(append(words(c.values[0]), ""), func(a, b string) int { return len(a) - len(b) })
		default:
			continue
		}
		if found := s.tags[tag]; found == nil {
			return func(func(*issue) bool) {}
		} else if best == nil || len(found) < len(best) {
			best = found
		}
	}
	if best == nil {
		return maps.Values(s.issues)
	}
	return maps.Keys(best)
}

// oneLine reports whether a custom field is a text of one line wherever it is.
func (s *Server) oneLine(id string) bool {
	for _, p := range s.projects {
		if slices.ContainsFunc(p.Fields, func(f Field) bool { return f.ID == id && f.Type != Text }) {
			return false
		}
	}
	return true
}

// searchRequest is what both kinds of search take.
type searchRequest struct {
	JQL             string   `json:"jql"`
	Fields          []string `json:"fields"`
	Properties      []string `json:"properties"`
	MaxResults      *int     `json:"maxResults"`
	StartAt         int      `json:"startAt"`
	NextPageToken   string   `json:"nextPageToken"`
	ReconcileIssues []int64  `json:"reconcileIssues"`
	Expand          any      `json:"expand"`
}

// searchRequest reads a search from the body or from the query.
func (c *call) searchRequest(known ...string) (searchRequest, *reply) {
	var in searchRequest
	if c.req.Method == http.MethodPost {
		body, bad := c.object(known...)
		if bad != nil {
			return in, bad
		}
		if expand := body["expand"]; !c.opts.DataCenter && !isNull(expand) && expand[0] != '"' {
			r := c.badPayload("expand")
			return in, &r
		}
		if err := json.Unmarshal(c.body, &in); err != nil {
			r := c.badPayload("")
			return in, &r
		}
		return in, nil
	}
	in.JQL, in.Fields, in.Properties = c.query.Get("jql"), split(c.query["fields"]), split(c.query["properties"])
	in.NextPageToken = c.query.Get("nextPageToken")
	numbers := map[string]func(int64){
		"maxResults": func(n int64) { size := int(n); in.MaxResults = &size }, "startAt": func(n int64) { in.StartAt = int(n) },
		"reconcileIssues": func(n int64) { in.ReconcileIssues = append(in.ReconcileIssues, n) },
	}
	for name, set := range numbers {
		for _, text := range split(c.query[name]) {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				r := refuse(http.StatusBadRequest, "The value of "+name+" is not a number.")
				return in, &r
			}
			set(n)
		}
	}
	return in, nil
}

// Limits of a search of Cloud. Source: the description of search/jql; how many
// issues with fields come on a page is Jira's own choice, here 100.
const (
	usualPage       = 50
	idsPage         = 5000
	fieldsPage      = 100
	searchProps     = 5
	reconcileIssues = 50
)

func (c *call) searchCloud() reply {
	in, bad := c.searchRequest("jql", "fields", "properties", "maxResults", "nextPageToken", "reconcileIssues", "expand", "fieldsByKeys")
	if bad != nil {
		return *bad
	}
	if len(in.Properties) > searchProps || len(in.ReconcileIssues) > reconcileIssues {
		return refuse(http.StatusBadRequest, "At most 5 properties and 50 reconcileIssues can be asked for.")
	}
	found, err := c.find(in.JQL, true, in.ReconcileIssues)
	if err != nil {
		return refuse(http.StatusBadRequest, err.Error())
	}
	hash := fnv.New64a()
	fmt.Fprint(hash, in.JQL)
	from, ok := fromToken(in.NextPageToken, hash.Sum64())
	if !ok {
		return refuse(http.StatusBadRequest, "The nextPageToken is not valid.")
	}
	filter := fieldFilter(in.Fields)
	most := fieldsPage
	if len(in.Fields) == 0 || !slices.ContainsFunc(in.Fields, func(f string) bool { return f != "id" && f != "key" }) {
		most = idsPage
	}
	size := usualPage
	if in.MaxResults != nil {
		size = *in.MaxResults
	}
	if size = min(size, most); c.opts.MaxPage > 0 {
		size = min(size, c.opts.MaxPage)
	}
	if size <= 0 {
		return refuse(http.StatusBadRequest, "The value of maxResults is positive.")
	}
	if c.opts.EmptyFirstPage && in.NextPageToken == "" {
		size = 0
	}
	from = min(from, len(found))
	to := min(from+size, len(found))
	issues := []any{}
	for _, each := range found[from:to] {
		view := c.issueView(each, filter, in.Properties)
		if len(in.Fields) == 0 || !filter("key") && len(in.Fields) == 1 && in.Fields[0] == "id" {
			view = map[string]any{"id": each.id}
		}
		issues = append(issues, view)
	}
	out := map[string]any{"issues": issues, "isLast": to == len(found)}
	if to < len(found) {
		out["nextPageToken"] = base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d/%d", to, hash.Sum64()))
	}
	return reply{status: http.StatusOK, body: out}
}

// fromToken reads where a page begins. A token counts only for the query that it came from.
func fromToken(token string, query uint64) (int, bool) {
	if token == "" {
		return 0, true
	}
	plain, err := base64.RawURLEncoding.DecodeString(token)
	at, of, _ := strings.Cut(string(plain), "/")
	n, notNumber := strconv.Atoi(at)
	return n, err == nil && notNumber == nil && n >= 0 && of == strconv.FormatUint(query, 10)
}

// searchDataCenter is the older search. Cloud has removed it.
func (c *call) searchDataCenter() reply {
	if !c.opts.DataCenter {
		return refuse(http.StatusGone, removed)
	}
	in, bad := c.searchRequest("jql", "fields", "maxResults", "startAt", "expand", "validateQuery")
	if bad != nil {
		return *bad
	}
	found, err := c.find(in.JQL, false, nil)
	if err != nil {
		return refuse(http.StatusBadRequest, err.Error())
	}
	size := usualPage
	if in.MaxResults != nil {
		size = *in.MaxResults
	}
	if size = min(size, 1000); c.opts.MaxPage > 0 {
		size = min(size, c.opts.MaxPage)
	}
	if size < 0 || in.StartAt < 0 {
		return refuse(http.StatusBadRequest, "startAt and maxResults are not negative.")
	}
	if len(in.Fields) == 0 {
		in.Fields = []string{"*navigable", "-comment"}
	}
	from := min(in.StartAt, len(found))
	issues := []any{}
	for _, each := range found[from:min(from+size, len(found))] {
		issues = append(issues, c.issueView(each, fieldFilter(in.Fields), nil))
	}
	return reply{status: http.StatusOK, body: map[string]any{
		"expand": "names,schema", "startAt": in.StartAt, "maxResults": size, "total": len(found), "issues": issues,
	}}
}
