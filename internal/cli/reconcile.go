package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/internal/api"
)

func (p *program) reconcileCommand() *cobra.Command {
	var a acting
	var repair, yes bool
	var out string
	c := &cobra.Command{
		Use: "reconcile", Short: "Compare state with the trackers, and repair",
		Long: `Reconcile lists what each sink holds under docket's keys and compares it with state:
second records of one case, records that were deleted, moved or are in the wrong
state, records that state does not know, and orphans that no case has. It prints what
it would do and changes nothing.

With --repair it asks once and brings them into line, by the way that every change
goes: the older record, or the one that state knows, stays; a second one is linked to
it and closed. Orphans are for a person to decide. It exits with 1 while a difference
is left.

  docket reconcile
  docket reconcile --repair --yes
  docket reconcile --out differences.json`,
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := a.check(c); err != nil {
				return err
			}
			by := ""
			if repair {
				var err error
				if by, err = p.who(c, &a); err != nil {
					return err
				}
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				got, failed := p.compare(ctx, svc, api.ReconcileRequest{})
				if failed != nil && got.Made.IsZero() {
					return failed
				}
				ids := repairable(&got)
				if repair && len(ids) > 0 {
					pg := &page{width: p.width, colour: p.colour && p.errTTY}
					drawReconciliation(pg, &got)
					if _, err := fmt.Fprint(p.err, pg.b.String()); err != nil {
						return err
					}
					if err := p.yes(c, yes, "Repair "+count(len(ids), "difference"), "it repairs"); err != nil {
						return err
					}
					if got, failed = p.compare(ctx, svc, api.ReconcileRequest{Repair: ids, By: by}); failed != nil && got.Made.IsZero() {
						return failed
					}
				}
				if out != "" {
					if err := saveJSON(out, got); err != nil {
						return err
					}
				}
				if err := p.show(a.output, got, func(pg *page) { drawReconciliation(pg, &got) }); err != nil {
					return err
				}
				if failed == nil && got.Left > 0 {
					failed = fmt.Errorf("%s between state and the trackers", count(got.Left, "difference"))
				}
				return failed
			})
		},
	}
	a.flags(c)
	c.Flags().BoolVar(&repair, "repair", false, "bring the differences into line")
	c.Flags().StringVar(&out, "out", "", "write the differences to this file as JSON, too")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return c
}

func (p *program) compare(ctx context.Context, svc api.Service, q api.ReconcileRequest) (api.Reconciliation, error) {
	tell, end := p.progress()
	defer end()
	return svc.Reconcile(ctx, q, tell)
}

func repairable(r *api.Reconciliation) []string {
	var out []string
	for i := range r.Differences {
		if d := &r.Differences[i]; d.Repair != "" && !d.Done {
			out = append(out, d.ID)
		}
	}
	return out
}

// yes asks once on the terminal, unless the flag says that it need not.
func (p *program) yes(c *cobra.Command, given bool, question, does string) error {
	if given {
		return nil
	}
	if !p.inTTY {
		return misuse(c, "%s asks before %s, and nobody can answer here: say --yes", c.CommandPath(), does)
	}
	if _, err := fmt.Fprintf(p.err, "%s? [y/N] ", question); err != nil {
		return err
	}
	if word := strings.ToLower(readLine(p.in)); word != "y" && word != "yes" {
		return errors.New("nothing was done")
	}
	return nil
}

// saveJSON writes a value to a file of the user's own.
func saveJSON(name string, v any) error {
	var b strings.Builder
	if err := writeJSON(&b, v); err != nil {
		return err
	}
	if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("writing what was found: %w", err)
	}
	return nil
}

func drawReconciliation(pg *page, r *api.Reconciliation) {
	t := newTable("SINK", "TICKETS", "RECORDS", "UNDER WAY", "OTHER INSTALLATIONS", "")
	for _, s := range r.Sinks {
		t.row(s.Sink, s.Tickets, s.Records, s.Moving, s.Foreign, s.Skipped)
	}
	pg.table(t)
	if len(r.Differences) == 0 {
		pg.line("%s", "state and the trackers agree")
		return
	}
	pg.line("%s", "")
	d := newTable("SINK", "CASE", "DIFFERENCE", "WHAT", "REPAIR")
	for i := range r.Differences {
		x := &r.Differences[i]
		state, repair := cell{x.Kind, red}, x.Repair
		switch {
		case x.Done:
			state, repair = cell{x.Kind, green}, "done: "+x.Repair
		case repair == "":
			repair = "a person decides"
		}
		d.row(x.Sink, orDash(x.Case), state, x.What, repair)
	}
	pg.table(d)
}
