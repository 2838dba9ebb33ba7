package expr

import (
	"encoding/json"
	"fmt"
	"reflect"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/docket-hub/docket/pipeline"
)

// Subject is one finding, ready for any number of programs. What an expression
// reads is worked out on the first use and kept, the raw record included. It
// belongs to one goroutine, and the finding must not change while it is used.
type Subject struct{ v values }

// NewSubject takes a finding. It keeps the pointer and reads nothing yet.
func NewSubject(f *pipeline.Finding) *Subject {
	s := new(Subject)
	s.v.f = f
	for i := range s.v.objects {
		s.v.objects[i] = object{&s.v, i}
	}
	return s
}

// The objects of a finding, by position in values.objects.
const (
	objectFinding = iota
	objectAccount
	objectResource
	objectRemediation
	objectVulnerability
	objectCode
	objectCount
)

var objectNames = [objectCount]string{typeFinding, typeAccount, typeResource, typeRemediation, typeVulnerability, typeCode}

// maxFields bounds the fields that a subject keeps; a test compares it with fieldTable.
const maxFields = 52

// values is what a subject hands to CEL: the activation, and the values read so far.
type values struct {
	f       *pipeline.Finding
	objects [objectCount]object
	kept    [maxFields]ref.Val
	size    int8 // 0 not looked at, 1 usual, 2 unusual
}

// ResolveName answers the only variable there is.
func (v *values) ResolveName(name string) (any, bool) {
	if name == typeFinding {
		return &v.objects[objectFinding], true
	}
	return nil, false
}

// Parent is nil: there is no outer scope.
func (v *values) Parent() cel.Activation { return nil }

// raw parses the source's record. A finding without one has an empty record, so that has() is false.
func (v *values) raw() ref.Val {
	if len(v.f.Raw) == 0 {
		return types.DefaultTypeAdapter.NativeToValue(map[string]any{})
	}
	var record any
	if err := json.Unmarshal(v.f.Raw, &record); err != nil {
		return types.WrapErr(fmt.Errorf("read finding.raw: %w", err))
	}
	return types.DefaultTypeAdapter.NativeToValue(record)
}

// usual reports whether the finding is within the sizes that costs were estimated with.
func (v *values) usual() bool {
	if v.size == 0 {
		v.size = 1
		f := v.f
		for _, n := range [...]int{len(f.Links), len(f.Compliance), len(f.RiskFactors), len(f.Tags), len(f.Products),
			len(f.Account.OU), len(f.Account.Tags), len(f.Resource.Tags)} {
			if n > usualItems {
				v.size = 2
			}
		}
		for _, n := range [...]int{len(f.Title), len(f.Description), len(f.Remediation.Text), len(f.Resource.ID), len(f.Resource.Original)} {
			if n > usualRunes {
				v.size = 2
			}
		}
	}
	return v.size == 1
}

// object is the finding, or one of its parts, as a CEL value.
type object struct {
	v     *values
	which int
}

func (o *object) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("%s cannot be turned into %v", objectNames[o.which], t)
}

func (o *object) ConvertToType(t ref.Type) ref.Val {
	if t == types.TypeType {
		return types.NewObjectType(objectNames[o.which])
	}
	return types.NewErr("%s cannot be turned into %s", objectNames[o.which], t.TypeName())
}

// Get reads a field where its type is only known at run time (dyn(finding).region).
func (o *object) Get(name ref.Val) ref.Val {
	get, _, err := o.field(name)
	if err != nil {
		return err
	}
	val, failed := get(o)
	if failed != nil {
		return types.WrapErr(failed)
	}
	return val.(ref.Val)
}

// IsSet answers has() where the type is only known at run time.
func (o *object) IsSet(name ref.Val) ref.Val {
	_, set, err := o.field(name)
	if err != nil {
		return err
	}
	return types.Bool(set(o))
}

func (o *object) field(name ref.Val) (ref.FieldGetter, ref.FieldTester, ref.Val) {
	s, _ := name.(types.String)
	for i, f := range fields() {
		if f.object == objectNames[o.which] && f.name == string(s) {
			return getter(i, f), setter(f), nil
		}
	}
	return nil, nil, types.NewErr("no such field: %s.%v", objectNames[o.which], name.Value())
}

// Equal is identity: within one evaluation there is only one finding.
func (o *object) Equal(other ref.Val) ref.Val { return types.Bool(other == ref.Val(o)) }

func (o *object) Type() ref.Type { return types.NewObjectType(objectNames[o.which]) }

func (o *object) Value() any { return o }
