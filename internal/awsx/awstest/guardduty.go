package awstest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// GuardDuty is a stand-in for Amazon GuardDuty, API version 2017-11-28: detectors by account and region, the members
// that an administrator account sees, and findings. Its methods may be called at the same time.
//
//	duty := awstest.NewGuardDuty()
//	duty.Enable("111122223333", "eu-west-1")
//	server.Handle("guardduty", duty.Handler())
type GuardDuty struct {
	mu     sync.Mutex
	places map[dutyPlace]*detector
	tokens int // page tokens of an earlier generation are refused
}

type dutyPlace struct{ account, region string }

type detector struct {
	id       string
	admin    string // the account that administers this one
	members  []string
	findings []*dutyFinding
}

// dutyFinding is a finding as the service keeps it.
type dutyFinding struct {
	ID       string
	Account  string
	Updated  time.Time
	Severity float64
	Type     string
	Archived bool
	doc      map[string]any
}

// NewGuardDuty makes one that is enabled nowhere.
func NewGuardDuty() *GuardDuty { return &GuardDuty{places: map[dutyPlace]*detector{}} }

// Handler answers for the service.
func (g *GuardDuty) Handler() Handler {
	return Handler{Protocol: RESTJSON, Invalid: dutyRefusal, Operations: map[string]Operation{
		"ListDetectors":     {Route: "GET /detector", Do: g.listDetectors},
		"ListMembers":       {Route: "GET /detector/{detectorId}/member", Do: g.listMembers},
		"ListFindings":      {Route: "POST /detector/{detectorId}/findings", Do: g.listFindings},
		"GetFindings":       {Route: "POST /detector/{detectorId}/findings/get", Do: g.getFindings},
		"ArchiveFindings":   {Route: "POST /detector/{detectorId}/findings/archive", Do: g.archive(true)},
		"UnarchiveFindings": {Route: "POST /detector/{detectorId}/findings/unarchive", Do: g.archive(false)},
	}}
}

// Enable switches the service on and returns the detector's id: 32 hex digits, always the same for a place.
func (g *GuardDuty) Enable(account, region string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.enable(account, region).id
}

func (g *GuardDuty) enable(account, region string) *detector {
	at := dutyPlace{account, region}
	if g.places[at] == nil {
		sum := sha256.Sum256([]byte(account + "/" + region))
		g.places[at] = &detector{id: hex.EncodeToString(sum[:16])}
	}
	return g.places[at]
}

// Disable switches the service off; its findings are gone, as they are in AWS.
func (g *GuardDuty) Disable(account, region string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.places, dutyPlace{account, region})
}

// Administer makes one account the administrator of another in a region. Both are enabled.
func (g *GuardDuty) Administer(admin, member, region string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a, m := g.enable(admin, region), g.enable(member, region)
	m.admin = admin
	if !slices.Contains(a.members, member) {
		a.members = append(a.members, member)
	}
}

// Put adds a finding, or puts it in the place of the one with its id, and enables the service where the finding is. The
// document has the API's members in its camelCase; arn, partition, schemaVersion, service.detectorId,
// service.archived and service.count are filled in where they are missing.
func (g *GuardDuty) Put(doc json.RawMessage) error {
	var f struct {
		ID        string    `json:"id"`
		Account   string    `json:"accountId"`
		Region    string    `json:"region"`
		Type      string    `json:"type"`
		UpdatedAt time.Time `json:"updatedAt"`
		Severity  float64   `json:"severity"`
		Service   struct {
			Archived bool `json:"archived"`
		} `json:"service"`
	}
	var all map[string]any
	if err := cmp.Or(json.Unmarshal(doc, &f), json.Unmarshal(doc, &all)); err != nil {
		return fmt.Errorf("reading a finding: %w", err)
	}
	if f.ID == "" || f.Account == "" || f.Region == "" || f.Type == "" || f.UpdatedAt.IsZero() {
		return fmt.Errorf("a finding wants id, accountId, region, type and updatedAt: %s", doc)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.enable(f.Account, f.Region)
	service, _ := all["service"].(map[string]any)
	if service == nil {
		service = map[string]any{}
		all["service"] = service
	}
	fill := func(m map[string]any, name string, value any) {
		if _, ok := m[name]; !ok {
			m[name] = value
		}
	}
	fill(all, "partition", "aws")
	fill(all, "schemaVersion", "2.0")
	fill(all, "arn", fmt.Sprintf("arn:aws:guardduty:%s:%s:detector/%s/finding/%s", f.Region, f.Account, d.id, f.ID))
	fill(service, "detectorId", d.id)
	fill(service, "serviceName", "guardduty")
	fill(service, "count", 1)
	kept := &dutyFinding{ID: f.ID, Account: f.Account, Updated: f.UpdatedAt.Truncate(time.Millisecond), Severity: f.Severity, Type: f.Type, Archived: f.Service.Archived, doc: all}
	if i := slices.IndexFunc(d.findings, func(x *dutyFinding) bool { return x.ID == f.ID }); i >= 0 {
		d.findings[i] = kept
	} else {
		d.findings = append(d.findings, kept)
	}
	return nil
}

// Expire takes a finding away, as GuardDuty does after 90 days.
func (g *GuardDuty) Expire(account, region, id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if d := g.places[dutyPlace{account, region}]; d != nil {
		d.findings = slices.DeleteFunc(d.findings, func(f *dutyFinding) bool { return f.ID == id })
	}
}

// Archive archives a finding or takes it back, as a person does in the console. Its updatedAt stays: that is "the last
// time this finding was updated with new activity" (GuardDuty user guide, "Finding details").
func (g *GuardDuty) Archive(account, region, id string, archived bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f := g.find(account, region, id); f != nil {
		f.Archived = archived
	}
}

// Archived reports whether a finding is there and archived.
func (g *GuardDuty) Archived(account, region, id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.find(account, region, id)
	return f != nil && f.Archived
}

// ExpireTokens makes every page token that was handed out bad.
func (g *GuardDuty) ExpireTokens() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tokens++
}

func (g *GuardDuty) find(account, region, id string) *dutyFinding {
	d := g.places[dutyPlace{account, region}]
	if d == nil {
		return nil
	}
	if i := slices.IndexFunc(d.findings, func(f *dutyFinding) bool { return f.ID == id }); i >= 0 {
		return d.findings[i]
	}
	return nil
}

// dutyRefusal is GuardDuty's code for whatever is wrong with a request.
const dutyRefusal = "BadRequestException"

// detector is the one that a request names; it has to be the caller's.
func (g *GuardDuty) detector(c Call, r *Request) (*detector, error) {
	d := g.places[dutyPlace{c.Account, c.Region}]
	if d == nil || d.id != r.PathValue("detectorId") {
		return nil, r.Invalid("The request is rejected because the input detectorId is not owned by the current account.")
	}
	return d, nil
}

// visible are the findings of a detector: its own and its members'.
func (g *GuardDuty) visible(c Call, d *detector) []*dutyFinding {
	all := slices.Clone(d.findings)
	for _, m := range d.members {
		if x := g.places[dutyPlace{m, c.Region}]; x != nil {
			all = append(all, x.findings...)
		}
	}
	return all
}

// dutyPage reads maxResults and nextToken of a GET.
func dutyPage(r *Request, total int) (from, to int, err error) {
	q := r.URL.Query()
	size := 50
	for name := range q {
		switch name {
		case "maxResults", "nextToken", "onlyAssociated":
		default:
			return 0, 0, r.Invalid("The request is rejected because the parameter %s is not known.", name)
		}
	}
	if v := q.Get("maxResults"); v != "" {
		if size, err = strconv.Atoi(v); err != nil || size < 1 || size > 50 {
			return 0, 0, r.Invalid("The request is rejected because an invalid or out-of-range value is specified as an input parameter.")
		}
	}
	if v := q.Get("nextToken"); v != "" {
		if from, err = strconv.Atoi(strings.TrimPrefix(v, "at-")); err != nil || from < 1 || from >= total {
			return 0, 0, r.Invalid("The request is rejected because the parameter nextToken has an invalid value.")
		}
	}
	return from, min(from+size, total), nil
}

func nextAt(to, total int) string {
	if to < total {
		return "at-" + strconv.Itoa(to)
	}
	return "" // GuardDuty ends a list with an empty token
}

func (g *GuardDuty) listDetectors(c Call, r *Request) (any, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	ids := []string{}
	if d := g.places[dutyPlace{c.Account, c.Region}]; d != nil {
		ids = append(ids, d.id)
	}
	from, to, err := dutyPage(r, len(ids))
	if err != nil {
		return nil, err
	}
	return map[string]any{"detectorIds": ids[from:to], "nextToken": nextAt(to, len(ids))}, nil
}

func (g *GuardDuty) listMembers(c Call, r *Request) (any, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d, err := g.detector(c, r)
	if err != nil {
		return nil, err
	}
	from, to, err := dutyPage(r, len(d.members))
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, m := range d.members[from:to] {
		x := g.places[dutyPlace{m, c.Region}]
		if x == nil {
			continue
		}
		list = append(list, map[string]any{"accountId": m, "detectorId": x.id, "administratorId": c.Account, "masterId": c.Account,
			"email": m + "@example.com", "relationshipStatus": "Enabled", "updatedAt": "2026-01-01T00:00:00.000Z"})
	}
	return map[string]any{"members": list, "nextToken": nextAt(to, len(d.members))}, nil
}

// archive answers ArchiveFindings and UnarchiveFindings, which only an account may call that nobody administers.
func (g *GuardDuty) archive(archived bool) func(Call, *Request) (any, error) {
	return func(c Call, r *Request) (any, error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		d, err := g.detector(c, r)
		if err != nil {
			return nil, err
		}
		if d.admin != "" {
			return nil, r.Invalid("The request is rejected because the caller is a member account and is not authorized to call this API.")
		}
		ids, err := findingIDs(r, nil)
		if err != nil {
			return nil, err
		}
		for _, f := range g.visible(c, d) {
			if ids[f.ID] {
				f.Archived = archived
			}
		}
		return nil, nil
	}
}

// findingIDs reads the ids that a request names, and into sort its order where the operation has one.
func findingIDs(r *Request, sort **dutySort) (map[string]bool, error) {
	var in struct {
		IDs  []string  `json:"findingIds"`
		Sort *dutySort `json:"sortCriteria"`
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if in.IDs == nil || len(in.IDs) > 50 {
		return nil, r.Invalid("The request is rejected because the number of requested finding ids is out-of-bounds.")
	}
	if in.Sort != nil && sort == nil {
		return nil, r.Invalid("The request is rejected because the parameter sortCriteria is not known.")
	}
	if sort != nil {
		*sort = in.Sort
	}
	ids := make(map[string]bool, len(in.IDs))
	for _, id := range in.IDs {
		ids[id] = true
	}
	return ids, nil
}

// getFindings answers with what is found, in the order that is asked for; an id that is not there is left out.
func (g *GuardDuty) getFindings(c Call, r *Request) (any, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d, err := g.detector(c, r)
	if err != nil {
		return nil, err
	}
	var order *dutySort
	ids, err := findingIDs(r, &order)
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(g.visible(c, d), func(f *dutyFinding) bool { return !ids[f.ID] })
	if err := order.sort(r, found); err != nil {
		return nil, err
	}
	docs := make([]any, len(found))
	for i, f := range found {
		f.doc["service"].(map[string]any)["archived"] = f.Archived
		text, err := json.Marshal(f.doc)
		if err != nil {
			return nil, err
		}
		docs[i] = json.RawMessage(text)
	}
	return map[string]any{"findings": docs}, nil
}
