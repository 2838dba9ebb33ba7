package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/docket-hub/docket/config/secret"
)

// Env is what loading takes from outside. A nil function stands for that of the
// operating system.
type Env struct {
	Getenv   func(name string) (string, bool)
	ReadFile func(path string) ([]byte, error)
	Now      func() time.Time
	// FetchSecret reads what AWS keeps under a reference, see secret.From; nil: such a reference is refused. It is asked once for each
	// secret, and bounds its own time.
	FetchSecret func(secret.Ref) (string, error)
	Known       Known
	// Blind reads no secret: each is a made-up text. It is for looking at rules where no secret is at hand.
	Blind bool
}

// Known are the types of sources and sinks that this binary holds. A type that
// is documented and not among them is refused as not built yet.
type Known struct {
	Sources []string
	Sinks   []string
}

func (e Env) withDefaults() Env {
	if e.Getenv == nil {
		e.Getenv = os.LookupEnv
	}
	if e.ReadFile == nil {
		e.ReadFile = readFile
	}
	if e.Now == nil {
		e.Now = time.Now
	}
	return e
}

// place is where a value stands. key is nil for an item of a list.
type place struct {
	key, value *yaml.Node
}

// document is what stays known of the files behind a Config.
type document struct {
	env     Env
	dir     string
	name    string // of the file or folder, for errors without a place
	root    *yaml.Node
	files   map[string]*source
	owner   map[*yaml.Node]*source
	places  map[string]place
	secrets map[secret.Ref]secret.Value
	fetched map[secret.Ref]fetched
	errs    Errors
	warns   Warnings
	// visits is how many nodes may still be walked: aliases could else make a small file endless.
	visits  int
	merging map[*yaml.Node]bool // the mappings behind merge keys that are being read
}

const maxVisits = 500_000

func newDocument(name, dir string, env Env) *document {
	return &document{env: env, dir: dir, name: name, files: map[string]*source{}, owner: map[*yaml.Node]*source{}, places: map[string]place{},
		secrets: map[secret.Ref]secret.Value{}, fetched: map[secret.Ref]fetched{}, merging: map[*yaml.Node]bool{}, visits: maxVisits}
}

// errorAt is an error at a node, whose excerpt is filled in by seal. A nil node is the document as a whole.
func (d *document) errorAt(n *yaml.Node, path, format string, args ...any) Error {
	e := Error{File: d.name, Path: path, Message: fmt.Sprintf(format, args...)}
	if src := d.owner[n]; src != nil {
		e.File, e.Line, e.Col = src.name, n.Line, n.Column
	}
	return e
}

// fail notes an error at a node.
func (d *document) fail(n *yaml.Node, path, hint, format string, args ...any) {
	if n.Kind == yaml.ScalarNode && suspicious(n.Value) {
		d.hide(n)
	}
	d.failShown(n, path, hint, format, args...)
}

// failShown is fail at a value that is known to be no secret.
func (d *document) failShown(n *yaml.Node, path, hint, format string, args ...any) {
	e := d.errorAt(n, path, format, args...)
	e.Hint = hint
	d.errs = append(d.errs, e)
}

func (d *document) warn(n *yaml.Node, path, hint, format string, args ...any) {
	e := d.errorAt(n, path, format, args...)
	e.Hint = hint
	d.warns = append(d.warns, e)
}

// seal orders errors and gives each its excerpt. It comes last, when every
// value that must not be shown is known.
func (d *document) seal(es []Error) {
	type place struct {
		file string
		line int
	}
	lines := map[place]painted{}
	for i := range es {
		e := &es[i]
		src := d.files[e.File]
		if src == nil || e.Line < 1 || e.excerpt != "" {
			continue
		}
		at := place{e.File, e.Line}
		line, ok := lines[at]
		if !ok {
			line = src.paint(e.Line)
			lines[at] = line
		}
		e.excerpt, e.caret = line.excerpt(e.Col)
	}
	sortErrors(es)
}

// hide masks what stands at and below n.
func (d *document) hide(n *yaml.Node) {
	if src := d.owner[n]; src != nil {
		src.hide(n, nil)
	}
}

// file is the text of f, the same at every call.
func (d *document) file(f File) *source {
	if d.files[f.Name] == nil {
		d.files[f.Name] = newSource(f.Name, f.Data)
	}
	return d.files[f.Name]
}

// adopt notes the file of every node below n.
func (d *document) adopt(n *yaml.Node, src *source) {
	d.owner[n] = src
	for _, c := range n.Content {
		d.adopt(c, src)
	}
}

// find is the place at path, or the nearest one above it.
func (d *document) find(path string) (place, bool) {
	for {
		if p, ok := d.places[path]; ok {
			return p, true
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut <= 0 {
			return place{}, false
		}
		path = path[:cut]
	}
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

func child(path, key string) string {
	if !plainKey.MatchString(key) {
		return path + "[" + strconv.Quote(key) + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func item(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// Pos is where the value at path stands, such as risk.rules[0].when or
// sinks[1].name; where nothing stands there, the nearest place above it.
func (c *Config) Pos(path string) Position {
	if c.doc == nil {
		return Position{}
	}
	e := c.doc.errorAt(c.doc.node(path), "", "")
	return Position{e.File, e.Line, e.Col}
}

// node is the value at path, or the nearest node above it.
func (d *document) node(path string) *yaml.Node {
	if p, ok := d.find(path); ok {
		return p.value
	}
	return d.root
}

// ErrorAt is an error inside the text at path, at a line (from 0) and a
// character (from 0) of the value as the program sees it: quotes, folds and
// indentation of the file are worked out. It is how a CEL or template error
// gets its exact place. A text that a multi-line value does not have is its end.
func (c *Config) ErrorAt(path string, offsetLine, offsetCol int, format string, args ...any) Error {
	if c.doc == nil {
		return Error{Path: path, Message: fmt.Sprintf(format, args...)}
	}
	d := c.doc
	n := d.node(path)
	e := d.errorAt(n, path, format, args...)
	src := d.owner[n]
	if _, exact := d.places[path]; exact && src != nil && n.Kind == yaml.ScalarNode {
		e.Line, e.Col = src.locate(n, runeOffset(n.Value, offsetLine, offsetCol))
	}
	one := []Error{e}
	d.seal(one)
	return one[0]
}

func runeOffset(text string, line, col int) int {
	offset := 0
	lines := strings.SplitAfter(text, "\n")
	for i, l := range lines {
		if i == line {
			return offset + min(max(0, col), len([]rune(strings.TrimSuffix(l, "\n"))))
		}
		offset += len([]rune(l))
	}
	return offset
}

// from is where the secrets of the document are.
func (d *document) from() secret.From {
	return secret.From{Getenv: d.env.Getenv, ReadFile: d.readSecret, Fetch: d.fetchSecret()}
}

// fetchSecret asks for each secret once, since several keys of one may be wanted.
func (d *document) fetchSecret() func(secret.Ref) (string, error) {
	if d.env.FetchSecret == nil {
		return nil
	}
	return func(r secret.Ref) (string, error) {
		got, known := d.fetched[r]
		if !known {
			got.text, got.err = d.env.FetchSecret(r)
			d.fetched[r] = got
		}
		return got.text, got.err
	}
}

// fetched is what AWS answered for a secret.
type fetched struct {
	text string
	err  error
}

// readSecret reads a secret's file, whose path is relative to the configuration.
func (d *document) readSecret(path string) ([]byte, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(d.dir, path)
	}
	return d.env.ReadFile(path)
}
