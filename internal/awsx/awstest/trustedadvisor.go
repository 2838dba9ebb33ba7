package awstest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Advisor is what Trusted Advisor knows of every account. Both of its APIs, Support and TrustedAdvisor, answer from
// it. Its methods may be called at the same time.
type Advisor struct {
	checks []AdvisorCheck
	now    func() time.Time

	mu       sync.Mutex
	accounts map[string]*advised
}

// AdvisorCheck is a check as DescribeTrustedAdvisorChecks tells it.
type AdvisorCheck struct {
	ID, Name, Category, Description string
	Columns                         []string
	// Automatic: it refreshes itself, and a wish to refresh it is refused.
	Automatic bool
}

// AdvisorResult is what a check found when it looked.
type AdvisorResult struct {
	Time   time.Time
	Status string // of the check: ok, warning, error, not_available
	Rows   []AdvisorRow
}

// AdvisorRow is a resource that a check lists.
type AdvisorRow struct {
	Status, Region string
	Suppressed     bool
	Cells          []string // in the order of the check's columns; an empty one is null
	Resource       string   // awsResourceId of the newer API
}

// id is the row's own: a hash of its cells. That of a row without cells is the one that real answers have, the hash of nothing.
func (r AdvisorRow) id() string {
	sum := sha256.Sum256([]byte(strings.Join(r.Cells, "")))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

type advised struct {
	noPlan  bool
	results map[string]AdvisorResult
	next    map[string]AdvisorResult // what the next refresh will find
	state   map[string]string        // of refreshes
	since   map[string]time.Time     // when a refresh was last asked for
}

// refreshAgain is how long a check is not refreshed again. AWS names a time for each check; five minutes are common.
const refreshAgain = 5 * time.Minute

// NewAdvisor knows these checks and no account. now is its clock; nil: time.Now.
func NewAdvisor(now func() time.Time, checks ...AdvisorCheck) *Advisor {
	if now == nil {
		now = time.Now
	}
	return &Advisor{checks: checks, now: now, accounts: map[string]*advised{}}
}

// Set says what a check found in an account.
func (a *Advisor) Set(account, check string, r AdvisorResult) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of(account).results[check] = r
}

// Next says what a check will find when it is refreshed.
func (a *Advisor) Next(account, check string, r AdvisorResult) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of(account).next[check] = r
}

// NoPlan takes the support plan of an account away.
func (a *Advisor) NoPlan(account string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of(account).noPlan = true
}

// of is an account; a is locked.
func (a *Advisor) of(account string) *advised {
	if a.accounts[account] == nil {
		a.accounts[account] = &advised{results: map[string]AdvisorResult{}, next: map[string]AdvisorResult{},
			state: map[string]string{}, since: map[string]time.Time{}}
	}
	return a.accounts[account]
}

func (a *Advisor) check(id string) (AdvisorCheck, bool) {
	i := slices.IndexFunc(a.checks, func(c AdvisorCheck) bool { return c.ID == id })
	if i < 0 {
		return AdvisorCheck{}, false
	}
	return a.checks[i], true
}

// TrustedAdvisor answers as the Trusted Advisor API, version 2022-09-15. Checks that could not look have no recommendation there.
func (a *Advisor) TrustedAdvisor() Handler {
	return Handler{Protocol: RESTJSON, Operations: map[string]Operation{
		"ListChecks":                  {Route: "GET /v1/checks", Do: a.listChecks},
		"ListRecommendations":         {Route: "GET /v1/recommendations", Do: a.listRecommendations},
		"ListRecommendationResources": {Route: "GET /v1/recommendations/{recommendationIdentifier}/resources", Do: a.listResources},
	}}
}

func (a *Advisor) listChecks(c Call, r *Request) (any, error) {
	q, err := a.query(c, r, "pillar", "awsService", "source", "language")
	if err != nil {
		return nil, err
	}
	var all []any
	for _, ck := range a.checks {
		if !fits(q.Get("pillar"), ck.Category) {
			continue
		}
		headings := map[string]string{}
		for i, name := range ck.Columns {
			headings[strconv.Itoa(i)] = name
		}
		all = append(all, map[string]any{"id": ck.ID, "arn": "arn:aws:trustedadvisor:::check/" + ck.ID, "name": ck.Name,
			"description": ck.Description, "pillars": []string{ck.Category}, "awsServices": []string{}, "source": "ta_check", "metadata": headings})
	}
	return page(r, q, "checkSummaries", all)
}

func (a *Advisor) listRecommendations(c Call, r *Request) (any, error) {
	q, err := a.query(c, r, "type", "status", "pillar", "awsService", "source", "checkIdentifier", "afterLastUpdatedAt", "beforeLastUpdatedAt", "language")
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []any
	for _, ck := range a.checks {
		res, known := a.of(c.Account).results[ck.ID]
		if !known || res.Status == "not_available" || !fits(q.Get("pillar"), ck.Category) || !fits(q.Get("status"), res.Status) ||
			!fits(q.Get("type"), "standard") {
			continue
		}
		count := map[string]int64{"okCount": 0, "warningCount": 0, "errorCount": 0, "excludedCount": 0}
		for _, row := range res.Rows {
			if row.Suppressed {
				count["excludedCount"]++
			} else {
				count[row.Status+"Count"]++
			}
		}
		arn, id := recommendation(c.Account, ck.ID)
		all = append(all, map[string]any{"id": id, "arn": arn, "checkArn": "arn:aws:trustedadvisor:::check/" + ck.ID, "name": ck.Name, "type": "standard",
			"status": res.Status, "source": "ta_check", "pillars": []string{ck.Category}, "awsServices": []string{}, "lastUpdatedAt": instant(res.Time),
			"resourcesAggregates": count})
	}
	return page(r, q, "recommendationSummaries", all)
}

func (a *Advisor) listResources(c Call, r *Request) (any, error) {
	q, err := a.query(c, r, "status", "exclusionStatus", "regionCode", "language")
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := r.PathValue("recommendationIdentifier")
	for _, ck := range a.checks {
		arn, id := recommendation(c.Account, ck.ID)
		if asked != arn && asked != id {
			continue
		}
		var all []any
		for _, row := range a.of(c.Account).results[ck.ID].Rows {
			cells := map[string]string{}
			for i, v := range row.Cells {
				cells[strconv.Itoa(i)] = v
			}
			excluded := "included"
			if row.Suppressed {
				excluded = "excluded"
			}
			all = append(all, map[string]any{"id": row.id(), "arn": strings.Replace(arn, ":recommendation/", ":recommendation-resource/", 1) + "/" + row.id(),
				"awsResourceId": row.Resource, "regionCode": row.Region, "status": row.Status, "metadata": cells,
				"lastUpdatedAt": instant(a.of(c.Account).results[ck.ID].Time), "recommendationArn": arn, "exclusionStatus": excluded})
		}
		return page(r, q, "recommendationResourceSummaries", all)
	}
	return nil, &Error{Status: 404, Code: "ResourceNotFoundException", Message: "no recommendation " + asked}
}

// query is the query of a call, with the parameters that every list has and those named. AWS ignores others; here they are refused,
// since a client that sends one means something by it.
func (a *Advisor) query(c Call, r *Request, names ...string) (url.Values, error) {
	a.mu.Lock()
	noPlan := a.of(c.Account).noPlan
	a.mu.Unlock()
	if noPlan {
		return nil, &Error{Status: 403, Code: "AccessDeniedException", Message: "AWS Premium Support Subscription is required to use this service."}
	}
	q := r.URL.Query()
	for name := range q {
		if !slices.Contains(append(names, "maxResults", "nextToken"), name) {
			return nil, r.Invalid("unknown parameter %s", name)
		}
	}
	return q, nil
}

func fits(want, got string) bool { return want == "" || want == got }

// recommendation is the name of a check's recommendation in an account: its ARN, and the id at its end, in the form of a UUID.
func recommendation(account, check string) (arn, id string) {
	h := sha256.Sum256([]byte(account + check))
	x := hex.EncodeToString(h[:16])
	id = x[:8] + "-" + x[8:12] + "-4" + x[13:16] + "-a" + x[17:20] + "-" + x[20:32]
	return "arn:aws:trustedadvisor::" + account + ":recommendation/" + id, id
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// page is the page of a list that a call asks for; 20 unless it says how many, at most 200.
func page(r *Request, q url.Values, name string, all []any) (any, error) {
	size, from := 20, 0
	if v := q.Get("maxResults"); v != "" {
		var err error
		if size, err = strconv.Atoi(v); err != nil || size < 1 || size > 200 {
			return nil, r.Invalid("1 validation error detected: Value '%s' at 'maxResults' failed to satisfy constraint: Member must be between 1 and 200", v)
		}
	}
	if v := q.Get("nextToken"); v != "" {
		text, err := base64.RawURLEncoding.DecodeString(v)
		if err != nil {
			return nil, r.Invalid("The provided nextToken is invalid")
		}
		if _, err := fmt.Sscanf(string(text), name+" %d", &from); err != nil || from > len(all) {
			return nil, r.Invalid("The provided nextToken is invalid")
		}
	}
	end := min(from+size, len(all))
	out := map[string]any{name: slices.Concat([]any{}, all[from:end])}
	if end < len(all) {
		out["nextToken"] = base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s %d", name, end))
	}
	return out, nil
}
