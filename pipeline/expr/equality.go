package expr

import (
	"slices"
	"strings"

	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
)

// Equality is a fact that must hold where an expression is true: the text (or
// one of the words of the list) at Field is one of Values or starts with one of
// Prefixes. Where it does not hold, the expression is false without an error,
// unless it is stopped by its cost.
type Equality struct {
	Field    string   // "account.id", "risk_factors", "tag.team", "account.tags.tier"
	Values   []string // sorted, without repeats
	Prefixes []string // likewise; one of the two has an element
}

// Equalities is what the expression requires, sorted by field; empty when nothing
// was recognised. The slice is shared: do not change it.
func (p *Program) Equalities() []Equality { return p.equalities }

// equalities reads them off the checked tree: a == "x", a in ["x", "y"],
// "x" in list, a.startsWith("x"), and what && and || make of them.
func equalities(a *celast.AST) []Equality {
	found := required(a, a.Expr())
	all := make([]Equality, 0, len(found))
	for _, e := range found {
		e.Values = slices.Compact(slices.Sorted(slices.Values(e.Values)))
		e.Prefixes = slices.Compact(slices.Sorted(slices.Values(e.Prefixes)))
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Equality) int { return strings.Compare(a.Field, b.Field) })
	return all
}

// facts are equalities by field.
type facts map[string]Equality

func required(a *celast.AST, x celast.Expr) facts {
	if x.Kind() != celast.CallKind {
		return nil
	}
	call := x.AsCall()
	switch args := call.Args(); call.FunctionName() {
	case operators.LogicalAnd:
		return both(a, args)
	case operators.LogicalOr:
		return either(a, args)
	case operators.Equals:
		if v, ok := constant(args[1]); ok {
			return fact(a, args[0], types.StringKind, []string{v}, nil)
		}
		if v, ok := constant(args[0]); ok {
			return fact(a, args[1], types.StringKind, []string{v}, nil)
		}
	case operators.In:
		if v, ok := constant(args[0]); ok {
			return fact(a, args[1], types.ListKind, []string{v}, nil)
		}
		if values := constants(args[1]); len(values) > 0 {
			return fact(a, args[0], types.StringKind, values, nil)
		}
	case overloads.StartsWith:
		if v, ok := constant(args[0]); ok && call.IsMemberFunction() {
			return fact(a, call.Target(), types.StringKind, nil, []string{v})
		}
	}
	return nil
}

// both keeps of two facts about one field the shorter: either alone is necessary, and it excludes more.
func both(a *celast.AST, args []celast.Expr) facts {
	all := facts{}
	for _, arg := range args {
		for field, e := range required(a, arg) {
			known, ok := all[field]
			if !ok || len(e.Values)+2*len(e.Prefixes) < len(known.Values)+2*len(known.Prefixes) {
				all[field] = e
			}
		}
	}
	return all
}

// either joins what all sides say about one field, and drops what one of them says nothing about.
func either(a *celast.AST, args []celast.Expr) facts {
	all := required(a, args[0])
	for _, arg := range args[1:] {
		other := required(a, arg)
		for field, e := range all {
			o, ok := other[field]
			if !ok {
				delete(all, field)
				continue
			}
			all[field] = Equality{field, slices.Concat(e.Values, o.Values), slices.Concat(e.Prefixes, o.Prefixes)}
		}
	}
	return all
}

func fact(a *celast.AST, x celast.Expr, kind types.Kind, values, prefixes []string) facts {
	path, ok := path(x)
	if !ok || a.GetType(x.ID()).Kind() != kind {
		return nil
	}
	return facts{path: {path, values, prefixes}}
}

// constants are the elements of a list of texts; nil when one is something else.
func constants(x celast.Expr) []string {
	if x.Kind() != celast.ListKind {
		return nil
	}
	var values []string
	for _, element := range x.AsList().Elements() {
		v, ok := constant(element)
		if !ok {
			return nil
		}
		values = append(values, v)
	}
	return values
}

func constant(x celast.Expr) (string, bool) {
	if x.Kind() != celast.LiteralKind {
		return "", false
	}
	s, ok := x.AsLiteral().(types.String)
	return string(s), ok
}

// path is the dotted name of a field below finding. A raw field has none: reading it may fail.
func path(x celast.Expr) (string, bool) {
	var under celast.Expr
	var name string
	switch x.Kind() {
	case celast.SelectKind:
		if x.AsSelect().IsTestOnly() {
			return "", false
		}
		under, name = x.AsSelect().Operand(), x.AsSelect().FieldName()
	case celast.CallKind:
		call := x.AsCall()
		if call.FunctionName() != operators.Index {
			return "", false
		}
		key, ok := constant(call.Args()[1])
		if !ok {
			return "", false
		}
		under, name = call.Args()[0], key
	default:
		return "", false
	}
	if under.Kind() == celast.IdentKind {
		return name, under.AsIdent() == typeFinding && name != "raw"
	}
	parent, ok := path(under)
	return parent + "." + name, ok
}
