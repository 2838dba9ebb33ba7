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

// support reads an account through the Support API.
func (p *poll) support(ctx context.Context, t awsx.Target) error {
	client := support.NewFromConfig(t.Config)
	out, err := client.DescribeTrustedAdvisorChecks(ctx, &support.DescribeTrustedAdvisorChecksInput{Language: aws.String(language)})
	if err != nil {
		return err
	}
	var checks []check
	for _, d := range out.Checks {
		c := check{id: aws.ToString(d.Id), name: aws.ToString(d.Name), category: aws.ToString(d.Category), description: aws.ToString(d.Description)}
		for _, column := range d.Metadata {
			c.columns = append(c.columns, aws.ToString(column))
		}
		if c.id != "" && p.s.c.wanted(c.id, c.category) {
			checks = append(checks, c)
		}
	}
	if err := p.refresh(ctx, client, t, checks); err != nil {
		return err
	}
	err = p.each(ctx, t, checks, func(ctx context.Context, c check) error {
		out, err := client.DescribeTrustedAdvisorCheckResult(ctx, &support.DescribeTrustedAdvisorCheckResultInput{
			CheckId: aws.String(c.id), Language: aws.String(language)})
		if err != nil {
			return err
		}
		return p.result(ctx, t, c, out.Result)
	})
	if err == nil {
		p.reached(t, checks)
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

// refresh asks Trusted Advisor to look again at what may be refreshed now, and waits a while for it. Most checks refresh
// themselves and refuse, which is remembered. What does not end in time is read at the next poll.
func (p *poll) refresh(ctx context.Context, client *support.Client, t awsx.Target, checks []check) error {
	if !p.s.c.Refresh {
		return nil
	}
	var waiting []string
	for _, c := range checks {
		if !p.s.refreshable(t.Account.ID, c.id) {
			continue
		}
		out, err := client.RefreshTrustedAdvisorCheck(ctx, &support.RefreshTrustedAdvisorCheckInput{CheckId: aws.String(c.id)})
		switch {
		case err == nil && out.Status != nil:
			p.s.refreshed(t.Account.ID, c.id, time.Duration(out.Status.MillisUntilNextRefreshable)*time.Millisecond)
			if underWay(aws.ToString(out.Status.Status)) {
				waiting = append(waiting, c.id)
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
			p.s.o.Log.Debug("refresh refused", "account", t.Account.ID, "check", c.id, "err", awsx.Class(err))
			p.mu.Lock()
			p.unrefresh = append(p.unrefresh, t.Account.ID)
			p.mu.Unlock()
			return nil
		}
	}
	return p.await(ctx, client, waiting)
}

// await waits until refreshes ended, at most as long as the settings say.
func (p *poll) await(ctx context.Context, client *support.Client, waiting []string) error {
	for spent := time.Duration(0); len(waiting) > 0 && spent < p.s.c.RefreshWait; spent += refreshPause {
		if err := p.s.o.Pause(ctx, refreshPause); err != nil {
			return err
		}
		var still []string
		for part := range slices.Chunk(waiting, statusesAtATime) {
			out, err := client.DescribeTrustedAdvisorCheckRefreshStatuses(ctx,
				&support.DescribeTrustedAdvisorCheckRefreshStatusesInput{CheckIds: aws.StringSlice(part)})
			switch {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case err != nil:
				return nil // reading the results shows what is wrong, if it is still
			}
			for _, st := range out.Statuses {
				if underWay(aws.ToString(st.Status)) {
					still = append(still, aws.ToString(st.CheckId))
				}
			}
		}
		waiting = still
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.late += len(waiting)
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
