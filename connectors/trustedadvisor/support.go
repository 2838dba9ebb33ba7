package trustedadvisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/support"
	"github.com/aws/aws-sdk-go-v2/service/support/types"
	"github.com/aws/smithy-go"

	format "github.com/docket-hub/docket/connectors/format/trustedadvisor"
	"github.com/docket-hub/docket/internal/awsx"
)

const (
	// language is that of names and columns. The columns are known in English.
	language = "en"
	// statusesAtATime is how many checks one call asks for the state of their refresh.
	statusesAtATime = 100
	// refreshPause is the time between two such calls.
	refreshPause = 5 * time.Second
)

// prepare lists the wanted checks of an account, and asks those that may be refreshed now to look again.
func (p *poll) prepare(ctx context.Context, m *member) error {
	m.client = support.NewFromConfig(m.target.Config)
	out, err := m.client.DescribeTrustedAdvisorChecks(ctx, &support.DescribeTrustedAdvisorChecksInput{Language: aws.String(language)})
	if err != nil {
		return err
	}
	for _, d := range out.Checks {
		c := check{id: aws.ToString(d.Id), name: aws.ToString(d.Name), category: aws.ToString(d.Category), description: aws.ToString(d.Description)}
		for _, column := range d.Metadata {
			c.columns = append(c.columns, aws.ToString(column))
		}
		if c.id != "" && p.s.c.wanted(c.id, c.category) {
			m.checks = append(m.checks, c)
		}
	}
	if !p.refreshing {
		return nil
	}
	return p.refresh(ctx, m)
}

// results reads what each check found.
func (p *poll) results(ctx context.Context, m *member) error {
	err := p.each(ctx, m.target, m.checks, func(ctx context.Context, c check) error {
		out, err := m.client.DescribeTrustedAdvisorCheckResult(ctx, &support.DescribeTrustedAdvisorCheckResultInput{
			CheckId: aws.String(c.id), Language: aws.String(language)})
		if err != nil {
			return err
		}
		return p.result(ctx, m.target, c, out.Result)
	})
	if err == nil {
		p.reached(m.target, m.checks)
	}
	return err
}

// result hands over what a check lists. A check that could not look says nothing, neither by its rows nor by their absence.
func (p *poll) result(ctx context.Context, t awsx.Target, c check, res *types.TrustedAdvisorCheckResult) error {
	if res == nil || aws.ToString(res.Status) == format.StatusNotAvailable {
		return nil
	}
	at, err := time.Parse(time.RFC3339, aws.ToString(res.Timestamp))
	if err != nil {
		at = p.start
	}
	status := aws.ToString(res.Status)
	rows := make([]format.Record, 0, len(res.FlaggedResources))
	for _, r := range res.FlaggedResources {
		rows = append(rows, format.Record{
			Status: aws.ToString(r.Status), Region: aws.ToString(r.Region), ResourceID: aws.ToString(r.ResourceId),
			IsSuppressed: r.IsSuppressed, Metadata: named(c.columns, r.Metadata),
		})
	}
	if len(rows) == 0 {
		rows = whole(c, status)
	}
	for i := range rows {
		rows[i].CheckStatus, rows[i].Timestamp = status, at.UTC().Format(time.RFC3339Nano)
	}
	l := &listing{p: p, account: t.Account.ID, check: c}
	if err := l.rows(ctx, rows); err != nil {
		return err
	}
	return l.end(ctx, at.UTC())
}

// named puts the cells of a row under the names of their columns. A cell without a column, or
// under the name of another, gets a name of its own.
func named(columns []string, row []*string) map[string]string {
	cells := map[string]string{}
	for i, cell := range row {
		if cell == nil || *cell == "" {
			continue
		}
		name := fmt.Sprintf("Column %d", i+1)
		if i < len(columns) && strings.TrimSpace(columns[i]) != "" {
			name = strings.TrimSpace(columns[i])
		}
		if _, taken := cells[name]; taken {
			name = fmt.Sprintf("%s (%d)", name, i+1)
		}
		cells[name] = *cell
	}
	return cells
}

// refresh asks Trusted Advisor to look again at what may be refreshed now. Most checks refresh themselves and refuse,
// which is remembered.
func (p *poll) refresh(ctx context.Context, m *member) error {
	account := m.target.Account.ID
	for _, c := range m.checks {
		if !p.s.refreshable(account, c.id) {
			continue
		}
		out, err := m.client.RefreshTrustedAdvisorCheck(ctx, &support.RefreshTrustedAdvisorCheckInput{CheckId: aws.String(c.id)})
		switch {
		case err == nil && out.Status != nil:
			p.s.refreshed(account, c.id, time.Duration(out.Status.MillisUntilNextRefreshable)*time.Millisecond)
			if underWay(aws.ToString(out.Status.Status)) {
				m.waiting = append(m.waiting, c.id)
			}
		case err == nil:
		case invalid(err):
			p.s.refreshesItself(c.id)
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case awsx.NotEnabled(err):
			return err
		default:
			// The results are there all the same, only older.
			p.s.o.Log.Debug("refresh refused", "account", account, "check", c.id, "err", awsx.Class(err))
			p.mu.Lock()
			p.unrefresh = append(p.unrefresh, account)
			p.mu.Unlock()
			return nil
		}
	}
	return nil
}

// await waits until the refreshes of all accounts ended, at most as long as the settings say. What does not end in
// time is read at the next poll.
func (p *poll) await(ctx context.Context) error {
	waits := func(m *member) bool { return len(m.waiting) > 0 }
	left := p.targets(waits)
	for spent := time.Duration(0); len(left) > 0 && spent < p.s.c.RefreshWait; spent += refreshPause {
		if err := p.s.o.Pause(ctx, refreshPause); err != nil {
			return err
		}
		if _, err := awsx.Each(ctx, left, accountsAtATime, func(ctx context.Context, t awsx.Target) error {
			return p.look(ctx, p.member(t))
		}); err != nil {
			return err
		}
		left = p.targets(waits)
	}
	for _, t := range left {
		p.late += len(p.member(t).waiting)
	}
	return nil
}

// look asks once how far the refreshes of an account are.
func (p *poll) look(ctx context.Context, m *member) error {
	var still []string
	for part := range slices.Chunk(m.waiting, statusesAtATime) {
		out, err := m.client.DescribeTrustedAdvisorCheckRefreshStatuses(ctx,
			&support.DescribeTrustedAdvisorCheckRefreshStatusesInput{CheckIds: aws.StringSlice(part)})
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			continue // reading the results shows what is wrong, if it is still
		}
		for _, st := range out.Statuses {
			if underWay(aws.ToString(st.Status)) {
				still = append(still, aws.ToString(st.CheckId))
			}
		}
	}
	m.waiting = still
	return nil
}

// underWay tells the states of a refresh that has not ended. The others are none, success and
// abandoned (Support API reference, TrustedAdvisorCheckRefreshStatus).
func underWay(status string) bool { return status == "enqueued" || status == "processing" }

// invalid reports whether AWS called a check's id wrong, as it does for a refresh of a check that refreshes itself.
func invalid(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && strings.HasPrefix(api.ErrorCode(), "InvalidParameterValue")
}

func (s *Source) refreshable(account, check string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.automatic[check] && !s.o.Now().Before(s.notBefore[account+"/"+check])
}

func (s *Source) refreshed(account, check string, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notBefore[account+"/"+check] = s.o.Now().Add(wait)
}

func (s *Source) refreshesItself(check string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.automatic[check] = true
}
