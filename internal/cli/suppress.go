package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
)

// readLine is one answer, without its end.
func readLine(r io.Reader) string {
	text, err := bufio.NewReader(r).ReadString('\n')
	if err != nil && text == "" {
		return ""
	}
	return strings.TrimSpace(text)
}

func (p *program) suppressCommand() *cobra.Command {
	return group("suppress", "Manage exceptions",
		`A suppression is an accepted exception: which findings, why, who said so, and until when.
What it matches leaves its case; when it ends, what is still reported comes back.

  docket suppress add --case DK-12 --reason "goes away with the old VPC" --until 2027-01-31
  docket suppress list`,
		p.suppressAdd(), p.suppressList(), p.suppressRemove())
}

// exception is the flags of suppress add.
type exception struct {
	acting
	name, when, caseID, finding, reason, until string
}

func (p *program) suppressAdd() *cobra.Command {
	var e exception
	c := &cobra.Command{
		Use: "add", Short: "Accept an exception, with a reason and an end",
		Long: `Add accepts an exception. Say which findings by an expression (--when, over finding), or by
--case or --finding, which mean exactly the findings that are open there now.

  docket suppress add --case DK-12 --reason "goes away with the old VPC" --until 2027-01-31
  docket suppress add --name legacy-vpc --when 'finding.account.id == "111122223333" && finding.control == "EC2.2"' \
    --reason "retired in the first quarter" --until 2027-01-31`,
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := e.checkFlags(c); err != nil {
				return err
			}
			until, err := p.until(c, e.until)
			if err != nil {
				return err
			}
			by, err := p.who(c, &e.acting)
			if err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				s := pipeline.Suppression{Name: e.name, When: e.when, Reason: e.reason, By: by, Until: until}
				if err := e.expression(ctx, svc, &s); err != nil {
					return err
				}
				return p.actOn(ctx, svc, &e.acting, by, pipeline.Interaction{Verb: pipeline.VerbSuppress, Suppression: &s})
			})
		},
	}
	e.flags(c)
	f := c.Flags()
	f.StringVar(&e.name, "name", "", "its name (with --case or --finding made from that)")
	f.StringVar(&e.when, "when", "", "which findings: a CEL expression over finding")
	f.StringVar(&e.caseID, "case", "", "the findings open in this case")
	f.StringVar(&e.finding, "finding", "", "this finding, by fingerprint")
	f.StringVar(&e.reason, "reason", "", "why it is accepted (required)")
	f.StringVar(&e.until, "until", "", "the last day of it, such as 2027-01-31 (required)")
	return c
}

func (e *exception) checkFlags(c *cobra.Command) error {
	if err := e.check(c); err != nil {
		return err
	}
	ways := 0
	for _, w := range []string{e.when, e.caseID, e.finding} {
		if w != "" {
			ways++
		}
	}
	switch {
	case ways != 1:
		return misuse(c, "say which findings: --when, --case or --finding, one of them")
	case e.when != "" && e.name == "":
		return misuse(c, "an exception by --when needs a --name")
	case strings.TrimSpace(e.reason) == "":
		return misuse(c, "an exception needs a --reason")
	case e.until == "":
		return misuse(c, "an exception needs an end: --until 2027-01-31")
	}
	return nil
}

// mostPrints bounds how many findings an expression lists; an exception for more is a rule and needs one.
const mostPrints = 200

// expression completes a suppression of a case or a finding.
func (e *exception) expression(ctx context.Context, svc api.Service, s *pipeline.Suppression) error {
	switch {
	case e.finding != "":
		d, err := svc.Finding(ctx, e.finding)
		if err != nil {
			return err
		}
		s.When = "finding.fingerprint == " + strconv.Quote(d.Fingerprint.String())
		if s.Name == "" {
			s.Name = "finding-" + d.Fingerprint.Short()
		}
	case e.caseID != "":
		d, err := svc.Case(ctx, e.caseID)
		if err != nil {
			return err
		}
		var prints []string
		for _, f := range d.Findings {
			if f.Status == "open" {
				prints = append(prints, strconv.Quote(f.Fingerprint.String()))
			}
		}
		switch {
		case len(prints) == 0:
			return fmt.Errorf("%w: %s has no open finding to accept", api.ErrRefused, d.Case)
		case len(prints) > mostPrints:
			return fmt.Errorf("%w: %s has %d open findings: describe them with --when", api.ErrRefused, d.Case, len(prints))
		}
		s.When = "finding.fingerprint in [" + strings.Join(prints, ", ") + "]"
		if s.Name == "" {
			s.Name = strings.ToLower(d.Case) + "-until-" + e.until
		}
	}
	return nil
}

func (p *program) suppressList() *cobra.Command {
	var o output
	c := &cobra.Command{
		Use: "list", Short: "List exceptions and how many findings each holds",
		Long: "List shows every exception, those of the configuration too.\n\n  docket suppress list",
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				rows, err := svc.Suppressions(ctx)
				if err != nil {
					return err
				}
				if err := p.show(o, rows, func(pg *page) { p.drawSuppressions(pg, rows) }); err != nil {
					return err
				}
				return p.more(o, len(rows), "suppression", "")
			})
		},
	}
	o.flag(c)
	return c
}

func (p *program) drawSuppressions(pg *page, rows []api.SuppressionRow) {
	if len(rows) == 0 {
		return
	}
	t := newTable("NAME", "STATE", "UNTIL", "HOLDS", "BY", "FROM", "REASON", "WHEN")
	t.spare = []string{"FROM", "BY"}
	for _, r := range rows {
		state, from := cell{"in force", green}, "state"
		if !r.Ended.IsZero() || !r.Until.After(p.now()) {
			state = cell{"ended", faint}
		}
		if r.Config {
			from = "configuration"
		}
		t.row(r.Name, state, stamp(r.Until), r.Holds, orDash(r.By), from, r.Reason, r.When)
	}
	pg.table(t)
}

func (p *program) suppressRemove() *cobra.Command {
	var a acting
	c := &cobra.Command{
		Use: "remove NAME", Short: "End an exception now",
		Long: "Remove ends an exception. What it held and is still reported comes back.\n\n  docket suppress remove legacy-vpc",
		Args: arguments(1, 1, "the name of an exception, as `docket suppress list` shows it"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.act(c, &a, pipeline.Interaction{Verb: pipeline.VerbUnsuppress, Suppression: &pipeline.Suppression{Name: args[0]}})
		},
	}
	a.flags(c)
	return c
}
