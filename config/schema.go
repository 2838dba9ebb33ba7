package config

import (
	"encoding"
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"github.com/docket-hub/docket/config/secret"
)

// Blocks are the settings of each type of source and sink, as the struct that its Block is decoded into.
type Blocks struct {
	Sources map[string]reflect.Type
	Sinks   map[string]reflect.Type
}

// schema is a JSON Schema (draft 2020-12).
type schema map[string]any

// Schema is the JSON Schema of the configuration for editors, indented. It says less than Load:
// what refers to another place of the file is not checked.
func Schema(b Blocks) ([]byte, error) {
	w := &schemaWriter{open: map[reflect.Type]bool{}, defs: schema{}}
	s := w.object(reflect.TypeFor[Config]())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "docket's configuration"
	members := s["properties"].(schema)
	members["sources"] = schema{"type": "array", "items": w.entry(reflect.TypeFor[Source](), b.Sources)}
	members["sinks"] = schema{"type": "array", "items": w.entry(reflect.TypeFor[Sink](), b.Sinks)}
	// A folder's file holds a part, so nothing at the top is required, and keys that editors' own tools read are fine.
	delete(s, "required")
	s["$defs"] = w.defs
	text, err := json.MarshalIndent(s, "", "  ")
	return append(text, '\n'), err
}

// schemaWriter notes the types that hold themselves: they stand under $defs, by name.
type schemaWriter struct {
	open map[reflect.Type]bool
	defs schema
}

// entry is a source or a sink: the keys that all have, and those of its type.
func (w *schemaWriter) entry(common reflect.Type, types map[string]reflect.Type) schema {
	s := w.object(common)
	delete(s, "additionalProperties")
	names := slices.Sorted(maps.Keys(types))
	s["properties"].(schema)["type"] = schema{"enum": names}
	var cases []any
	for _, name := range names {
		own := w.object(types[name])
		delete(own, "additionalProperties")
		cases = append(cases, schema{
			"if":   schema{"properties": schema{"type": schema{"const": name}}, "required": []string{"type"}},
			"then": own,
		})
	}
	s["allOf"] = cases
	s["unevaluatedProperties"] = false
	return s
}

// object is the schema of a struct.
func (w *schemaWriter) object(t reflect.Type) schema {
	ref := schema{"$ref": "#/$defs/" + t.Name()}
	if w.open[t] {
		w.defs[t.Name()] = nil // filled in where it began
		return ref
	}
	w.open[t] = true
	defer delete(w.open, t)
	members := schema{}
	var required []string
	for _, f := range fields(t) {
		members[f.key] = nullable(w.value(t.FieldByIndex(f.index).Type, f.rule))
		if f.rule.required {
			required = append(required, f.key)
		}
	}
	s := schema{"type": "object", "properties": members, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	if _, recursive := w.defs[t.Name()]; recursive {
		w.defs[t.Name()] = s
		return ref
	}
	return s
}

// nullable lets a key stand without a value, which leaves its default.
func nullable(s schema) schema {
	if word, ok := s["type"].(string); ok && s["enum"] == nil {
		s["type"] = []string{word, "null"}
	}
	return s
}

// value is the schema of what may stand for a type under a rule.
func (w *schemaWriter) value(t reflect.Type, r rule) schema {
	switch {
	case t == secretType():
		return secretSchema()
	case t == durationType():
		return schema{"type": "string", "pattern": `^([0-9.]+(ns|us|µs|ms|s|m|h|d|w))+$|^0$`, "examples": []string{"30s", "5m", "12h", "7d"}}
	case t.Kind() == reflect.Pointer:
		return w.value(t.Elem(), r)
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		if known := words(t); known != nil {
			return schema{"type": "string", "pattern": anyCase(known), "examples": known}
		}
		return schema{"type": []string{"string", "number"}}
	}
	switch t.Kind() {
	case reflect.Struct:
		s := w.object(t)
		if reflect.PointerTo(t).Implements(reflect.TypeFor[scalarForm]()) {
			return schema{"anyOf": []any{schema{"type": "string"}, s}}
		}
		return s
	case reflect.Map:
		return w.mapping(t, r)
	case reflect.Slice:
		item := w.value(t.Elem(), rule{})
		list := schema{"type": "array", "items": item}
		if r.single {
			return schema{"anyOf": []any{item, list}}
		}
		return list
	}
	return scalarSchema(t, r)
}

// mapping is the schema of a map, whose keys may be words of a closed list.
func (w *schemaWriter) mapping(t reflect.Type, r rule) schema {
	s := schema{"type": "object", "additionalProperties": w.value(t.Elem(), r)}
	if known := words(t.Key()); known != nil {
		s["propertyNames"] = schema{"pattern": anyCase(known)}
	}
	return s
}

func scalarSchema(t reflect.Type, r rule) schema {
	s := schema{}
	switch t.Kind() {
	case reflect.String:
		// A number or a date without quotes is read as the text that it is.
		if s["type"] = []string{"string", "number"}; r.oneof != nil {
			return schema{"enum": r.oneof}
		}
	case reflect.Bool:
		s["type"] = "boolean"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		s["type"] = "integer"
	case reflect.Float32, reflect.Float64:
		s["type"] = "number"
	}
	for name, bound := range map[string]*float64{"minimum": r.min, "maximum": r.max, "exclusiveMinimum": r.over} {
		if bound != nil {
			s[name] = *bound
		}
	}
	return s
}

// anyCase is a pattern of words in upper and lower case.
func anyCase(words []string) string {
	pattern := ""
	for i, w := range words {
		if i > 0 {
			pattern += "|"
		}
		for _, c := range w {
			if lower := c | 0x20; c >= 'A' && c <= 'Z' {
				pattern += "[" + string(c) + string(lower) + "]"
			} else {
				pattern += string(c)
			}
		}
	}
	return "^(" + pattern + ")$"
}

// secretSchema is a reference: exactly one of the forms.
func secretSchema() schema {
	forms := schema{}
	for _, f := range secret.Forms() {
		forms[string(f)] = schema{"type": "string"}
	}
	return schema{"type": "object", "properties": forms, "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
		"description": "a reference: {env: NAME}, {file: PATH}, {aws_secretsmanager: \"NAME#json-key\"} or {aws_ssm: /path}"}
}
