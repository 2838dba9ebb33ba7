package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
)

// acting is the flags of every command that acts.
type acting struct {
	output
	as   string
	text string
}

func (a *acting) flags(c *cobra.Command) {
	a.output.flag(c)
	c.Flags().StringVar(&a.as, "as", "", "who is acting, an e-mail address (default the operating system's user)")
}

// who is recorded as acting.
func (p *program) who(c *cobra.Command, a *acting) (string, error) {
	if by := strings.TrimSpace(a.as); by != "" {
		return by, nil
	}
	if by := p.user(); by != "" {
		return by, nil
	}
	return "", misuse(c, "the operating system does not say who you are: name yourself with --as EMAIL")
}

// reference matches DK-12, PAY-482 and INC0010023: words that name a case behind the first one.
var reference = regexp.MustCompile(`^#?[A-Za-z][A-Za-z_]*-?[0-9]+$`)

// splitText tells the cases from the words behind them. The first argument is
// always a case; --message takes all as cases.
func splitText(args []string, message string) (cases []string, text string) {
	if message != "" {
		return args, message
	}
	n := 1
	for n < len(args) && reference.MatchString(args[n]) {
		n++
	}
	return args[:n], strings.Join(args[n:], " ")
}

// verb describes a command that acts on cases.
type verb struct {
	verb        pipeline.Verb
	use         string
	short, long string
	text        bool // words behind the cases are a text
	flags       func(*cobra.Command)
	// fill completes the interaction from the command's own flags.
	fill func(*cobra.Command, *pipeline.Interaction) error
}

func (p *program) addVerbs(parent *cobra.Command) {
	parent.AddCommand(p.ackCommand(), p.snoozeCommand(), p.assignCommand(), p.closeCommand(), p.ticketCommand())
	for _, v := range []verb{
		{verb: pipeline.VerbUnack, use: "unack CASE...", short: "Give cases back",
			long: "Unack ends an ack, so that the case is nobody's again.\n\n  docket cases unack DK-12"},
		{verb: pipeline.VerbComment, use: "comment CASE... TEXT", short: "Write a comment on cases and their tickets", text: true,
			long: "Comment writes a comment into the case's story and onto its tickets.\n\n  docket cases comment DK-12 the patch is in review",
			fill: func(c *cobra.Command, in *pipeline.Interaction) error {
				if in.Text == "" {
					return misuse(c, "%s needs a text behind the case, or --message", c.CommandPath())
				}
				return nil
			}},
		{verb: pipeline.VerbReopen, use: "reopen CASE... [TEXT]", short: "Open closed cases again", text: true,
			long: "Reopen takes a person's close back: the findings count again and the ticket is opened.\n\n  docket cases reopen DK-12 it is not fixed"},
		{verb: pipeline.VerbMove, use: "move CASE...", short: "Let cases follow changed rules",
			long: `Move puts the findings of a case where the rules in force want them: a new ticket, and
the old one closed with a link. "docket plan" lists what would move.

  docket cases move DK-12`},
	} {
		parent.AddCommand(p.verbCommand(v))
	}
}

func (p *program) verbCommand(v verb) *cobra.Command {
	var a acting
	c := &cobra.Command{
		Use: v.use, Short: v.short, Long: v.long, Args: arguments(1, -1, "a case, such as DK-12, or its ticket"),
		RunE: func(c *cobra.Command, args []string) error {
			in := pipeline.Interaction{Verb: v.verb, Cases: args}
			if v.text {
				in.Cases, in.Text = splitText(args, a.text)
			}
			if v.fill != nil {
				if err := v.fill(c, &in); err != nil {
					return err
				}
			}
			return p.act(c, &a, in)
		},
	}
	a.flags(c)
	if v.text {
		c.Flags().StringVarP(&a.text, "message", "m", "", "the text; without it, the words behind the cases")
	}
	if v.flags != nil {
		v.flags(c)
	}
	return c
}

func (p *program) ackCommand() *cobra.Command {
	var lasts string
	return p.verbCommand(verb{
		verb: pipeline.VerbAck, use: "ack CASE... [TEXT]", short: "Take cases on", text: true,
		long: `Ack says that you took a case on. It lasts for ack.for unless --for says otherwise, and a
rise in priority ends it.

  docket cases ack DK-12 DK-13 --for 3d waiting for the vendor`,
		flags: func(c *cobra.Command) {
			c.Flags().StringVar(&lasts, "for", "", "how long, such as 3d (default ack.for of the configuration)")
		},
		fill: func(c *cobra.Command, in *pipeline.Interaction) error {
			if lasts == "" {
				return nil
			}
			var err error
			in.Until, err = p.lasting(c, lasts)
			return err
		},
	})
}

func (p *program) snoozeCommand() *cobra.Command {
	var lasts, until string
	return p.verbCommand(verb{
		verb: pipeline.VerbSnooze, use: "snooze CASE...", short: "No reminder and no chat post for a while",
		long: "Snooze keeps docket quiet about a case until then; its ticket and its SLA go on.\n\n  docket cases snooze DK-12 --for 7d",
		flags: func(c *cobra.Command) {
			c.Flags().StringVar(&lasts, "for", "", "how long, such as 7d")
			c.Flags().StringVar(&until, "until", "", "until the end of that day, or that instant")
		},
		fill: func(c *cobra.Command, in *pipeline.Interaction) error {
			var err error
			switch {
			case (lasts == "") == (until == ""):
				return misuse(c, "%s needs --for 7d or --until 2026-01-31, one of them", c.CommandPath())
			case lasts != "":
				in.Until, err = p.lasting(c, lasts)
			default:
				in.Until, err = p.until(c, until)
			}
			return err
		},
	})
}

func (p *program) assignCommand() *cobra.Command {
	var to string
	return p.verbCommand(verb{
		verb: pipeline.VerbAssign, use: "assign CASE... --to PERSON", short: "Give cases to somebody",
		long:  "Assign makes somebody the assignee of a case and of its tickets.\n\n  docket cases assign DK-12 --to ada@example.com",
		flags: func(c *cobra.Command) { c.Flags().StringVar(&to, "to", "", "whom, an e-mail address") },
		fill: func(c *cobra.Command, in *pipeline.Interaction) error {
			if in.Text = strings.TrimSpace(to); in.Text == "" {
				return misuse(c, "%s needs --to EMAIL", c.CommandPath())
			}
			return nil
		},
	})
}

func (p *program) closeCommand() *cobra.Command {
	var wontFix bool
	return p.verbCommand(verb{
		verb: pipeline.VerbClose, use: "close CASE... [TEXT]", short: "Close cases by hand", text: true,
		long: `Close closes a case and its tickets. A source that looks again later and still reports a
finding opens it once more; with --wont-fix it asks for a suppression instead.

  docket cases close DK-12 --wont-fix the host goes away in March`,
		flags: func(c *cobra.Command) {
			c.Flags().BoolVar(&wontFix, "wont-fix", false, "nobody will fix it: do not reopen it")
		},
		fill: func(_ *cobra.Command, in *pipeline.Interaction) error {
			in.WontFix = wontFix
			return nil
		},
	})
}

// act hands an interaction in and prints what became of it.
func (p *program) act(c *cobra.Command, a *acting, in pipeline.Interaction) error {
	if err := a.check(c); err != nil {
		return err
	}
	by, err := p.who(c, a)
	if err != nil {
		return err
	}
	return p.ask(c, func(ctx context.Context, svc api.Service) error {
		return p.actOn(ctx, svc, a, by, in)
	})
}

func (p *program) actOn(ctx context.Context, svc api.Service, a *acting, by string, in pipeline.Interaction) error {
	got, err := p.interact(ctx, svc, by, in)
	if err != nil {
		return err
	}
	return p.acted(a, &got)
}

// interact hands one interaction in.
func (p *program) interact(ctx context.Context, svc api.Service, by string, in pipeline.Interaction) (api.ActResult, error) {
	in.By, in.Via, in.ID = by, "cli", rand.Text()
	return svc.Act(ctx, in)
}

// acted prints what became of interactions.
func (p *program) acted(a *acting, got *api.ActResult) error {
	if err := p.show(a.output, got, func(pg *page) { drawActed(pg, got) }); err != nil {
		return err
	}
	if got.Refused {
		return errors.New("not everything was done: see what was refused and why")
	}
	return nil
}

func drawActed(pg *page, got *api.ActResult) {
	for _, l := range got.Lines {
		kind := cell{l.Kind, green}
		if l.Kind == "refused" {
			kind.colour = red
		}
		pg.line("%s  %s", kind, l.Text)
	}
	if len(got.Lines) == 0 {
		pg.line("%s", "recorded")
	}
}

func (p *program) ticketCommand() *cobra.Command {
	var a acting
	var f filter
	var findings []string
	var yes bool
	c := &cobra.Command{
		Use: "ticket [CASE...]", Short: "Make tickets now for cases that have none",
		Long: `Ticket asks for the tickets of cases that wait: tickets_from, for and limits do not hold
them any more. It shows each case and asks once.

  docket cases ticket DK-12 DK-13
  docket cases ticket --finding 3f2a9c01d4e7
  docket cases ticket --team payments --priority P3 --yes`,
		Args: arguments(0, -1, ""),
		RunE: func(c *cobra.Command, args []string) error {
			if err := a.check(c); err != nil {
				return err
			}
			ways := 0
			for _, given := range []bool{len(args) > 0, len(findings) > 0, f.given()} {
				if given {
					ways++
				}
			}
			if ways != 1 {
				return misuse(c, "%s needs cases (DK-12), --finding, or filters such as --team, one of them", c.CommandPath())
			}
			if err := p.readFilter(c, &f); err != nil {
				return err
			}
			by, err := p.who(c, &a)
			if err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				rows, err := selected(ctx, svc, args, findings, f)
				if err != nil {
					return err
				}
				if len(rows) == 0 {
					return errors.New("no case that waits for a ticket fits: `docket cases list` shows all")
				}
				if err := p.confirm(c, rows, yes); err != nil {
					return err
				}
				in := pipeline.Interaction{Verb: pipeline.VerbTicket}
				for i := range rows {
					in.Cases = append(in.Cases, rows[i].Case)
				}
				return p.actOn(ctx, svc, &a, by, in)
			})
		},
	}
	a.flags(c)
	f.flags(c, "waiting (the default), held, disputed, recurring, acked")
	c.Flags().StringSliceVar(&findings, "finding", nil, "the cases of these findings, by fingerprint")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return c
}

// selected are the cases that the arguments, the findings or the filter name, each once.
func selected(ctx context.Context, svc api.Service, ids, findings []string, f filter) ([]api.CaseRow, error) {
	for _, print := range findings {
		d, err := svc.Finding(ctx, print)
		if err != nil {
			return nil, err
		}
		if d.Case == "" {
			return nil, fmt.Errorf("finding %s is in no case: `docket explain %s` says why", d.Fingerprint.Short(), d.Fingerprint.Short())
		}
		ids = append(ids, d.Case)
	}
	var out []api.CaseRow
	seen := map[string]bool{}
	for _, id := range ids {
		d, err := svc.Case(ctx, id)
		if err != nil {
			return nil, err
		}
		if !seen[d.Case] {
			seen[d.Case] = true
			out = append(out, d.CaseRow)
		}
	}
	if len(ids) > 0 {
		return out, nil
	}
	f.all = true
	if len(f.State) == 0 {
		f.State = []string{"waiting"}
	}
	list, err := f.cases(ctx, svc)
	for _, r := range list.Cases {
		if r.State == "open" && r.Reason != "" && r.Reason != "no sinks" {
			out = append(out, r)
		}
	}
	return out, err
}

// confirm shows the cases and asks once.
func (p *program) confirm(c *cobra.Command, rows []api.CaseRow, yes bool) error {
	pg := &page{width: p.width, colour: p.colour && p.errTTY}
	t := newTable("CASE", "PRIORITY", "TEAM", "TITLE")
	for i := range rows {
		t.row(rows[i].Case, priorityCell(rows[i].Priority), rows[i].Team, rows[i].Title)
	}
	pg.table(t)
	if _, err := fmt.Fprint(p.err, pg.b.String()); err != nil || yes {
		return err
	}
	if !p.inTTY {
		return misuse(c, "%s asks before it makes tickets, and nobody can answer here: say --yes", c.CommandPath())
	}
	fmt.Fprintf(p.err, "Make tickets for %s? [y/N] ", count(len(rows), "case"))
	if word := strings.ToLower(readLine(p.in)); word != "y" && word != "yes" {
		return errors.New("nothing was done")
	}
	return nil
}
