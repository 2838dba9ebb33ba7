package config

import (
	"reflect"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/docket-hub/docket/config/secret"
)

// secretWord is a key under which people keep secrets. It is asked only where
// nothing better is known: in settings of free shape.
var secretWord = regexp.MustCompile(`(?i)pass|secret|token|key|cred|auth|private|webhook`)

const secretHelp = "write {env: NAME}, {file: PATH}, {aws_secretsmanager: \"NAME#key\"} or {aws_ssm: /path} and keep the secret there"

// secret decodes a reference and resolves it. Whatever stands there and is not a
// plain reference is masked, keys too, and no message repeats it.
func (d *document) secret(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		d.hide(n)
		switch {
		case isNull(n), n.Kind == yaml.MappingNode:
			d.fail(n, path, secretHelp, "a secret is missing")
		default:
			d.fail(n, path, secretHelp, "a secret must not stand in the file itself")
		}
		return
	}
	known := make([]string, 0, 4)
	for _, form := range secret.Forms() {
		known = append(known, string(form))
	}
	var refs []pair
	wrong := false
	for _, p := range d.pairs(path, n) {
		if slices.Contains(known, p.key.Value) {
			refs = append(refs, p)
			continue
		}
		wrong = true
		d.hide(p.value)
		if hint := suggestWord(p.key.Value, known); hint != "" {
			d.fail(p.key, child(path, p.key.Value), hint, "unknown form of a secret")
			continue
		}
		d.hide(p.key) // the key may be the secret: {hunter2}
		d.fail(p.key, path, secretHelp, "unknown form of a secret")
	}
	if len(refs) > 1 {
		d.fail(refs[1].key, path, "keep one of them", "a secret has exactly one form, this one has %s and %s",
			refs[0].key.Value, refs[1].key.Value)
		return
	}
	if len(refs) == 1 && !wrong {
		d.resolve(path, refs[0], v)
	}
}

func (d *document) resolve(path string, p pair, v reflect.Value) {
	at := child(path, p.key.Value)
	n, ok := d.enter(at, p.value)
	if !ok {
		return
	}
	if n.Kind != yaml.ScalarNode || isNull(n) || n.Value == "" {
		d.hide(n)
		d.fail(n, at, secretHelp, "wants the name of the place where the secret is")
		return
	}
	d.places[at] = place{p.key, n}
	ref := secret.Ref{Form: secret.Form(p.key.Value), Name: n.Value}
	got, known := d.secrets[ref]
	if d.env.Blind && !known {
		got, known = secret.New("not read", ref), true
	}
	if !known {
		var err error
		if got, err = ref.Resolve(d.from()); err != nil {
			if !ref.Presentable() {
				d.hide(n)
				d.fail(n, at, secretHelp, "%v", err)
				return
			}
			d.failShown(n, at, "", "%v", err)
			return
		}
		d.secrets[ref] = got
	}
	v.Set(reflect.ValueOf(got))
}
