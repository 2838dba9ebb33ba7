package expr

import (
	"errors"
	"fmt"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// The limits of one expression.
const (
	// CostLimit is the most that one evaluation may cost, in CEL's units (about
	// one for each step and for each ten characters looked at); what would
	// always cost more is refused when it is compiled, the rest is stopped while it runs.
	CostLimit = 100_000
	// MaxRunes is how long an expression may be.
	MaxRunes = 16 << 10
	maxNodes = 5_000
	maxDepth = 100
	maxRegex = 2_000 // instructions of a regular expression; one can also come from a finding
)

// Env compiles expressions. It is safe for concurrent use.
type Env struct{ env *cel.Env }

// NewEnv builds the environment: CEL's standard functions and macros, and
// the variable finding. Build it once; an error is a defect of this program.
func NewEnv() (*Env, error) {
	p, err := newProvider()
	if err != nil {
		return nil, err
	}
	env, err := cel.NewCustomEnv(
		cel.CustomTypeProvider(p),
		cel.CustomTypeAdapter(p.Registry),
		cel.StdLib(),
		cel.Variable(typeFinding, types.NewObjectType(typeFinding)),
		cel.ParserExpressionSizeLimit(MaxRunes),
		cel.ParserRecursionLimit(maxDepth),
		cel.ExpressionNodeLimit(maxNodes),
		cel.RegexProgramSizeLimit(maxRegex),
		cel.CrossTypeNumericComparisons(true), // finding.vulnerability.cvss >= 9
	)
	if err != nil {
		return nil, fmt.Errorf("make the expression environment: %w", err)
	}
	return &Env{env}, nil
}

// Compile checks src and prepares it. The error is an *Error, or several
// joined (All takes them apart), each with its place in src.
func (e *Env) Compile(src string) (*Program, error) {
	ast, issues := e.env.Compile(src)
	if issues.Err() != nil {
		return nil, compileErrors(src, issues)
	}
	if t := ast.OutputType(); !t.IsExactType(types.BoolType) {
		if t.IsExactType(types.DynType) {
			return nil, wholeError("the result's type is not known before it runs; write a comparison, such as … == true")
		}
		return nil, wholeError(fmt.Sprintf("the result must be true or false (bool), this is %s", cel.FormatCELType(t)))
	}
	if err := refuse(ast.NativeRep()); err != nil {
		return nil, err
	}
	estimate, err := e.env.EstimateCost(ast, sizes{})
	if err != nil {
		return nil, wholeError("the cost cannot be estimated: " + err.Error())
	}
	if estimate.Min > CostLimit {
		return nil, wholeError(fmt.Sprintf("it would always cost more than the limit of %d steps", CostLimit))
	}
	p := &Program{src: src, equalities: equalities(ast.NativeRep())}
	if p.counted, err = e.env.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(CostLimit)); err != nil {
		return nil, wholeError(err.Error())
	}
	if estimate.Max <= CostLimit {
		if p.plain, err = e.env.Program(ast, cel.EvalOptions(cel.OptOptimize)); err != nil {
			return nil, wholeError(err.Error())
		}
	}
	return p, nil
}

// refuse finds what CEL allows and a finding cannot carry: == between whole
// maps (tags answer for missing keys, so it would depend on the order of its sides), and objects made on the spot.
func refuse(a *celast.AST) error {
	var found error
	fail := func(x celast.Expr, message string) {
		if at := a.SourceInfo().GetStartLocation(x.ID()); found == nil {
			found = &Error{at.Line(), at.Column() + 1, message}
		}
	}
	celast.PreOrderVisit(a.Expr(), celast.NewExprVisitor(func(x celast.Expr) {
		switch x.Kind() {
		case celast.StructKind:
			fail(x, "an object cannot be made in an expression")
		case celast.CallKind:
			compared := x.AsCall().Args()
			switch x.AsCall().FunctionName() {
			case operators.Equals, operators.NotEquals:
			case operators.In:
				compared = compared[:1]
			default:
				return
			}
			for _, arg := range compared {
				if a.GetType(arg.ID()).Kind() == types.MapKind {
					fail(x, "maps cannot be compared as a whole; compare single tags")
				}
			}
		}
	}))
	return found
}

// sizes tells the cost estimate how big the parts of a usual finding are at most.
type sizes struct{}

func (sizes) EstimateSize(node cost.AstNode) *cost.SizeEstimate {
	path := node.Path()
	if len(path) < 2 || path[0] != typeFinding || path[1] == "raw" {
		return nil
	}
	switch node.Type().Kind() {
	case types.ListKind, types.MapKind:
		return &cost.SizeEstimate{Min: 0, Max: usualItems}
	case types.StringKind:
		return &cost.SizeEstimate{Min: 0, Max: usualRunes}
	}
	return nil
}

func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// Program is a compiled expression. It is safe for concurrent use, each call with its own Subject.
type Program struct {
	src        string
	counted    cel.Program
	plain      cel.Program // nil when only counting can keep the cost limit
	equalities []Equality
}

// Source is the text that was compiled.
func (p *Program) Source() string { return p.src }

// Eval reports whether the expression is true of s. An error means that it
// could not be worked out (a field of finding.raw is missing, a value has
// another type, it cost too much); the caller counts that as false and says so.
func (p *Program) Eval(s *Subject) (bool, error) {
	run := p.counted
	if p.plain != nil && s.v.usual() {
		run = p.plain
	}
	out, _, err := run.Eval(&s.v)
	if err != nil {
		return false, evalError(err)
	}
	b, ok := out.(types.Bool)
	if !ok {
		return false, errors.New("the result is not true or false")
	}
	return bool(b), nil
}
