package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/docket-hub/docket/pipeline"
)

// RuleTests is one file of tests of the rules.
type RuleTests struct {
	Tests []RuleTest `yaml:"tests" rule:"required"`
	// Feeds is what the feeds say in tests that do not say it themselves.
	Feeds *RuleFeeds `yaml:"feeds"`
}

// RuleFeeds stands for the configured feeds, whose copies change by the day.
type RuleFeeds struct {
	Date Date               `yaml:"date" rule:"required"` // of both copies
	KEV  []string           `yaml:"kev"`                  // CVEs that are listed
	EPSS map[string]float64 `yaml:"epss"`                 // scores by CVE
}

// RuleTest says what the rules should make of a finding.
type RuleTest struct {
	Name string `yaml:"name" rule:"required"`
	// Finding is the finding as it would stand in a document: docket's own JSON, of which product, id and
	// title may be left out, or a record of any other format. File names a document of findings instead,
	// relative to the file of the test; each of its records must come to what is wanted.
	Finding map[string]any `yaml:"finding"`
	File    string         `yaml:"file"`
	At      string         `yaml:"at"` // the time it is, RFC 3339; without it the clock's
	// Feeds is what KEV and EPSS say of CVEs; without it nothing, whatever is configured.
	Feeds *RuleFeeds `yaml:"feeds"`
	Want  RuleWant   `yaml:"want" rule:"required"`

	// Position is where the test stands.
	Position Position `yaml:"-"`
	// Lines is on which line each word of want stands; team, say.
	Lines map[string]int `yaml:"-"`
	// Time is At.
	Time time.Time `yaml:"-"`
	// Dir is the folder that File starts from.
	Dir string `yaml:"-"`
}

// RuleWant is what a test looks at; what is left out may be anything.
type RuleWant struct {
	Team        *string           `yaml:"team"`
	Route       *string           `yaml:"route"` // its path: route.routes[0]
	Sinks       *[]string         `yaml:"sinks"`
	Priority    pipeline.Priority `yaml:"priority"`
	Group       map[string]string `yaml:"group"` // by the names of group_by; each must be there and have this value
	RiskFactors []string          `yaml:"risk_factors"`
	Rule        *string           `yaml:"rule"` // the path of the rule that decides; "" for none
	Suppressed  *string           `yaml:"suppressed"`
	Action      string            `yaml:"action" rule:"oneof=ticket|wait|record|suppressed|none"`
}

// LoadRuleTests reads the tests of a file, or of every *.yaml and *.yml file at and below
// a folder, sorted by name. All that is wrong with them is an Errors.
func LoadRuleTests(path string) ([]RuleTest, error) {
	names, err := testFiles(path)
	if err != nil {
		return nil, fmt.Errorf("reading the tests of the rules: %w", err)
	}
	var all []RuleTest
	var wrong Errors
	for _, name := range names {
		data, err := readFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading the tests of the rules: %w", err)
		}
		tests, errs := parseRuleTests(File{name, data})
		all, wrong = append(all, tests...), append(wrong, errs...)
	}
	if len(wrong) > 0 {
		return all, wrong
	}
	return all, nil
}

func testFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var names []string
	err = filepath.WalkDir(path, func(name string, e fs.DirEntry, err error) error {
		if ext := filepath.Ext(name); err == nil && !e.IsDir() && !strings.HasPrefix(e.Name(), ".") && (ext == ".yaml" || ext == ".yml") {
			names = append(names, name)
		}
		return err
	})
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("folder %s holds no *.yaml file", path)
	}
	slices.Sort(names)
	return names, err
}

// wantLines is on which line each key at a path stands.
func (d *document) wantLines(path string) map[string]int {
	lines := map[string]int{}
	n := d.node(path)
	if n == nil || n.Kind != yaml.MappingNode {
		return lines
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		lines[n.Content[i].Value] = n.Content[i].Line
	}
	return lines
}

func parseRuleTests(f File) ([]RuleTest, Errors) {
	d := newDocument(f.Name, filepath.Dir(f.Name), Env{}.withDefaults())
	root := d.parse(f)
	if root == nil {
		if len(d.errs) == 0 {
			d.errs = append(d.errs, Error{File: f.Name, Message: "the file is empty", Hint: "begin with tests:"})
		}
		d.seal(d.errs)
		return nil, d.errs
	}
	var all RuleTests
	d.structure("", root, reflect.ValueOf(&all).Elem())
	d.feeds("feeds", all.Feeds)
	for i := range all.Tests {
		t := &all.Tests[i]
		path := item("tests", i)
		d.feeds(path+".feeds", t.Feeds)
		if t.Feeds == nil {
			t.Feeds = all.Feeds
		}
		at := d.errorAt(d.node(path), "", "")
		t.Position, t.Dir = Position{at.File, at.Line, at.Col}, d.dir
		t.Lines = d.wantLines(path + ".want")
		if (t.Finding == nil) == (t.File == "") && t.Name != "" {
			d.fail(d.node(path), path, "write one of them", "wants either finding or file")
		}
		if t.At != "" {
			var err error
			if t.Time, err = time.Parse(time.RFC3339, t.At); err != nil {
				d.fail(d.node(path+".at"), path+".at", "write 2026-01-31T12:00:00Z", "%q is no time", short(t.At))
			}
		}
	}
	d.seal(d.errs)
	return all.Tests, d.errs
}

var cvePattern = regexp.MustCompile(`^(?i)CVE-[0-9]{4}-[0-9]{4,9}$`)

// feeds checks what the feeds of a test say.
func (d *document) feeds(path string, f *RuleFeeds) {
	if f == nil {
		return
	}
	wrong := func(at, cve string) {
		if !cvePattern.MatchString(cve) {
			d.fail(d.node(at), at, "write CVE-2024-3094", "%q is no CVE", short(cve))
		}
	}
	for i, cve := range f.KEV {
		wrong(item(path+".kev", i), cve)
	}
	for _, cve := range sortedKeys(f.EPSS) {
		at := child(path+".epss", cve)
		wrong(at, cve)
		if score := f.EPSS[cve]; score < 0 || score > 1 {
			d.fail(d.node(at), at, "write 0.93", "%g is no likelihood from 0 to 1", score)
		}
	}
}
