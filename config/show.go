package config

import (
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/docket-hub/docket/config/secret"
)

// Show writes the effective configuration as YAML, defaults included, that Load
// reads again. A secret is shown as its reference, never as its value. The settings
// of a source or sink are shown, with the connector's defaults, once its Block was
// decoded; before that nobody knows which of them are secrets, and their texts are redacted.
func (c *Config) Show(w io.Writer) error {
	out, err := c.dump(false)
	if err != nil {
		return err
	}
	_, err = w.Write(out)
	return err
}

// Hash is 64 hex digits that change when the meaning of the configuration does:
// not with comments, layout, quoting, the order of keys or what stands in which
// file. It covers the references of secrets, never their values, and is the same
// before and after the blocks are decoded.
func (c *Config) Hash() string {
	out, err := c.dump(true)
	if err != nil {
		// Only a value that YAML cannot write gets here, and the file had none.
		out = []byte(err.Error())
	}
	sum := sha256.Sum256(out)
	return hex.EncodeToString(sum[:])
}

// SecretsChanged reports whether a secret that both configurations name has
// another value now than in old. A reference that only one has is a change of Hash.
func (c *Config) SecretsChanged(old *Config) bool {
	if c.doc == nil || old == nil || old.doc == nil {
		return false
	}
	for ref, now := range c.doc.secrets {
		if was, both := old.doc.secrets[ref]; both && !was.Equal(now) {
			return true
		}
	}
	return false
}

// SecretFilesChanged reports whether the file of a secret holds another one now than when the configuration
// was loaded. A file that cannot be read has not changed: it may be in the middle of being replaced.
func (c *Config) SecretFilesChanged() bool {
	if c.doc == nil {
		return false
	}
	for ref, was := range c.doc.secrets {
		if ref.Form != secret.FormFile {
			continue
		}
		if now, err := ref.Resolve(c.doc.from()); err == nil && !now.Equal(was) {
			return true
		}
	}
	return false
}

func (c *Config) dump(raw bool) ([]byte, error) {
	e := encoder{raw: raw}
	out, err := yaml.Dump(e.structure(reflect.ValueOf(c).Elem()), yaml.WithV4Defaults(), yaml.WithLineWidth(-1))
	if err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	return out, nil
}

// encoder turns the structs of this package and of connectors into YAML nodes.
type encoder struct {
	raw  bool // write blocks as the file has them
	hide bool // redact all texts
}

func (e encoder) structure(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range fields(v.Type()) {
		value := v.FieldByIndex(f.index)
		if omitted(value, f) {
			continue
		}
		add(n, f.key, e.value(value))
	}
	if rest, ok := restField(v); ok {
		e.block(n, rest.Interface().(Block))
	}
	return n
}

// omitted reports whether a value says nothing. Numbers and yes/no values always
// say something, unless the file could not hold them.
func omitted(v reflect.Value, f field) bool {
	if !v.IsZero() {
		return false
	}
	switch v.Kind() {
	case reflect.Bool:
		return f.omit
	case reflect.Int, reflect.Float64:
		return f.omit || f.rule.outside(0) != ""
	}
	return true
}

func (e encoder) block(n *yaml.Node, b Block) {
	if b.s == nil {
		return
	}
	if v := b.s.decoded; v.IsValid() && !e.raw {
		n.Content = append(n.Content, e.structure(v).Content...)
		return
	}
	e.hide = !e.raw
	for _, key := range sortedKeys(b.s.raw) {
		add(n, key, e.free(key, b.s.raw[key]))
	}
}

func (e encoder) value(v reflect.Value) *yaml.Node {
	if s, ok := v.Interface().(secret.Value); ok {
		return reference(s)
	}
	if d, ok := v.Interface().(time.Duration); ok {
		return text(FormatDuration(d))
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok && v.Kind() != reflect.Pointer {
		if out, err := m.MarshalText(); err == nil {
			return text(string(out))
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		return e.value(v.Elem())
	case reflect.Struct:
		return e.structure(v)
	case reflect.Map:
		return e.mapping(v)
	case reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.Len() {
			n.Content = append(n.Content, e.value(v.Index(i)))
		}
		return flowed(n)
	case reflect.Interface:
		return e.free("", v.Interface())
	case reflect.String:
		return text(v.String())
	}
	return scalarNode(fmt.Sprint(v.Interface()), v.Kind())
}

func (e encoder) mapping(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	byText := map[string]reflect.Value{}
	for _, k := range v.MapKeys() {
		byText[fmt.Sprint(k.Interface())] = v.MapIndex(k)
	}
	for _, key := range sortedKeys(byText) {
		value := byText[key]
		if value.Kind() == reflect.Interface {
			add(n, key, e.free(key, value.Interface()))
			continue
		}
		add(n, key, e.value(value))
	}
	return n
}

// free encodes a value of free shape that stands under key. A text under a key that
// sounds like a secret is hidden.
func (e encoder) free(key string, v any) *yaml.Node {
	switch v := v.(type) {
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, k := range sortedKeys(v) {
			add(n, k, e.free(k, v[k]))
		}
		return n
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, one := range v {
			n.Content = append(n.Content, e.free(key, one))
		}
		return flowed(n)
	case string:
		if e.hide || !e.raw && secretWord.MatchString(key) {
			return text(secret.Redacted)
		}
		return text(v)
	case nil:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	case float64:
		return scalarNode(strconv.FormatFloat(v, 'g', -1, 64), reflect.Float64)
	}
	return scalarNode(fmt.Sprint(v), reflect.TypeOf(v).Kind())
}

func reference(s secret.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	add(n, string(s.Ref().Form), text(s.Ref().Name))
	return n
}

func add(n *yaml.Node, key string, value *yaml.Node) {
	n.Content = append(n.Content, text(key), value)
}

func text(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if strings.Contains(s, "\n") {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

func scalarNode(s string, kind reflect.Kind) *yaml.Node {
	tag := "!!int"
	switch kind {
	case reflect.Bool:
		tag = "!!bool"
	case reflect.Float64, reflect.Float32:
		tag = "!!float"
		if !strings.ContainsAny(s, ".eE") {
			tag = "!!int"
		}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: s}
}

// flowed writes a list of plain values in one line.
func flowed(n *yaml.Node) *yaml.Node {
	if !slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return c.Kind != yaml.ScalarNode }) {
		n.Style = yaml.FlowStyle
	}
	return n
}
