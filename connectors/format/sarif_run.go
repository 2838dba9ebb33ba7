package format

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/docket-hub/docket/connectors/format/sarif"
	"github.com/docket-hub/docket/pipeline"
)

// maxRunPart is the largest part of a SARIF run other than its results, its
// tool with all rules above all, in records.
const maxRunPart = 2

// maxFound is how many results of a run are not read a second time.
const maxFound = 10_000

// run reads one element of a SARIF document's runs. Its results are put aside
// until the run's end, since the rules they point to may come behind them.
func (p *splitter) run(c byte, nesting int, array bool) error {
	if c != '{' {
		return p.value(c, nesting, array)
	}
	p.s.take()
	hold := &spool{}
	defer hold.close()
	run := &sarif.Run{}
	whole, err := p.runMembers(run, hold)
	if err != nil {
		return err
	}
	if hold.err != nil {
		return fmt.Errorf("putting results aside: %w", hold.err)
	}
	cut := p.v.cut
	err = p.results(run, hold, whole)
	p.v.cut = cut || !whole
	return err
}

// runMembers reads the run's members up to its closing brace; false when the
// text ended or lost its shape before, which is a reject by then.
func (p *splitter) runMembers(run *sarif.Run, hold *spool) (bool, error) {
	for {
		c, ok := p.s.next()
		switch {
		case !ok:
			if p.damaged() {
				return false, nil
			}
			p.v.reset(p.s.line)
			return false, p.reject(&p.v, "the document ends inside a run")
		case c == '}':
			p.s.take()
			p.v.cut = false
			return true, nil
		case c == ',':
			p.s.take()
			continue
		}
		key, ok := p.s.key()
		if !ok {
			p.v.reset(p.s.line)
			return false, p.reject(&p.v, "the run's members are malformed here; the rest of the document is skipped")
		}
		if err := p.member(run, hold, key); err != nil || p.v.cut {
			return false, err
		}
	}
}

// member reads the value of one member of a run.
func (p *splitter) member(run *sarif.Run, hold *spool, key string) error {
	p.v.cut = false
	c, ok := p.s.next()
	if !ok {
		return nil
	}
	if c == '[' && (key == "results" || key == "artifacts") {
		p.s.take()
		element := func(c byte, nesting int, array bool) error { return p.element(run, hold, key, c) }
		if key == "results" {
			run.HasResults()
		}
		return p.array(0, element)
	}
	if c != '{' && c != '[' {
		p.s.scalar()
		return nil
	}
	limit := 0
	if sarif.Wants(key) {
		limit = maxRunPart * p.opt.MaxRecord
	}
	p.s.read(&p.v, limit, false, false, false)
	switch {
	case p.v.cut && p.damaged():
		return nil
	case p.v.cut:
		return p.reject(&p.v, "the document ends inside the run's "+key)
	case limit == 0:
		return nil
	case p.v.fault != "":
		return p.reject(&p.v, "the run's "+key+": "+p.v.fault)
	}
	if err := run.Set(key, p.v.data); err != nil {
		return p.reject(&p.v, "the run's "+key+": "+Reason(err))
	}
	return nil
}

// element reads one result or one artifact.
func (p *splitter) element(run *sarif.Run, hold *spool, key string, c byte) error {
	if c != '{' {
		p.s.junk(&p.v, p.opt.MaxRecord, true)
		return p.reject(&p.v, "an element of "+key+" that is no object")
	}
	p.s.read(&p.v, p.opt.MaxRecord, true, false, false)
	switch {
	case p.v.cut && p.damaged():
		return nil
	case p.v.cut:
		return p.reject(&p.v, "the document ends inside this record")
	case key == "artifacts":
		if err := run.Artifact(p.v.data); err != nil || p.v.fault != "" {
			p.note("skipped a malformed artifact of a run")
		}
		return nil
	case p.v.fault != "":
		return p.reject(&p.v, p.v.fault)
	}
	if !p.s.whole || !hold.keep(p.s.give(&p.v), p.index, p.v.line) {
		hold.add(p.v.data, p.index, p.v.line)
	}
	p.index++
	return nil
}

// results hands the run's results over, now that all of the run is known.
func (p *splitter) results(run *sarif.Run, hold *spool, whole bool) error {
	var found []sarif.Found // the first of them
	err := hold.each(func(text []byte, _, _ int) error {
		f := run.Read(text)
		run.Look(&f)
		if len(found) < maxFound {
			found = append(found, f)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading results put aside: %w", err)
	}
	run.Close()
	scope, at := run.Scope(), run.Time()
	count, next, n := 0, p.index, 0
	err = hold.each(func(text []byte, index, line int) error {
		p.index = index
		var f sarif.Found
		if n < len(found) {
			f = found[n]
			n++
		} else {
			f = run.Read(text)
		}
		data, err := run.Compose(&f, text)
		if err != nil {
			p.v.reset(line)
			p.v.data = append(p.v.data, text...)
			return p.reject(&p.v, p.explain(&p.v, err))
		}
		count++
		return p.hand(pipeline.Record{Format: SARIF, Data: data, Origin: p.opt.Origin, Index: index, Scope: scope, Observed: at})
	})
	p.index = next
	if err != nil {
		return err
	}
	if scope == "" {
		return nil
	}
	s := p.scans.add(scope, run.ID(), count, at)
	why := run.Incomplete()
	if !whole {
		why = "the document ends inside the run"
	}
	if why != "" {
		s.Complete, s.Why = false, why
	}
	return nil
}

// sarifVersion refuses a document whose version stands before its runs and is
// not 2.1.0: older drafts have another shape. head is the text up to the runs array.
func sarifVersion(head []byte) error {
	var d struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(append(head, "[]}"...), &d); err != nil {
		return nil // the runs may still be readable
	}
	if d.Version != "" && !strings.HasPrefix(d.Version, "2.1.") {
		return fmt.Errorf("%w: SARIF version %q; only 2.1.0 is read", ErrUnknown, d.Version)
	}
	return nil
}
