package identity

import (
	"crypto/sha256"
	_ "embed" // for controls.tsv
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
)

//go:embed controls.tsv
var controlsFile string

// Row is one problem of the equivalence map.
type Row struct {
	Problem     string     // canonical id: "ec2-sg-ssh-open"
	Title       string     // a few words
	Kind        string     // what the problem is on, in ASFF's words; AwsAccount: on the account itself
	Global      bool       // the fact holds for the whole account, whichever region reports it
	Names       []string   // controls that are this problem: "fsbp:EC2.13", "cis-1.2.0:4.1", "prowler:…"
	Related     []Relation // controls that overlap with it and are never folded into it
	Remediation string     // group of problems with one way to fix them; the problem itself where it stands alone
	Sources     []string   // where the facts are from, as the file's head explains them
}

// Relation names a control that overlaps with a problem, and why it is not the same.
type Relation struct {
	Name string
	Note string
}

// Map is an equivalence map, indexed. It is never changed after it was read,
// so that several goroutines may use it.
type Map struct {
	version   string
	rows      []*Row
	byName    map[string]*Row   // names as written and as key makes them
	byProblem map[string]string // canonical problem, or the key of a related name -> remediation group
}

// Embedded is the map that this program carries. A malformed file is a defect of the
// build that the package's tests find, so it stops the program.
var Embedded = sync.OnceValue(func() *Map {
	m, err := ReadMap(controlsFile)
	if err != nil {
		panic("identity: controls.tsv: " + err.Error())
	}
	return m
})

// Version names the map: the word of its version line, a dash and 8 hex digits over all that
// identity takes from it, so that a map with another outcome never has the same name.
// Findings identified under another version may carry other fingerprints.
func (t *Map) Version() string { return t.version }

// Rows are all problems of the program's own map, ordered by problem. The caller owns them.
func Rows() []Row { return Embedded().Rows() }

// Rows are all problems of the map, ordered by problem. The caller owns them.
func (t *Map) Rows() []Row {
	out := make([]Row, len(t.rows))
	for i, r := range t.rows {
		out[i] = *r
		out[i].Names = append([]string(nil), r.Names...)
		out[i].Related = append([]Relation(nil), r.Related...)
		out[i].Sources = append([]string(nil), r.Sources...)
	}
	return out
}

// Remediation is the group of problems that are fixed in one way: a related
// control and what it overlaps with are in one group. A problem that the map
// does not know is its own group.
func Remediation(problem string) string { return Embedded().remediation(problem) }

func (t *Map) remediation(problem string) string {
	if g, ok := t.byProblem[problem]; ok {
		return g
	}
	return problem
}

// ReadMap reads a map's lines: comments, "version <word>", and rows of
// seven columns between tabs: problem, kind, relation, names, remediation,
// title or note, sources. A related line follows the row of its problem.
func ReadMap(file string) (*Map, error) {
	t := &Map{byName: map[string]*Row{}, byProblem: map[string]string{}}
	byProblem := map[string]*Row{}
	for i, line := range strings.Split(file, "\n") {
		line = strings.TrimRight(line, "\r")
		if line == "" || line[0] == '#' {
			continue
		}
		if v, ok := strings.CutPrefix(line, "version "); ok {
			t.version = strings.TrimSpace(v)
			continue
		}
		if err := t.addLine(byProblem, strings.Split(line, "\t")); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if t.version == "" {
		return nil, fmt.Errorf("no version line")
	}
	sort.Slice(t.rows, func(i, j int) bool { return t.rows[i].Problem < t.rows[j].Problem })
	t.version += "-" + t.digest()
	return t, nil
}

// digest is 8 hex digits over what identity takes from the map. Titles, sources,
// notes and the order of lines are no part of it.
func (t *Map) digest() string {
	h := sha256.New()
	word := func(words ...string) { h.Write(lengthPrefixed(nil, words...)) }
	for _, r := range t.rows {
		names := make([]string, len(r.Names))
		for i, n := range r.Names {
			names[i] = key(n)
		}
		slices.Sort(names)
		word(r.Problem, r.Kind, strconv.FormatBool(r.Global), strings.Join(names, ","))
	}
	for _, problem := range slices.Sorted(maps.Keys(t.byProblem)) {
		word(problem, t.byProblem[problem])
	}
	return hex.EncodeToString(h.Sum(nil)[:4])
}

func (t *Map) addLine(byProblem map[string]*Row, col []string) error {
	if len(col) != 7 {
		return fmt.Errorf("%d columns, want 7", len(col))
	}
	problem, names := col[0], strings.Split(col[3], ",")
	group := col[4]
	if group == "-" {
		group = problem
	}
	switch col[2] {
	case "same":
		if byProblem[problem] != nil {
			return fmt.Errorf("problem %s stands twice", problem)
		}
		kind, isGlobal := strings.CutSuffix(col[1], "@global")
		row := &Row{Problem: problem, Kind: kind, Global: isGlobal, Names: names, Remediation: group,
			Title: col[5], Sources: strings.Split(col[6], ";")}
		for _, n := range names {
			k := key(n)
			if other := t.byName[k]; other != nil && other != row {
				return fmt.Errorf("%s is the same as both %s and %s", n, other.Problem, problem)
			}
			t.byName[n], t.byName[k] = row, row
		}
		byProblem[problem] = row
		t.byProblem[problem] = group
		t.rows = append(t.rows, row)
	case "related":
		row := byProblem[problem]
		if row == nil {
			return fmt.Errorf("related to %s, which has no row above", problem)
		}
		if group != row.Remediation {
			return fmt.Errorf("remediation %s, but that of %s is %s", group, problem, row.Remediation)
		}
		for _, n := range names {
			row.Related = append(row.Related, Relation{Name: n, Note: col[5]})
			if k := key(n); t.byName[k] == nil {
				t.byProblem[k] = group
			}
		}
	default:
		return fmt.Errorf("relation %q, want same or related", col[2])
	}
	return nil
}
