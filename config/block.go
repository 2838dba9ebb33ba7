package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v4"
)

// Block is what an entry of sources or sinks holds beside the keys that every
// type has: the connector's own settings, not yet decoded. The zero Block is empty.
// A Block is decoded by one goroutine at a time, as are all of one Config.
type Block struct{ s *blockState }

type blockState struct {
	doc     *document
	path    string
	entry   *yaml.Node
	pairs   []pair
	common  []string // keys of the entry that are not the connector's
	raw     map[string]any
	decoded reflect.Value
}

func newBlock(d *document, path string, entry *yaml.Node, pairs []pair, common []string) Block {
	b := &blockState{doc: d, path: path, entry: entry, pairs: pairs, common: common, raw: map[string]any{}}
	// Nobody knows yet which of these values are secrets.
	for _, p := range pairs {
		if src := d.owner[p.value]; src != nil {
			src.hide(p.value, b)
		}
		if plain, ok := d.plain(child(path, p.key.Value), p.value); ok {
			b.raw[p.key.Value] = plain
		}
	}
	return Block{b}
}

// hides reports whether the block's values must be masked wherever they appear.
func (b *blockState) hides() bool { return !b.decoded.IsValid() }

// Decode lays the block over into, a pointer to a struct that holds the
// connector's defaults. It is as strict as the rest of the file: the error is an
// Errors with every unknown key, wrong type, missing required key and unresolved
// secret at its place. Fields are named by yaml tags and checked by the rule tags
// that this package documents; they may be texts, numbers, bools, time.Duration,
// secret.Value, encoding.TextUnmarshaler, any, and structs, pointers, slices and maps of those.
func (b Block) Decode(into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("decoding a block into %T: want a pointer to a struct", into)
	}
	if b.s == nil {
		return nil
	}
	d := b.s.doc
	before := d.errs
	d.errs = nil
	known := fields(v.Elem().Type())
	left := d.fill(b.s.path, b.s.entry, v.Elem(), b.s.pairs, known)
	d.refuse(b.s.path, left, append(keysOf(known), b.s.common...))
	// What the first walk over the block found is reported already.
	reported := map[Error]bool{}
	for _, e := range before {
		reported[e.bare()] = true
	}
	errs := slices.DeleteFunc(d.errs, func(e Error) bool { return reported[e.bare()] })
	d.errs = before
	b.s.decoded = v.Elem()
	if len(errs) == 0 {
		return nil
	}
	d.seal(errs)
	return errs
}

// Errorf is an error at a key of the block, such as paths[0], with its place in the
// file; at the entry itself where path is empty or names nothing that is written there.
func (b Block) Errorf(path, format string, args ...any) error {
	if b.s == nil {
		return Error{Path: path, Message: fmt.Sprintf(format, args...)}
	}
	at := b.s.path
	if path != "" {
		at += "." + path
	}
	one := []Error{b.s.doc.errorAt(b.s.doc.node(at), at, format, args...)}
	b.s.doc.seal(one)
	return one[0]
}

// Path makes a path that stands in the block absolute or relative to the
// working directory, as Config.Path does.
func (b Block) Path(p string) string {
	if b.s == nil {
		return p
	}
	return (&Config{Dir: b.s.doc.dir}).Path(p)
}

// Has reports whether the block gives key.
func (b Block) Has(key string) bool {
	return b.s != nil && slices.ContainsFunc(b.s.pairs, func(p pair) bool { return p.key.Value == key })
}

// Digest is a hash of what the block says, without the values of secrets: a
// secret is its reference. It changes when a setting does.
func (b Block) Digest() string {
	h := sha256.New()
	if b.s != nil {
		for _, p := range b.s.pairs {
			digest(h, p.key)
			digest(h, p.value)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func digest(w io.Writer, n *yaml.Node) {
	fmt.Fprintf(w, "%d %d %q %d ", n.Kind, len(n.Value), n.Value, len(n.Content))
	for _, c := range n.Content {
		digest(w, c)
	}
}

// Node is a copy of the block as a YAML mapping, nil when it is empty. Its values are those of
// the file: a literal secret that Decode would refuse is in it.
func (b Block) Node() *yaml.Node {
	if b.s == nil || len(b.s.pairs) == 0 {
		return nil
	}
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: b.s.entry.Line, Column: b.s.entry.Column}
	for _, p := range b.s.pairs {
		n.Content = append(n.Content, p.key, p.value)
	}
	return n
}
