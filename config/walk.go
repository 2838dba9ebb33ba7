package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/docket-hub/docket/config/secret"
)

// defaulter is a struct whose values, made for an item of a list or behind a
// pointer, are not the zero ones.
type defaulter interface{ setDefaults() }

// scalarForm is a struct for which a plain text may stand.
type scalarForm interface{ setScalar(text string) }

// Types with a way of their own through the walk.
func secretType() reflect.Type   { return reflect.TypeFor[secret.Value]() }
func blockType() reflect.Type    { return reflect.TypeFor[Block]() }
func durationType() reflect.Type { return reflect.TypeFor[time.Duration]() }

// value decodes n into v, which is settable. Whatever is wrong is noted and the
// walk goes on with the rest; a value that is wrong leaves v as it was.
func (d *document) value(path string, key, n *yaml.Node, v reflect.Value, r rule) {
	n, ok := d.enter(path, n)
	if !ok {
		return
	}
	d.places[path] = place{key, n}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" && v.Type() != secretType() {
		if !r.required { // else its absence is an error
			d.warn(n, path, "remove the key or give it a value", "has no value, so its default stays")
		}
		return
	}
	switch {
	case v.Type() == secretType():
		d.secret(path, n, v)
	case v.Type() == durationType():
		d.duration(path, n, v, r)
	case v.Kind() == reflect.Pointer:
		d.pointer(path, key, n, v, r)
	case v.CanAddr() && isText(v.Addr()):
		d.text(path, n, v)
	case v.Kind() == reflect.Struct:
		d.structure(path, n, v)
	case v.Kind() == reflect.Map:
		d.mapping(path, n, v, r)
	case v.Kind() == reflect.Slice:
		d.list(path, n, v, r)
	case v.Kind() == reflect.Interface:
		if plain, ok := d.plain(path, n); ok {
			v.Set(reflect.ValueOf(plain))
		}
	default:
		d.scalar(path, n, v, r)
	}
}

// enter follows aliases and spends one visit.
func (d *document) enter(path string, n *yaml.Node) (*yaml.Node, bool) {
	for hops := 0; n.Kind == yaml.AliasNode && n.Alias != nil; hops++ {
		if hops > 100 {
			return n, false
		}
		n = n.Alias
	}
	d.visits--
	if d.visits == 0 || d.visits > 0 && strings.Count(path, ".")+strings.Count(path, "[") > 200 {
		d.visits = -1
		d.fail(n, "", "", "aliases or nesting make this more than docket reads")
	}
	return n, d.visits > 0
}

func isText(ptr reflect.Value) bool {
	_, ok := ptr.Interface().(encoding.TextUnmarshaler)
	return ok
}

func (d *document) pointer(path string, key, n *yaml.Node, v reflect.Value, r rule) {
	to := newValue(v.Type().Elem())
	if !v.IsNil() {
		to.Set(v.Elem())
	}
	d.value(path, key, n, to, r)
	v.Set(to.Addr())
}

// newValue is a settable value of type t with its defaults.
func newValue(t reflect.Type) reflect.Value {
	ptr := reflect.New(t)
	if def, ok := ptr.Interface().(defaulter); ok {
		def.setDefaults()
	}
	return ptr.Elem()
}

func (d *document) text(path string, n *yaml.Node, v reflect.Value) {
	if !d.want(path, n, v.Type(), yaml.ScalarNode) {
		return
	}
	into := v.Addr().Interface().(encoding.TextUnmarshaler)
	if n.Value == "" {
		d.fail(n, path, "", "is empty")
		return
	}
	if err := into.UnmarshalText([]byte(n.Value)); err != nil {
		message := err.Error()
		if suspicious(n.Value) {
			message = "cannot be read"
		}
		d.fail(n, path, suggestWord(n.Value, words(v.Type())), "%s", message)
	}
}

func (d *document) duration(path string, n *yaml.Node, v reflect.Value, r rule) {
	if !d.want(path, n, v.Type(), yaml.ScalarNode) {
		return
	}
	got, err := ParseDuration(n.Value)
	switch {
	case err != nil:
		d.fail(n, path, err.Error(), "%q is no duration", short(n.Value))
	case got < 0:
		d.fail(n, path, "", "is negative")
	case got == 0 && !r.zero:
		d.fail(n, path, "", "is zero, where a time must pass")
	default:
		v.SetInt(int64(got))
	}
}

func (d *document) list(path string, n *yaml.Node, v reflect.Value, r rule) {
	if n.Kind == yaml.ScalarNode && r.single {
		one := newValue(v.Type().Elem())
		d.value(path, nil, n, one, rule{})
		v.Set(reflect.Append(reflect.MakeSlice(v.Type(), 0, 1), one))
		return
	}
	if !d.want(path, n, v.Type(), yaml.SequenceNode) {
		return
	}
	all := reflect.MakeSlice(v.Type(), 0, len(n.Content))
	for i, c := range n.Content {
		one := newValue(v.Type().Elem())
		if c.Kind == yaml.ScalarNode && c.Tag == "!!null" && one.Type() != secretType() {
			d.fail(c, item(path, i), "", "is an empty item of a list")
		} else {
			d.value(item(path, i), nil, c, one, rule{})
		}
		all = reflect.Append(all, one)
	}
	v.Set(all)
}

func (d *document) mapping(path string, n *yaml.Node, v reflect.Value, r rule) {
	if !d.want(path, n, v.Type(), yaml.MappingNode) {
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for _, p := range d.pairs(path, n) {
		at := child(path, p.key.Value)
		k := reflect.New(v.Type().Key()).Elem()
		if isText(k.Addr()) {
			if err := k.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(p.key.Value)); err != nil || k.IsZero() {
				d.hide(p.value)
				d.unknownKey(at, p.key, words(k.Type()))
				continue
			}
		} else {
			k.SetString(p.key.Value)
		}
		one := newValue(v.Type().Elem())
		d.value(at, p.key, p.value, one, r)
		v.SetMapIndex(k, one)
	}
}

// scalar decodes texts, numbers and yes/no values.
func (d *document) scalar(path string, n *yaml.Node, v reflect.Value, r rule) {
	if !d.want(path, n, v.Type(), yaml.ScalarNode) {
		return
	}
	quoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	switch v.Kind() {
	case reflect.String:
		if n.Tag == "!!bool" && !quoted {
			d.fail(n, path, fmt.Sprintf("write %q in quotes if it is a text", n.Value), "wants a text, found a yes/no value")
			return
		}
		if !r.allows(n.Value) {
			d.fail(n, path, suggestWord(n.Value, r.oneof), "%q is none of %s", short(n.Value), strings.Join(r.oneof, ", "))
			return
		}
		v.SetString(n.Value)
	case reflect.Bool:
		if n.Tag != "!!bool" || quoted {
			d.fail(n, path, "write true or false", "wants a yes/no value, found %s", found(n))
			return
		}
		v.SetBool(strings.EqualFold(n.Value, "true"))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i, err := strconv.ParseInt(n.Value, 0, v.Type().Bits())
		if err != nil || quoted {
			d.fail(n, path, "", "wants a whole number, found %s", found(n))
			return
		}
		if why := r.outside(float64(i)); why != "" {
			d.fail(n, path, "", "%s", why)
			return
		}
		v.SetInt(i)
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(n.Value, v.Type().Bits())
		if err != nil || quoted || f != f || f-f != 0 {
			d.fail(n, path, "", "wants a number, found %s", found(n))
			return
		}
		if why := r.outside(f); why != "" {
			d.fail(n, path, "", "%s", why)
			return
		}
		v.SetFloat(f)
	default:
		d.fail(n, path, "", "cannot be set from a file (%s)", v.Type())
	}
}

// want checks the kind of n. Where the wanted type holds secrets, what stands
// there instead may be one and is masked.
func (d *document) want(path string, n *yaml.Node, t reflect.Type, kind yaml.Kind) bool {
	if n.Kind == kind {
		return true
	}
	if holdsSecret(t, nil) {
		d.hide(n)
		d.fail(n, path, "", "wants %s, found %s", kindName(kind, t), kindName(n.Kind, nil))
		return false
	}
	hint := ""
	if kind == yaml.SequenceNode {
		hint = "begin each item with a dash"
		if n.Kind == yaml.ScalarNode && t.Elem().Kind() == reflect.String {
			hint = "write [" + short(n.Value) + "]"
		}
	}
	d.fail(n, path, hint, "wants %s, found %s", kindName(kind, t), found(n))
	return false
}

func holdsSecret(t reflect.Type, seen []reflect.Type) bool {
	if t == secretType() || t == blockType() {
		return true
	}
	if slices.Contains(seen, t) {
		return false
	}
	seen = append(seen, t)
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return holdsSecret(t.Elem(), seen)
	case reflect.Interface:
		return true
	case reflect.Struct:
		if _, ok := restField(reflect.New(t).Elem()); ok {
			return true
		}
		for _, f := range fields(t) {
			if holdsSecret(t.FieldByIndex(f.index).Type, seen) {
				return true
			}
		}
	}
	return false
}

func kindName(kind yaml.Kind, t reflect.Type) string {
	switch kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping (key: value)"
	}
	switch {
	case t == nil:
		return "a single value"
	case t == durationType():
		return "a duration"
	case t.Kind() == reflect.Bool:
		return "a yes/no value"
	case t.Kind() == reflect.String, reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return "a text"
	}
	return "a number"
}

// found says what stands at n, for a place that holds no secret.
func found(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		return kindName(n.Kind, nil)
	}
	return strconv.Quote(short(n.Value))
}

// short cuts a value for a message.
func short(text string) string {
	const limit = 60
	if suspicious(text) {
		return mask
	}
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return text
}

// suspicious reports whether a text that is wrong where it stands may have
// swallowed a secret beside it: `role: admin token hunter2`, where a comma and a colon are missing.
func suspicious(text string) bool {
	return secretWord.MatchString(text) && !plainKey.MatchString(text)
}
