package expr

import (
	"reflect"
	"slices"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// words is a list of strings whose membership test makes no garbage.
type words struct {
	traits.Lister
	items []string
}

func newWords(items []string) words {
	return words{types.NewStringList(types.DefaultTypeAdapter, items), items}
}

func (w words) Contains(value ref.Val) ref.Val {
	s, ok := value.(types.String)
	if !ok {
		return w.Lister.Contains(value)
	}
	return types.Bool(slices.Contains(w.items, string(s)))
}

// tagMap is a map of tags in which a missing key reads as "". It is no
// traits.Mapper on purpose: CEL asks a Mapper one question (Find) for m["k"] and
// for has(m.k), so the two could not differ; of an Indexer with a FieldTester
// it asks two (cel-go v0.33.2, interpreter/attributes.go, refQualify).
type tagMap map[string]string

func (t tagMap) mapper() traits.Mapper {
	return types.NewStringStringMap(types.DefaultTypeAdapter, t)
}

func (t tagMap) Get(key ref.Val) ref.Val {
	s, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key)
	}
	return types.String(t[string(s)])
}

func (t tagMap) IsSet(key ref.Val) ref.Val { return t.Contains(key) }

func (t tagMap) Contains(key ref.Val) ref.Val {
	s, ok := key.(types.String)
	if !ok {
		return types.False
	}
	_, found := t[string(s)]
	return types.Bool(found)
}

func (t tagMap) Iterator() traits.Iterator { return t.mapper().Iterator() }

func (t tagMap) Size() ref.Val { return types.Int(len(t)) }

func (t tagMap) ConvertToNative(as reflect.Type) (any, error) { return t.mapper().ConvertToNative(as) }

func (t tagMap) ConvertToType(as ref.Type) ref.Val {
	switch as {
	case types.MapType:
		return t
	case types.TypeType:
		return types.MapType
	}
	return types.NewErr("tags cannot be turned into %s", as.TypeName())
}

func (t tagMap) Equal(other ref.Val) ref.Val {
	if o, ok := other.(tagMap); ok {
		other = o.mapper()
	}
	return t.mapper().Equal(other)
}

func (t tagMap) Type() ref.Type { return types.MapType }

func (t tagMap) Value() any { return map[string]string(t) }
