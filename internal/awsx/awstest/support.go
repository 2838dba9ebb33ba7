package awstest

import "time"

// Support answers as the AWS Support API, version 2013-04-15, to what it has for Trusted Advisor. It answers in us-east-1 alone.
func (a *Advisor) Support() Handler {
	return Handler{Protocol: JSON11, Target: "AWSSupport_20130415", Invalid: "InvalidParameterValueException", Operations: map[string]Operation{
		"DescribeTrustedAdvisorChecks":               {Do: a.supported(a.describeChecks)},
		"DescribeTrustedAdvisorCheckResult":          {Do: a.supported(a.describeResult)},
		"DescribeTrustedAdvisorCheckRefreshStatuses": {Do: a.supported(a.describeRefreshes)},
		"RefreshTrustedAdvisorCheck":                 {Do: a.supported(a.refresh)},
	}}
}

// supported refuses accounts without a plan and other regions, and holds the lock for what is asked.
func (a *Advisor) supported(do func(*advised, Call, *Request) (any, error)) func(Call, *Request) (any, error) {
	return func(c Call, r *Request) (any, error) {
		if c.Region != "us-east-1" {
			return nil, &Error{Status: 400, Code: "UnknownOperationException"}
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		acc := a.of(c.Account)
		if acc.noPlan {
			return nil, &Error{Status: 400, Code: "SubscriptionRequiredException", Message: "Amazon Web Services Premium Support Subscription is required to use this service."}
		}
		return do(acc, c, r)
	}
}

func (a *Advisor) describeChecks(_ *advised, _ Call, r *Request) (any, error) {
	var in struct {
		Language string `json:"language"`
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if in.Language != "en" {
		return nil, r.Invalid("language: %q", in.Language)
	}
	list := []any{}
	for _, c := range a.checks {
		columns := c.Columns
		if columns == nil {
			columns = []string{}
		}
		list = append(list, map[string]any{"id": c.ID, "name": c.Name, "category": c.Category, "description": c.Description, "metadata": columns})
	}
	return map[string]any{"checks": list}, nil
}

func (a *Advisor) describeResult(acc *advised, _ Call, r *Request) (any, error) {
	var in struct {
		CheckID  string `json:"checkId"`
		Language string `json:"language"`
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if _, ok := a.check(in.CheckID); !ok {
		return nil, r.Invalid("no check %q", in.CheckID)
	}
	res, known := acc.results[in.CheckID]
	if !known {
		res = AdvisorResult{Time: a.now(), Status: "not_available"}
	}
	rows := []any{}
	summary := map[string]int64{"resourcesProcessed": int64(len(res.Rows)), "resourcesFlagged": 0, "resourcesIgnored": 0, "resourcesSuppressed": 0}
	for _, row := range res.Rows {
		cells := make([]*string, len(row.Cells))
		for i := range row.Cells {
			if row.Cells[i] != "" {
				cells[i] = &row.Cells[i]
			}
		}
		m := map[string]any{"status": row.Status, "resourceId": row.id(), "isSuppressed": row.Suppressed, "metadata": cells}
		if row.Region != "" {
			m["region"] = row.Region
		}
		switch {
		case row.Suppressed:
			summary["resourcesSuppressed"]++
		case row.Status != "ok":
			summary["resourcesFlagged"]++
		}
		rows = append(rows, m)
	}
	return map[string]any{"result": map[string]any{
		"checkId": in.CheckID, "timestamp": res.Time.UTC().Format(time.RFC3339), "status": res.Status, "resourcesSummary": summary,
		"categorySpecificSummary": map[string]any{"costOptimizing": map[string]float64{"estimatedMonthlySavings": 0, "estimatedPercentMonthlySavings": 0}},
		"flaggedResources":        rows,
	}}, nil
}

// refresh takes the wish for a new look. The look itself goes on with every question about its state:
// enqueued, processing, success.
func (a *Advisor) refresh(acc *advised, _ Call, r *Request) (any, error) {
	var in struct {
		CheckID string `json:"checkId"`
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if err := a.refreshable(r, in.CheckID); err != nil {
		return nil, err
	}
	if since := acc.since[in.CheckID]; since.IsZero() || a.now().Sub(since) >= refreshAgain {
		acc.since[in.CheckID], acc.state[in.CheckID] = a.now(), "enqueued"
	}
	return map[string]any{"status": a.refreshStatus(acc, in.CheckID)}, nil
}

func (a *Advisor) describeRefreshes(acc *advised, _ Call, r *Request) (any, error) {
	var in struct {
		CheckIDs []string `json:"checkIds"`
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if len(in.CheckIDs) == 0 || len(in.CheckIDs) > 100 {
		return nil, r.Invalid("checkIds: from 1 to 100")
	}
	list := []any{}
	for _, id := range in.CheckIDs {
		if err := a.refreshable(r, id); err != nil {
			return nil, err
		}
		list = append(list, a.refreshStatus(acc, id))
		switch acc.state[id] {
		case "enqueued":
			acc.state[id] = "processing"
		case "processing":
			acc.state[id] = "success"
			if next, ok := acc.next[id]; ok {
				acc.results[id] = next
				delete(acc.next, id)
			}
		}
	}
	return map[string]any{"statuses": list}, nil
}

func (a *Advisor) refreshable(r *Request, id string) error {
	c, ok := a.check(id)
	switch {
	case !ok:
		return r.Invalid("no check %q", id)
	case c.Automatic:
		return r.Invalid("Check %s is not refreshable", id)
	}
	return nil
}

func (a *Advisor) refreshStatus(acc *advised, id string) any {
	state, wait := acc.state[id], time.Duration(0)
	if state == "" {
		state = "none"
	}
	if since := acc.since[id]; !since.IsZero() {
		wait = max(0, refreshAgain-a.now().Sub(since))
	}
	return map[string]any{"checkId": id, "status": state, "millisUntilNextRefreshable": wait.Milliseconds()}
}
