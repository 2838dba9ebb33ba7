package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/internal/api"
)

func (p *program) sinksCommand() *cobra.Command {
	return group("sinks", "Look at sinks, prove their settings, see a ticket as one would write it",
		"A sink is where tickets and messages go.\n\n  docket sinks list\n  docket sinks test jira\n  docket sinks preview DK-1",
		p.sinksList(), p.sinksTest(), p.sinksPreview())
}

func (p *program) sinksList() *cobra.Command {
	var o output
	list := &cobra.Command{
		Use: "list", Short: "List sinks with what waits for them",
		Long: `List shows each sink: its open tickets, what is on its way to it and since when, what is
stuck, and the last call that it took or refused. "stopped" is a sink that refuses
our credentials, "held" one that nothing is sent to now and why. What its calls say is
known while docket runs.

  docket sinks list`,
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				rows, err := svc.Sinks(ctx)
				if err != nil {
					return err
				}
				return p.show(o, rows, func(pg *page) { drawSinks(pg, rows) })
			})
		},
	}
	o.flag(list)
	return list
}

func drawSinks(pg *page, rows []api.SinkRow) {
	t := newTable("NAME", "TYPE", "STATE", "WAITING", "SINCE", "PARKED", "DEAD", "GONE", "LAST SUCCESS", "LAST ERROR")
	for i := range rows {
		r := &rows[i]
		state, why := stateCell("ok"), r.LastError
		switch {
		case r.Lost:
			state = stateCell("lost")
		case r.Stopped != "":
			state, why = cell{"stopped", red}, r.Stopped
		case r.Held == "breaker":
			state = cell{"no answer", red}
		case r.Held == "brake":
			state = cell{"braked", yellow}
		case r.Held != "":
			state = cell{"asked to wait", yellow}
		case r.LastErrorAt.After(r.LastSuccess) || r.LastError != "" && r.LastErrorAt.IsZero():
			state = stateCell("failed")
		}
		if why != "" && !r.LastErrorAt.IsZero() {
			why = stamp(r.LastErrorAt) + ": " + why
		}
		if r.PollError != "" && why == "" {
			why = "asking what people changed: " + r.PollError
		}
		t.row(r.Name, r.Type, state, r.Waiting, stamp(r.Oldest), r.Parked, r.Dead, r.Gone, stamp(r.LastSuccess), why)
	}
	pg.table(t)
	for i := range rows {
		r := &rows[i]
		if r.Lost {
			pg.line("%s is known from earlier runs and not configured: give its successor `formerly: [%s]`, or keep it with `retired: true`", cell{r.Name, red}, r.Name)
		}
		if !r.HeldTill.IsZero() {
			pg.line("%s: no call before %s", r.Name, stamp(r.HeldTill))
		}
	}
}

func (p *program) sinksTest() *cobra.Command {
	var o output
	var create bool
	c := &cobra.Command{
		Use: "test [NAME...]", Short: "Prove that a sink's settings are right",
		Long: `Test asks each sink to prove its settings: credentials, place, types, fields, priorities,
states, rights. It changes nothing. With --create a marked test ticket is made, found
by its key, changed, commented, closed, and removed where the sink can do that; it is
cleared away also when you stop the command. It exits with 1 when something failed.

  docket sinks test
  docket sinks test jira --create`,
		Args: arguments(0, -1, ""),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				tell, end := p.progress()
				got, err := svc.TestSinks(ctx, args, create, tell)
				end()
				if got == nil && err != nil {
					return err
				}
				if err := p.show(o, got, func(pg *page) { drawSinkTests(pg, got) }); err != nil {
					return err
				}
				if err != nil {
					return err
				}
				return sinkTestError(got)
			})
		},
	}
	c.Flags().BoolVar(&create, "create", false, "make a test ticket in each sink, and clear it away")
	o.flag(c)
	return c
}

func sinkTestError(tests []api.SinkTest) error {
	var failed []string
	for i := range tests {
		if tests[i].Failed {
			failed = append(failed, tests[i].Sink)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %s failed: %s", len(failed), count(len(tests), "sink"), clean(strings.Join(failed, ", ")))
}

func drawSinkTests(pg *page, tests []api.SinkTest) {
	for i := range tests {
		t := &tests[i]
		pg.line("%s (%s)", cell{t.Sink, bold}, t.Type)
		for _, c := range t.Checks {
			drawCheck(pg, &c)
		}
		for _, c := range t.Steps {
			drawCheck(pg, &c)
		}
		if !t.Left.IsZero() {
			pg.line("  the test ticket is still there: %s", refText(t.Left.Key, t.Left.ID, t.Left.URL))
		}
	}
}

// refText is a record as people find it.
func refText(words ...string) string {
	var out []string
	for _, w := range words {
		if w != "" && !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return strings.Join(out, " ")
}

func drawCheck(pg *page, c *api.CheckRow) {
	state := map[string]cell{api.CheckOK: {"ok     ", green}, api.CheckFailed: {"failed ", red}, api.CheckSkipped: {"skipped", yellow}}[c.State]
	if c.State != api.CheckFailed {
		if c.Fact == "" {
			pg.line("  %s  %s", state, c.Name)
			return
		}
		pg.line("  %s  %s: %s", state, c.Name, c.Fact)
		return
	}
	pg.line("  %s  %s: %s", state, c.Name, c.Error)
	if c.Key != "" {
		pg.line("           at    %s", refText(c.At, c.Key))
	}
	if c.Have != "" {
		pg.line("           have  %s", c.Have)
	}
	if c.Fix != "" {
		pg.line("           fix   %s", c.Fix)
	}
}

func (p *program) sinksPreview() *cobra.Command {
	var o output
	var sink string
	c := &cobra.Command{
		Use: "preview CASE", Short: "Show a ticket as a sink would write it",
		Long: `Preview shows the ticket of a case as each of its sinks would write it now: title, text
and fields. It changes nothing.

  docket sinks preview DK-12
  docket sinks preview DK-12 --sink jira -o json`,
		Args: arguments(1, 1, "a case, such as DK-12, or its ticket"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				got, err := svc.Preview(ctx, args[0], sink)
				if err != nil {
					return err
				}
				return p.show(o, got, func(pg *page) { drawPreviews(pg, got) })
			})
		},
	}
	c.Flags().StringVar(&sink, "sink", "", "one sink, also one that the case has no ticket in")
	o.flag(c)
	return c
}

func drawPreviews(pg *page, list []api.TicketPreview) {
	for i := range list {
		v := &list[i]
		if v.Format == "" {
			pg.line("%s (%s) cannot show what it would write", cell{v.Sink, bold}, v.Type)
			continue
		}
		pg.line("%s (%s), %s", cell{v.Sink, bold}, v.Type, v.Format)
		pg.line("title: %s", v.Title)
		for _, name := range slices.Sorted(maps.Keys(v.Fields)) {
			pg.line("%s: %s", name, fieldText(v.Fields[name]))
		}
		for line := range strings.SplitSeq(strings.TrimRight(v.Body, "\n"), "\n") {
			pg.line("%s", "| "+line)
		}
	}
}

// fieldText is a field's value on one line.
func fieldText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	var b strings.Builder
	if err := writeJSON(&b, v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
