package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// File is one file of a configuration. Name is used in messages.
type File struct {
	Name string
	Data []byte
}

// Load reads the configuration at path, a file or a folder whose *.yaml and
// *.yml files are merged by name, and checks all of it short of connecting.
//
// An error of the content is an Errors; the Config that comes with it holds what
// could be read, so that a caller can go on checking (decode the blocks, compile
// the expressions) and Join all that is wrong. An error of reading (errors.Is
// fs.ErrNotExist where there is no file) comes with a nil Config. Whether path is a
// folder, and what is in it, is always asked of the operating system.
//
// Files of a folder merge like this: mappings key by key; lists at the top level
// and lists of mappings one behind the other; anything else given in two files is an error.
func Load(path string, env Env) (*Config, error) {
	env = env.withDefaults()
	files, dir, err := read(path, env.ReadFile)
	if err != nil {
		return nil, err
	}
	return Parse(files, dir, env)
}

// Read reads the files of the configuration at path without looking into them, and
// says which folder its relative paths start from.
func Read(path string) (files []File, dir string, err error) { return read(path, readFile) }

// mostBytes is how long one file may be that is a configuration or a secret.
const mostBytes = 64 << 20

// readFile is os.ReadFile for files that may be devices: it ends.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, mostBytes+1))
	if err == nil && len(data) > mostBytes {
		return nil, fmt.Errorf("%s is longer than %d MiB", path, mostBytes>>20)
	}
	return data, err
}

func read(path string, readFile func(string) ([]byte, error)) (files []File, dir string, err error) {
	names := []string{path}
	dir = filepath.Dir(path)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		dir = path
		if names, err = filesIn(path); err != nil {
			return nil, "", err
		}
	}
	for _, name := range names {
		data, err := readFile(name)
		if err != nil {
			return nil, "", fmt.Errorf("reading the configuration: %w", err)
		}
		files = append(files, File{name, data})
	}
	return files, dir, nil
}

func filesIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	var names []string
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") && (ext == ".yaml" || ext == ".yml") {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("reading the configuration: folder %s holds no *.yaml file", dir)
	}
	slices.Sort(names)
	return names, nil
}

// Parse is Load over files that were already read. Relative paths start from dir.
func Parse(files []File, dir string, env Env) (*Config, error) {
	d := newDocument("", dir, env.withDefaults())
	if len(files) > 0 {
		d.name = files[0].Name
	}
	d.root = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: 1, Column: 1}
	if len(files) > 0 {
		d.owner[d.root] = d.file(files[0])
	}
	for _, f := range files {
		if n := d.parse(f); n != nil {
			d.root = d.mergeFiles(d.root, n, 0)
		}
	}
	c := Default()
	c.Dir, c.doc = dir, d
	broken := len(d.errs) > 0
	d.structure("", d.root, reflect.ValueOf(&c).Elem())
	c.validate(broken)
	d.seal(d.errs)
	if len(d.errs) > 0 {
		return &c, d.errs
	}
	return &c, nil
}

// Warnings are what is legal but most likely not meant, ordered by position,
// with those of the blocks that were decoded.
func (c *Config) Warnings() Warnings {
	if c.doc == nil {
		return nil
	}
	warns := slices.Clone(c.doc.warns)
	c.doc.seal(warns)
	return warns
}

// parse reads one file into nodes; nil where it is empty or no YAML mapping.
func (d *document) parse(f File) *yaml.Node {
	src := d.file(f)
	if line, col, why := badText(f.Data); why != "" {
		d.failText(src, line, col, "%s", why)
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(f.Data))
	if err != nil {
		d.failText(src, 1, 1, "%v", err)
		return nil
	}
	var doc yaml.Node
	switch err := loader.Load(&doc); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		d.failSyntax(src, err)
		return nil
	}
	d.adopt(&doc, src)
	var second yaml.Node
	switch err := loader.Load(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		d.failSyntax(src, err)
	default:
		d.owner[&second] = src
		d.fail(&second, "", "put it into a file of its own, in a folder", "a second document begins here; a file holds one")
	}
	if len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		d.hide(root)
		d.fail(root, "", "begin with a key such as sources:", "the file wants a mapping (key: value), found %s", kindName(root.Kind, nil))
		return nil
	}
	return root
}

// badText finds the first byte that no YAML file may hold (YAML 1.2.2, 5.1).
func badText(data []byte) (line, col int, why string) {
	line, col = 1, 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return line, col, "the file is not UTF-8 text"
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f, r >= 0x80 && r < 0xa0 && r != 0x85,
			r == 0xfffe, r == 0xffff, r == '\ufeff' && i > 0:
			return line, col, fmt.Sprintf("the character %U may not stand in a YAML file", r)
		case r == '\n':
			line, col = line+1, 0
		}
		i += size
		col++
	}
	return 0, 0, ""
}

// failText is an error at a place that no node marks.
func (d *document) failText(src *source, line, col int, format string, args ...any) {
	n := &yaml.Node{Line: line, Column: col}
	d.owner[n] = src
	src.hideWords(line)
	d.fail(n, "", "", format, args...)
}

func (d *document) failSyntax(src *source, err error) {
	var load *yaml.LoadError
	if !errors.As(err, &load) || load.Mark.Line == 0 {
		d.failText(src, 1, 1, "cannot be read as YAML")
		return
	}
	message := load.Message
	if strings.HasPrefix(message, "unknown anchor") {
		// The name in the library's message may be a secret that begins with an asterisk.
		message = "an alias (*name) has no anchor (&name) before it: quote the value if the asterisk belongs to it"
	} else if load.ContextMsg != "" && load.ContextMark.Line > 0 {
		message += fmt.Sprintf(" %s that begins in line %d", load.ContextMsg, load.ContextMark.Line)
	}
	d.failText(src, load.Mark.Line, load.Mark.Column, "not YAML: %s", message)
}

// hideWords masks all of a line but punctuation and the keys of this package. In a
// file that is no YAML nobody knows which words are secrets, and what went wrong
// there is a matter of punctuation.
func (s *source) hideWords(line int) {
	keys := knownKeys(reflect.TypeFor[Config](), map[reflect.Type]bool{})
	runes := append(slices.Clone(s.line(line)), ' ')
	start := -1
	for i, r := range runes {
		if !strings.ContainsRune(" \t:,[]{}\"'#&*|>!%@", r) {
			if start < 0 {
				start = i
			}
			continue
		}
		if start >= 0 {
			if word := string(runes[start:i]); word != "-" && !keys[word] {
				s.mask(span{line: line, col: start + 1, endLine: line, endCol: i + 1})
			}
			start = -1
		}
	}
}

// knownKeys are all keys at and below a type.
func knownKeys(t reflect.Type, seen map[reflect.Type]bool) map[string]bool {
	keys := map[string]bool{}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return knownKeys(t.Elem(), seen)
	case reflect.Struct:
		if seen[t] {
			return keys
		}
		seen[t] = true
		for _, f := range fields(t) {
			keys[f.key] = true
			maps.Copy(keys, knownKeys(t.FieldByIndex(f.index).Type, seen))
		}
	}
	return keys
}

// mergeFiles lays the mapping more over into, which is from an earlier file.
// What cannot be merged stays in twice, and the walk reports it.
func (d *document) mergeFiles(into, more *yaml.Node, depth int) *yaml.Node {
	out := *into
	if depth == 0 && len(into.Content) == 0 {
		return more
	}
	out.Content = slices.Clone(into.Content)
	d.owner[&out] = d.owner[into]
	for i := 0; i+1 < len(more.Content); i += 2 {
		key, value := more.Content[i], more.Content[i+1]
		at := indexKey(into, key)
		if at >= 0 {
			if merged := d.mergeValues(out.Content[at+1], value, depth); merged != nil {
				out.Content[at+1] = merged
				continue
			}
		}
		out.Content = append(out.Content, key, value)
	}
	return &out
}

func (d *document) mergeValues(a, b *yaml.Node, depth int) *yaml.Node {
	switch {
	case depth > 100:
		return nil
	case a.Kind == yaml.MappingNode && b.Kind == yaml.MappingNode:
		return d.mergeFiles(a, b, depth+1)
	case a.Kind == yaml.SequenceNode && b.Kind == yaml.SequenceNode && (depth == 0 || ofMappings(a) && ofMappings(b)):
		out := *a
		out.Content = slices.Concat(a.Content, b.Content)
		d.owner[&out] = d.owner[a]
		return &out
	}
	return nil
}

func ofMappings(n *yaml.Node) bool {
	return !slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return c.Kind != yaml.MappingNode })
}

func indexKey(n, key *yaml.Node) int {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Kind == yaml.ScalarNode && key.Kind == yaml.ScalarNode && n.Content[i].Value == key.Value {
			return i
		}
	}
	return -1
}
