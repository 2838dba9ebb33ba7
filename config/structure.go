package config

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// field is a key of a struct.
type field struct {
	key   string
	index []int
	rule  rule
	omit  bool // a zero value is left out when shown
}

// fields are the keys of a struct type in its order. A field without a yaml tag is no key.
func fields(t reflect.Type) []field {
	var all []field
	for i := range t.NumField() {
		f := t.Field(i)
		key, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if !f.IsExported() || key == "" || key == "-" {
			continue
		}
		all = append(all, field{key, f.Index, parseRule(f.Tag.Get("rule")), option == "omitempty"})
	}
	return all
}

// restField is the Block of a struct that takes the keys no field takes.
func restField(v reflect.Value) (reflect.Value, bool) {
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == ",rest" {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// rule is the rule tag of a field.
type rule struct {
	required, zero, single bool
	oneof                  []string
	min, max, over         *float64
}

func parseRule(tag string) rule {
	var r rule
	for _, word := range strings.Fields(tag) {
		name, arg, _ := strings.Cut(word, "=")
		number, _ := strconv.ParseFloat(arg, 64)
		switch name {
		case "required":
			r.required = true
		case "zero":
			r.zero = true
		case "single":
			r.single = true
		case "oneof":
			r.oneof = strings.Split(arg, "|")
		case "min":
			r.min = &number
		case "max":
			r.max = &number
		case "over":
			r.over = &number
		}
	}
	return r
}

func (r rule) allows(word string) bool { return r.oneof == nil || slices.Contains(r.oneof, word) }

// outside says why a number is out of bounds, or "".
func (r rule) outside(f float64) string {
	text := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	switch {
	case r.min != nil && f < *r.min:
		return "must be at least " + text(*r.min)
	case r.over != nil && f <= *r.over:
		return "must be more than " + text(*r.over)
	case r.max != nil && f > *r.max:
		return "must be at most " + text(*r.max)
	}
	return ""
}

// pair is one key and its value.
type pair struct{ key, value *yaml.Node }

// pairs are the keys of a mapping, each once, with those of a merge key (<<) behind the own ones.
func (d *document) pairs(path string, n *yaml.Node) []pair {
	var all, merged []pair
	seen := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.AliasNode && key.Alias != nil {
			key = key.Alias
		}
		switch first := seen[key.Value]; {
		case key.Kind != yaml.ScalarNode:
			d.hide(key)
			d.hide(value)
			d.fail(key, path, "", "a key must be a plain text, found %s", kindName(key.Kind, nil))
		case key.Tag == "!!merge":
			merged = append(merged, d.merge(path, value)...)
		case first != nil:
			d.hide(value)
			at := child(path, key.Value)
			if !plainKey.MatchString(key.Value) {
				d.hide(key)
				at = path
			}
			d.fail(key, at, "keep one of them", "is given twice, first %s", d.said(first, key))
		default:
			seen[key.Value] = key
			all = append(all, pair{key, value})
		}
	}
	for _, p := range merged {
		if seen[p.key.Value] == nil {
			seen[p.key.Value] = p.key
			all = append(all, p)
		}
	}
	return all
}

// said is where first stands, as seen from a second place.
func (d *document) said(first, second *yaml.Node) string {
	a, b := d.owner[first], d.owner[second]
	if a != nil && a != b {
		return "in " + Position{a.name, first.Line, first.Column}.String()
	}
	return "in line " + strconv.Itoa(first.Line)
}

func (d *document) merge(path string, n *yaml.Node) []pair {
	n, ok := d.enter(path, n)
	if !ok {
		return nil
	}
	if d.merging[n] {
		d.fail(n, path, "", "a merge key leads back to itself")
		return nil
	}
	d.merging[n] = true
	defer delete(d.merging, n)
	switch n.Kind {
	case yaml.MappingNode:
		return d.pairs(path, n)
	case yaml.SequenceNode:
		var all []pair
		for _, c := range n.Content {
			all = append(all, d.merge(path, c)...)
		}
		return all
	}
	d.hide(n)
	d.fail(n, path, "write <<: *name", "a merge key wants a mapping")
	return nil
}

func (d *document) structure(path string, n *yaml.Node, v reflect.Value) {
	if form, ok := v.Addr().Interface().(scalarForm); ok && n.Kind == yaml.ScalarNode {
		form.setScalar(n.Value)
		return
	}
	if !d.want(path, n, v.Type(), yaml.MappingNode) {
		return
	}
	known := fields(v.Type())
	rest, takesRest := restField(v)
	left := d.fill(path, n, v, d.pairs(path, n), known)
	if takesRest {
		rest.Set(reflect.ValueOf(newBlock(d, path, n, left, keysOf(known))))
		return
	}
	d.refuse(path, left, keysOf(known))
}

// fill decodes the pairs that a field of v takes and returns the others.
func (d *document) fill(path string, n *yaml.Node, v reflect.Value, pairs []pair, known []field) (left []pair) {
	given := map[string]bool{}
	for _, p := range pairs {
		i := slices.IndexFunc(known, func(f field) bool { return f.key == p.key.Value })
		if i < 0 {
			left = append(left, p)
			continue
		}
		into := v.FieldByIndex(known[i].index)
		given[p.key.Value] = !isNull(p.value) || into.Type() == secretType() // which reports that itself
		d.value(child(path, p.key.Value), p.key, p.value, into, known[i].rule)
	}
	for _, f := range known {
		if f.rule.required && !given[f.key] {
			d.fail(n, child(path, f.key), "", "is required and missing")
		}
	}
	return left
}

// refuse reports keys that nothing takes. Whatever stands under them may be a secret and is masked.
func (d *document) refuse(path string, pairs []pair, known []string) {
	for _, p := range pairs {
		d.hide(p.value)
		if nearest(p.key.Value, known) == "" && (isNull(p.value) || !plainKey.MatchString(p.key.Value)) {
			// A colon may be missing, and what looks like a key is a key and its value.
			d.hide(p.key)
			d.fail(p.key, path, "write key: value, with a blank behind the colon", "unknown key")
			continue
		}
		d.unknownKey(child(path, p.key.Value), p.key, known)
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func keysOf(fs []field) []string {
	keys := make([]string, len(fs))
	for i, f := range fs {
		keys[i] = f.key
	}
	return keys
}

func (d *document) unknownKey(path string, key *yaml.Node, known []string) {
	hint := suggestWord(key.Value, known)
	if hint == "" {
		hint = "known here: " + strings.Join(known, ", ")
	}
	if len(known) == 0 {
		hint = ""
	}
	d.fail(key, path, hint, "unknown key")
}

// plain decodes what has no fixed shape into map[string]any, []any, string,
// bool, int64, float64 and nil.
func (d *document) plain(path string, n *yaml.Node) (any, bool) {
	n, ok := d.enter(path, n)
	if !ok {
		return nil, false
	}
	d.places[path] = place{nil, n}
	switch n.Kind {
	case yaml.MappingNode:
		all := map[string]any{}
		for _, p := range d.pairs(path, n) {
			if secretWord.MatchString(p.key.Value) {
				d.hide(p.value)
			}
			if v, ok := d.plain(child(path, p.key.Value), p.value); ok {
				all[p.key.Value] = v
			}
		}
		return all, true
	case yaml.SequenceNode:
		all := []any{}
		for i, c := range n.Content {
			if v, ok := d.plain(item(path, i), c); ok {
				all = append(all, v)
			}
		}
		return all, true
	}
	return plainScalar(n), true
}

func plainScalar(n *yaml.Node) any {
	switch n.Tag {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int":
		if i, err := strconv.ParseInt(n.Value, 0, 64); err == nil {
			return i
		}
	case "!!float":
		if f, err := strconv.ParseFloat(n.Value, 64); err == nil && f-f == 0 {
			return f
		}
	}
	return n.Value
}
