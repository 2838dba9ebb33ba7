package expr

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// provider tells CEL the types of finding; everything else is the standard registry's.
type provider struct {
	*types.Registry
	fields map[string]map[string]*types.FieldType // object -> field
	names  map[string][]string
}

func newProvider() (*provider, error) {
	reg, err := types.NewRegistry()
	if err != nil {
		return nil, fmt.Errorf("make the type registry: %w", err)
	}
	p := &provider{reg, map[string]map[string]*types.FieldType{}, map[string][]string{}}
	for i, f := range fields() {
		if i >= maxFields {
			return nil, fmt.Errorf("make the types: more than %d fields", maxFields)
		}
		if p.fields[f.object] == nil {
			p.fields[f.object] = map[string]*types.FieldType{}
		}
		p.fields[f.object][f.name] = &types.FieldType{Type: f.typ, IsSet: setter(f), GetFrom: getter(i, f)}
		p.names[f.object] = append(p.names[f.object], f.name)
	}
	return p, nil
}

func setter(f field) ref.FieldTester {
	return func(target any) bool {
		o, ok := target.(*object)
		return ok && objectNames[o.which] == f.object && f.set(o.v)
	}
}

// getter reads field i and keeps the value in the subject.
func getter(i int, f field) ref.FieldGetter {
	return func(target any) (any, error) {
		o, ok := target.(*object)
		if !ok || objectNames[o.which] != f.object {
			return nil, fmt.Errorf("no such field: %s.%s", f.object, f.name)
		}
		val := o.v.kept[i]
		if val == nil {
			val = f.get(o.v)
			o.v.kept[i] = val
		}
		if err, bad := val.(*types.Err); bad {
			return nil, err
		}
		return val, nil
	}
}

func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if p.fields[name] != nil {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return p.Registry.FindStructType(name)
}

func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	if names := p.names[name]; names != nil {
		return slices.Clone(names), true
	}
	return p.Registry.FindStructFieldNames(name)
}

func (p *provider) FindStructFieldType(object, name string) (*types.FieldType, bool) {
	if fields := p.fields[object]; fields != nil {
		f, ok := fields[name]
		return f, ok
	}
	return p.Registry.FindStructFieldType(object, name)
}
