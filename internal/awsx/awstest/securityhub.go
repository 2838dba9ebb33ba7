package awstest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// SecurityHub is a stand-in for AWS Security Hub (API version 2018-10-26): findings in both
// generations (ASFF and OCSF), finding aggregators, and what customers write to findings. It
// holds state, and refuses what the service refuses. Its methods may be called at the same time.
type SecurityHub struct {
	now func() time.Time

	mu          sync.Mutex
	hubs        map[hubPlace]bool
	members     map[string]map[string]bool // administrator -> members
	links       map[string]hubLink         // account -> its finding aggregator
	findings    map[hubKey]*hubFinding
	events      map[string]*hubEvent // metadata.uid -> OCSF finding
	cursors     map[string]*hubCursor
	unprocessed map[string]string // id -> code that its updates fail with
	tokens      int
	writes      int
}

type hubPlace struct{ account, region string }

// hubLink is a finding aggregator: what the linked regions hold shows in the home region.
type hubLink struct {
	home, mode string
	regions    []string
}

// NewSecurityHub makes a stand-in in which no account has Security Hub enabled.
func NewSecurityHub(now func() time.Time) *SecurityHub {
	return &SecurityHub{
		now: now, hubs: map[hubPlace]bool{}, members: map[string]map[string]bool{}, links: map[string]hubLink{},
		findings: map[hubKey]*hubFinding{}, events: map[string]*hubEvent{}, cursors: map[string]*hubCursor{}, unprocessed: map[string]string{},
	}
}

// Enable turns Security Hub on for an account in regions.
func (h *SecurityHub) Enable(account string, regions ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range regions {
		h.hubs[hubPlace{account, r}] = true
	}
}

// Disable turns Security Hub off for an account in a region. Its findings stay in the state and show nowhere.
func (h *SecurityHub) Disable(account, region string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.hubs, hubPlace{account, region})
}

// Member makes accounts members of an administrator, which sees their findings.
func (h *SecurityHub) Member(administrator string, members ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.members[administrator] == nil {
		h.members[administrator] = map[string]bool{}
	}
	for _, m := range members {
		h.members[administrator][m] = true
	}
}

// Leave ends a membership.
func (h *SecurityHub) Leave(administrator, member string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.members[administrator], member)
}

// Link makes the finding aggregator of an account: home shows what the linked regions hold.
func (h *SecurityHub) Link(account, home string, linked ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.links[account] = hubLink{home: home, mode: "SPECIFIED_REGIONS", regions: slices.Clone(linked)}
}

// Unlink takes the finding aggregator of an account away.
func (h *SecurityHub) Unlink(account string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.links, account)
}

// ExpireTokens makes every page token that was handed out worthless.
func (h *SecurityHub) ExpireTokens() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.cursors)
}

// Writes counts the findings that customers' updates changed so far.
func (h *SecurityHub) Writes() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.writes
}

// Handler answers for the service securityhub.
func (h *SecurityHub) Handler() Handler {
	on := func(route string, do func(*SecurityHub, hubPlace, *Request) (any, error)) Operation {
		return Operation{Route: route, Do: func(c Call, r *Request) (any, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			at := hubPlace{c.Account, c.Region}
			if !h.hubs[at] {
				return nil, hubNotSubscribed(c)
			}
			return do(h, at, r)
		}}
	}
	return Handler{Protocol: RESTJSON, Invalid: "InvalidInputException", Operations: map[string]Operation{
		"GetFindings":            on("POST /findings", (*SecurityHub).getFindings),
		"BatchUpdateFindings":    on("PATCH /findings/batchupdate", (*SecurityHub).batchUpdate),
		"GetFindingsV2":          on("POST /findingsv2", (*SecurityHub).getFindingsV2),
		"BatchUpdateFindingsV2":  on("PATCH /findingsv2/batchupdatev2", (*SecurityHub).batchUpdateV2),
		"ListFindingAggregators": on("GET /findingAggregator/list", (*SecurityHub).listAggregators),
		"GetFindingAggregator":   on("GET /findingAggregator/get/{arn...}", (*SecurityHub).getAggregator),
		"ListAggregatorsV2":      on("GET /aggregatorv2/list", (*SecurityHub).listAggregatorsV2),
		"GetAggregatorV2":        on("GET /aggregatorv2/get/{arn...}", (*SecurityHub).getAggregatorV2),
	}}
}

func hubInvalid(format string, args ...any) error {
	return &Error{Status: http.StatusBadRequest, Code: "InvalidInputException", Message: fmt.Sprintf(format, args...)}
}

func hubInvalidV2(format string, args ...any) error {
	return &Error{Status: http.StatusBadRequest, Code: "ValidationException", Message: fmt.Sprintf(format, args...)}
}

// hubNotSubscribed is the refusal where Security Hub is off. The first generation answers 401
// (API reference, InvalidAccessException), which says nothing about the credentials.
func hubNotSubscribed(c Call) error {
	if strings.HasSuffix(c.Operation, "V2") {
		return &Error{Status: http.StatusForbidden, Code: "AccessDeniedException", Message: "Account " + c.Account + " is not subscribed to AWS Security Hub V2"}
	}
	return &Error{Status: http.StatusUnauthorized, Code: "InvalidAccessException", Message: "Account " + c.Account + " is not subscribed to AWS Security Hub"}
}

// visible reports whether a place shows a finding: its own account's or a member's, of the region itself
// or of one that is linked to it.
func (h *SecurityHub) visible(at hubPlace, account, region string) bool {
	if account != at.account && !h.members[at.account][account] {
		return false
	}
	if !h.hubs[hubPlace{account, region}] {
		return false
	}
	link, has := h.links[at.account]
	return region == at.region || has && link.home == at.region && slices.Contains(link.regions, region)
}

func hubAggregator(account string, l hubLink, v2 bool) string {
	kind := "finding-aggregator"
	if v2 {
		kind = "aggregatorv2"
	}
	return "arn:aws:securityhub:" + l.home + ":" + account + ":" + kind + "/3f1f1d0e-0000-4000-8000-" + account
}

func (h *SecurityHub) listAggregators(at hubPlace, _ *Request) (any, error) {
	list := []map[string]string{}
	if l, has := h.links[at.account]; has {
		list = append(list, map[string]string{"FindingAggregatorArn": hubAggregator(at.account, l, false)})
	}
	return map[string]any{"FindingAggregators": list}, nil
}

func (h *SecurityHub) getAggregator(at hubPlace, r *Request) (any, error) {
	l, has := h.links[at.account]
	arn := hubAggregator(at.account, l, false)
	if !has || r.PathValue("arn") != arn {
		return nil, &Error{Status: http.StatusNotFound, Code: "ResourceNotFoundException", Message: "Finding aggregator " + r.PathValue("arn") + " not found"}
	}
	return map[string]any{"FindingAggregatorArn": arn, "FindingAggregationRegion": l.home, "RegionLinkingMode": l.mode, "Regions": l.regions}, nil
}

func (h *SecurityHub) listAggregatorsV2(at hubPlace, _ *Request) (any, error) {
	list := []map[string]string{}
	if l, has := h.links[at.account]; has {
		list = append(list, map[string]string{"AggregatorV2Arn": hubAggregator(at.account, l, true)})
	}
	return map[string]any{"AggregatorsV2": list}, nil
}

func (h *SecurityHub) getAggregatorV2(at hubPlace, r *Request) (any, error) {
	l, has := h.links[at.account]
	arn := hubAggregator(at.account, l, true)
	if !has || r.PathValue("arn") != arn {
		return nil, &Error{Status: http.StatusNotFound, Code: "ResourceNotFoundException", Message: "Aggregator " + r.PathValue("arn") + " not found"}
	}
	return map[string]any{"AggregatorV2Arn": arn, "AggregationRegion": l.home, "RegionLinkingMode": l.mode, "LinkedRegions": l.regions}, nil
}

// hubDecode reads a part of a body; a member that the operation has not is refused, so that a misspelt one shows.
func hubDecode(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return &Error{Status: http.StatusBadRequest, Code: "SerializationException", Message: err.Error()}
	}
	return nil
}
