package expr

import (
	"slices"
	"strings"

	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// Equality is a fact that must hold where an expression is true: the text (or
// one of the words of the list) at Field is one of Values. Where it does not hold,
// the expression is false without an error, unless it is stopped by its cost.
type Equality struct {
	Field  string   // "account.id", "risk_factors", "tag.team", "account.tags.tier"
	Values []string // at least one, sorted, without repeats
}

// Equalities is what the expression requires; empty when nothing was
// recognised. The slice is shared: do not change it.
func (p *Program) Equalities() []Equality { return p.equalities }

// equalities reads them off the checked tree: a == "x", a in ["x", "y"],
// "x" in list, and what && and || make of them.
func equalities(a *celast.AST) []Equality {
	found := required(a, a.Expr())
	all := make([]Equality, 0, len(found))
	for field, values := range found {
		all = append(all, Equality{field, slices.Compact(slices.Sorted(slices.Values(values)))})
	}
	slices.SortFunc(all, func(a, b Equality) int { return strings.Compare(a.Field, b.Field) })
	return all
}

func required(a *celast.AST, x celast.Expr) map[string][]string {
	if x.Kind() != celast.CallKind {
		return nil
	}
	call := x.AsCall()
	switch args := call.Args(); call.FunctionName() {
	case operators.LogicalAnd:
		all := map[string][]string{}
		for _, arg := range args {
			for field, values := range required(a, arg) {
				// Of two facts about one field either alone is necessary; the shorter excludes more.
				if known, ok := all[field]; !ok || len(values) < len(known) {
					all[field] = values
				}
			}
		}
		return all
	case operators.LogicalOr:
		all := required(a, args[0])
		for _, arg := range args[1:] {
			other := required(a, arg)
			for field := range all {
				values, ok := other[field]
				if !ok {
					delete(all, field)
					continue
				}
				all[field] = append(slices.Clone(all[field]), values...)
			}
		}
		return all
	case operators.Equals:
		if v, ok := constant(args[1]); ok {
			return fact(a, args[0], types.StringKind, v)
		}
		if v, ok := constant(args[0]); ok {
			return fact(a, args[1], types.StringKind, v)
		}
	case operators.In:
		if v, ok := constant(args[0]); ok {
			return fact(a, args[1], types.ListKind, v)
		}
		if args[1].Kind() != celast.ListKind || args[1].AsList().Size() == 0 {
			return nil
		}
		var values []string
		for _, element := range args[1].AsList().Elements() {
			v, ok := constant(element)
			if !ok {
				return nil
			}
			values = append(values, v)
		}
		return fact(a, args[0], types.StringKind, values...)
	}
	return nil
}

func fact(a *celast.AST, x celast.Expr, kind types.Kind, values ...string) map[string][]string {
	path, ok := path(x)
	if !ok || a.GetType(x.ID()).Kind() != kind {
		return nil
	}
	return map[string][]string{path: values}
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
