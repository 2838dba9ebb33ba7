package cli

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/internal/api"
)

func (p *program) rulesCommand() *cobra.Command {
	return group("rules", "Test rules before they act, and compare them",
		"Rules are what risk, route and suppressions of the configuration say.\n\n  docket rules test rules/\n  docket rules diff other.yaml",
		p.rulesTest(), p.rulesDiff())
}

func (p *program) rulesTest() *cobra.Command {
	var o output
	var junit string
	var least int
	c := &cobra.Command{
		Use: "test PATH", Short: "Check what the rules make of example findings",
		Long: `Test reads files of tests, each a finding and what the rules must make of it: team, route,
priority, sinks, group, action. It opens no state, asks nobody and reads no secret, so that it runs
anywhere. It also names routes, factors, rules and suppressions that no test met, routes that
nothing can reach, and routes that match what another one before them takes.

A test that fails is exit status 1, a broken file of tests or configuration 2. As a step of
GitHub Actions it also marks the lines of the tests that fail.

  docket rules test rules/
  docket rules test rules/ --junit report.xml --min-coverage 80`,
		Args: arguments(1, 1, "a file or folder with tests"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			if least < 0 || least > 100 {
				return misuse(c, "--min-coverage %d: give a percentage from 0 to 100", least)
			}
			cfg, err := p.readConfigBy(p.blind)
			if err != nil {
				return err
			}
			tests, err := config.LoadRuleTests(args[0])
			if err != nil {
				var content config.Errors
				if errors.As(err, &content) {
					return err
				}
				return &configError{err}
			}
			rep, err := p.testRules(cfg, tests, p.now())
			if err != nil {
				return err
			}
			if err := p.show(o, rep, func(pg *page) { drawRuleReport(pg, &rep) }); err != nil {
				return err
			}
			if junit != "" {
				if err := writeJUnit(junit, &rep, least); err != nil {
					return err
				}
			}
			if word, _ := p.getenv("GITHUB_ACTIONS"); word == "true" && !o.json() {
				if err := p.annotate(&rep); err != nil {
					return err
				}
			}
			return ruleVerdict(&rep, least)
		},
	}
	o.flag(c)
	c.Flags().StringVar(&junit, "junit", "", "also write a JUnit report to this file")
	c.Flags().IntVar(&least, "min-coverage", 0, "fail when the tests meet less than this percentage of the rules")
	return c
}

// covered is how many parts of the rules the tests met.
func covered(rep *api.RuleReport) (hit, all int) {
	for _, c := range rep.Cover {
		if c.Hit {
			hit++
		}
	}
	return hit, len(rep.Cover)
}

func ruleVerdict(rep *api.RuleReport, least int) error {
	if rep.Failed > 0 {
		return fmt.Errorf("%d of %s failed", rep.Failed, count(len(rep.Tests), "test"))
	}
	return coverageVerdict(rep, least)
}

func coverageVerdict(rep *api.RuleReport, least int) error {
	if hit, all := covered(rep); hit*100 < least*all {
		return fmt.Errorf("the tests meet %d of %d parts of the rules (%d%%), --min-coverage asks for %d%%", hit, all, hit*100/all, least)
	}
	return nil
}

// shownFailures is how many failures of one test are printed: one of a long document may have thousands.
const shownFailures = 20

func drawRuleReport(pg *page, rep *api.RuleReport) {
	for i := range rep.Tests {
		t := &rep.Tests[i]
		if t.OK {
			pg.line("%s    %s", cell{"ok", green}, t.Name)
			continue
		}
		pg.line("%s  %s  (%s:%d)", cell{"FAIL", red}, t.Name, t.File, t.Line)
		for _, f := range t.Failures[:min(len(t.Failures), shownFailures)] {
			pg.line("        %s", f)
		}
		if more := len(t.Failures) - shownFailures; more > 0 {
			pg.line("        … and %d more, -o json shows all", more)
		}
		for _, b := range t.Because {
			pg.line("        because of %s", b)
		}
	}
	hit, all := covered(rep)
	pg.line("")
	pg.line("%s, %d failed; %d of %d parts of the rules were met", count(len(rep.Tests), "test"), rep.Failed, hit, all)
	if hit < all {
		pg.head("Never met by a test")
		t := newTable("kind", "what", "where")
		for _, c := range rep.Cover {
			if !c.Hit {
				t.row(c.Kind, c.What, fmt.Sprintf("%s:%d", c.File, c.Line))
			}
		}
		pg.table(t)
	}
	if len(rep.Overlaps) > 0 {
		pg.head("Matched, but taken by a route before")
		t := newTable("route", "taken by", "findings")
		for _, o := range rep.Overlaps {
			t.row(o.Hidden, o.Taker, fmt.Sprint(o.Findings))
		}
		pg.table(t)
	}
	for _, w := range rep.Warnings {
		pg.line("warning: %s", w)
	}
}

// The elements of a JUnit report that CI systems read (the schema of Ant's JUnit task).
type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr"`
	Line    int           `xml:"line,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitFailure `xml:"failure"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// writeJUnit writes the report of CI systems; too little coverage, where least is above 0, is a test that fails, too.
func writeJUnit(path string, rep *api.RuleReport, least int) error {
	s := junitSuite{Name: "docket rules", Tests: len(rep.Tests), Failures: rep.Failed}
	total := 0.0
	for i := range rep.Tests {
		t := &rep.Tests[i]
		total += t.Seconds
		one := junitCase{Name: t.Name, Class: filepath.ToSlash(t.File), File: t.File, Line: t.Line, Time: fmt.Sprintf("%.3f", t.Seconds)}
		if !t.OK {
			text := fmt.Sprintf("%s:%d\n%s", t.File, t.Line, strings.Join(t.Failures, "\n"))
			for _, b := range t.Because {
				text += "\nbecause of " + b
			}
			one.Failure = &junitFailure{Message: t.Failures[0], Text: text}
		}
		s.Cases = append(s.Cases, one)
	}
	if least > 0 {
		one := junitCase{Name: fmt.Sprintf("the tests meet %d%% of the rules", least), Class: "coverage", Time: "0.000"}
		if err := coverageVerdict(rep, least); err != nil {
			one.Failure = &junitFailure{Message: err.Error(), Text: neverMet(rep)}
			s.Failures++
		}
		s.Tests++
		s.Cases = append(s.Cases, one)
	}
	s.Time = fmt.Sprintf("%.3f", total)
	b, err := xml.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the JUnit report: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("writing the JUnit report: %w", err)
	}
	if err := os.WriteFile(path, append([]byte(xml.Header), append(b, '\n')...), 0o644); err != nil {
		return fmt.Errorf("writing the JUnit report: %w", err)
	}
	return nil
}

// neverMet lists the parts of the rules that no test met, a line each.
func neverMet(rep *api.RuleReport) string {
	var b strings.Builder
	for _, c := range rep.Cover {
		if !c.Hit {
			fmt.Fprintf(&b, "%s:%d: no test meets the %s %s\n", c.File, c.Line, c.Kind, c.What)
		}
	}
	return b.String()
}

// annotate writes what GitHub shows beside the lines of the tests (GitHub documentation, "Workflow commands").
func (p *program) annotate(rep *api.RuleReport) error {
	value := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	for i := range rep.Tests {
		t := &rep.Tests[i]
		if t.OK {
			continue
		}
		line := t.Line
		if len(t.Differences) > 0 {
			line = t.Differences[0].Line
		}
		text := strings.Join(t.Failures[:min(len(t.Failures), shownFailures)], "\n")
		if _, err := fmt.Fprintf(p.out, "::error file=%s,line=%d,title=%s::%s\n", property.Replace(filepath.ToSlash(t.File)), line, property.Replace(t.Name), value.Replace(cleanLines(text))); err != nil {
			return err
		}
	}
	return nil
}

func (p *program) rulesDiff() *cobra.Command {
	var o output
	var since string
	c := &cobra.Command{
		Use: "diff OTHER", Short: "Say what another configuration would have done",
		Long: `Diff judges the open findings in state by the configuration in force and by another one, and
says what differs: tickets more and fewer per team and project, findings that would go elsewhere,
be grouped otherwise, get another priority, or be suppressed. It changes nothing. Of the other
configuration no secret is read.

  docket rules diff other.yaml
  docket rules diff other.yaml --since 30d`,
		Args: arguments(1, 1, "the other configuration, a file or a folder"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			q := api.RuleDiffRequest{}
			if since != "" {
				d, err := config.ParseDuration(since)
				if err != nil || d <= 0 {
					return misuse(c, "--since %s: give a duration such as 12h or 30d", since)
				}
				q.Since = p.now().Add(-d)
			}
			files, dir, err := config.Read(args[0])
			if err != nil {
				return &configError{err}
			}
			q.Dir = dir
			for _, f := range files {
				q.Files = append(q.Files, api.RuleFile{Name: f.Name, Data: string(f.Data)})
			}
			// Here its errors show their places; a daemon answers them in one line.
			if _, err := p.blind(args[0], p.getenv); err != nil {
				return err
			}
			return p.ask(c, func(ctx context.Context, svc api.Service) error {
				began := time.Now()
				d, err := svc.RuleDiff(ctx, q)
				if err != nil {
					return err
				}
				return p.show(o, d, func(pg *page) { drawRuleDiff(pg, &d, time.Since(began)) })
			})
		},
	}
	o.flag(c)
	c.Flags().StringVar(&since, "since", "", "only findings first seen or changed in this time (30d)")
	return c
}

func drawRuleDiff(pg *page, d *api.RuleDiff, took time.Duration) {
	if d.Same == d.Findings {
		pg.line("Nothing differs: %s compared.", count(d.Findings, "open finding"))
		return
	}
	pg.line("%s compared in %s: %d would be treated otherwise.", count(d.Findings, "open finding"), took.Round(10*time.Millisecond), d.Findings-d.Same)
	pg.line("Tickets: %d before, %d after (%+d).", d.Before, d.After, d.After-d.Before)
	if len(d.Teams) > 0 {
		pg.head("Tickets by team")
		t := newTable("team", "sink", "project", "before", "after", "")
		for _, x := range d.Teams {
			t.row(x.Team, x.Sink, orDash(x.Project), fmt.Sprint(x.Before), fmt.Sprint(x.After), fmt.Sprintf("%+d", x.After-x.Before))
		}
		pg.table(t)
	}
	for i := range d.Changes {
		x := &d.Changes[i]
		pg.head(fmt.Sprintf("%s: %s → %s, %s", x.Kind, x.From, x.To, count(x.Findings, "finding")))
		for _, e := range x.Examples {
			line := "  " + e.Title + " on " + e.Resource
			if e.Case != "" {
				line += " (" + e.Case + ")"
			}
			if e.Why != "" {
				line += ": " + e.Why
			}
			pg.line("%s", line)
		}
		if more := x.Findings - len(x.Examples); more > 0 {
			pg.line("  … and %d more", more)
		}
	}
}
