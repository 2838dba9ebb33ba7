package expr

import (
	"slices"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/docket-hub/docket/pipeline"
)

// The names of the typed objects, as error messages show them.
const (
	typeFinding       = "finding"
	typeAccount       = "account"
	typeResource      = "resource"
	typeRemediation   = "remediation"
	typeVulnerability = "vulnerability"
	typeCode          = "code"
)

// The sizes up to which an expression's cost is known before it runs. A finding
// with more is evaluated under the counted limit, so they need not be right, only usual.
const (
	usualItems = 200
	usualRunes = 4096
)

// field is one field of a typed object.
type field struct {
	object string
	name   string
	typ    *types.Type
	get    func(*values) ref.Val
	set    func(*values) bool // what has() answers
}

var tagsType = types.NewMapType(types.StringType, types.StringType)
var wordsType = types.NewListType(types.StringType)

func text(object, name string, at func(*pipeline.Finding) string) field {
	return field{object, name, types.StringType,
		func(v *values) ref.Val { return types.String(at(v.f)) },
		func(v *values) bool { return at(v.f) != "" }}
}

func list(object, name string, at func(*pipeline.Finding) []string) field {
	return field{object, name, wordsType,
		func(v *values) ref.Val { return newWords(at(v.f)) },
		func(v *values) bool { return len(at(v.f)) > 0 }}
}

func tags(object, name string, at func(*pipeline.Finding) map[string]string) field {
	return field{object, name, tagsType,
		func(v *values) ref.Val { return tagMap(at(v.f)) },
		func(v *values) bool { return len(at(v.f)) > 0 }}
}

func number(object, name string, at func(*pipeline.Finding) int) field {
	return field{object, name, types.IntType,
		func(v *values) ref.Val { return types.Int(at(v.f)) },
		func(v *values) bool { return at(v.f) != 0 }}
}

func instant(object, name string, at func(*pipeline.Finding) time.Time) field {
	return field{object, name, types.TimestampType,
		func(v *values) ref.Val { return types.Timestamp{Time: at(v.f).UTC()} },
		func(v *values) bool { return !at(v.f).IsZero() }}
}

// part is a field that holds one of the finding's own objects.
func part(name string, index int, set func(*pipeline.Finding) bool) field {
	return field{typeFinding, name, types.NewObjectType(name),
		func(v *values) ref.Val { return &v.objects[index] },
		func(v *values) bool { return set(v.f) }}
}

func always(*pipeline.Finding) bool { return true }

// fields is fieldTable, made once.
var fields = sync.OnceValue(fieldTable)

// fieldTable is every field there is. A field's position is where a Subject keeps its value.
func fieldTable() []field {
	return slices.Concat(findingFields(), placeFields(), vulnerabilityFields(), codeFields())
}

func findingFields() []field {
	const o = typeFinding
	return []field{
		text(o, "fingerprint", func(f *pipeline.Finding) string { return f.Fingerprint.String() }),
		text(o, "kind", func(f *pipeline.Finding) string { return string(f.Kind) }),
		part(typeAccount, objectAccount, always),
		text(o, "region", func(f *pipeline.Finding) string { return f.Region }),
		part(typeResource, objectResource, always),
		text(o, "repository", func(f *pipeline.Finding) string { return f.Repository }),
		text(o, "control", func(f *pipeline.Finding) string { return f.Control }),
		text(o, "problem", func(f *pipeline.Finding) string { return f.Problem }),
		text(o, "title", func(f *pipeline.Finding) string { return f.Title }),
		text(o, "description", func(f *pipeline.Finding) string { return f.Description }),
		part(typeRemediation, objectRemediation, always),
		list(o, "links", func(f *pipeline.Finding) []string { return f.Links }),
		list(o, "compliance", func(f *pipeline.Finding) []string { return f.Compliance }),
		text(o, "severity", func(f *pipeline.Finding) string { return f.Severity.String() }),
		number(o, "severity_rank", func(f *pipeline.Finding) int { return int(f.Severity) }),
		list(o, "risk_factors", func(f *pipeline.Finding) []string { return f.RiskFactors }),
		list(o, "tags", func(f *pipeline.Finding) []string { return f.Tags }),
		tags(o, "tag", func(f *pipeline.Finding) map[string]string { return f.Resource.Tags }),
		part(typeVulnerability, objectVulnerability, func(f *pipeline.Finding) bool { return f.Vuln != nil }),
		part(typeCode, objectCode, func(f *pipeline.Finding) bool { return f.Code != nil }),
		text(o, "status", func(f *pipeline.Finding) string { return f.Status.String() }),
		text(o, "status_reason", func(f *pipeline.Finding) string { return f.StatusReason }),
		instant(o, "observed_at", func(f *pipeline.Finding) time.Time { return f.ObservedAt }),
		instant(o, "first_observed", func(f *pipeline.Finding) time.Time { return f.FirstObserved }),
		list(o, "products", func(f *pipeline.Finding) []string { return f.Products }),
		{o, "raw", types.DynType, (*values).raw, func(v *values) bool { return len(v.f.Raw) > 0 }},
	}
}

func placeFields() []field {
	return []field{
		text(typeAccount, "id", func(f *pipeline.Finding) string { return f.Account.ID }),
		text(typeAccount, "name", func(f *pipeline.Finding) string { return f.Account.Name }),
		list(typeAccount, "ou", func(f *pipeline.Finding) []string { return f.Account.OU }),
		tags(typeAccount, "tags", func(f *pipeline.Finding) map[string]string { return f.Account.Tags }),
		text(typeResource, "id", func(f *pipeline.Finding) string { return f.Resource.ID }),
		text(typeResource, "type", func(f *pipeline.Finding) string { return f.Resource.Type }),
		text(typeResource, "name", func(f *pipeline.Finding) string { return f.Resource.Name }),
		text(typeResource, "original", func(f *pipeline.Finding) string { return f.Resource.Original }),
		tags(typeResource, "tags", func(f *pipeline.Finding) map[string]string { return f.Resource.Tags }),
		text(typeRemediation, "text", func(f *pipeline.Finding) string { return f.Remediation.Text }),
		text(typeRemediation, "url", func(f *pipeline.Finding) string { return f.Remediation.URL }),
	}
}

// vulnerabilityFields read as empty on a finding that is none.
func vulnerabilityFields() []field {
	const o = typeVulnerability
	none := new(pipeline.Vulnerability)
	of := func(f *pipeline.Finding) *pipeline.Vulnerability {
		if f.Vuln == nil {
			return none
		}
		return f.Vuln
	}
	score := func(name string, at func(*pipeline.Vulnerability) float64) field {
		return field{o, name, types.DoubleType,
			func(v *values) ref.Val { return types.Double(at(of(v.f))) },
			func(v *values) bool { return at(of(v.f)) != 0 }}
	}
	flag := func(name string, at func(*pipeline.Vulnerability) bool) field {
		return field{o, name, types.BoolType,
			func(v *values) ref.Val { return types.Bool(at(of(v.f))) },
			func(v *values) bool { return at(of(v.f)) }}
	}
	return []field{
		text(o, "id", func(f *pipeline.Finding) string { return of(f).ID }),
		text(o, "package", func(f *pipeline.Finding) string { return of(f).Package }),
		text(o, "version", func(f *pipeline.Finding) string { return of(f).Version }),
		text(o, "fixed_version", func(f *pipeline.Finding) string { return of(f).FixedVersion }),
		score("cvss", func(v *pipeline.Vulnerability) float64 { return v.CVSS }),
		score("epss", func(v *pipeline.Vulnerability) float64 { return v.EPSS }),
		flag("kev", func(v *pipeline.Vulnerability) bool { return v.KEV }),
		flag("exploit", func(v *pipeline.Vulnerability) bool { return v.Exploit }),
	}
}

// codeFields read as empty on a finding that is not about code.
func codeFields() []field {
	const o = typeCode
	none := new(pipeline.Code)
	of := func(f *pipeline.Finding) *pipeline.Code {
		if f.Code == nil {
			return none
		}
		return f.Code
	}
	return []field{
		text(o, "rule", func(f *pipeline.Finding) string { return of(f).Rule }),
		text(o, "path", func(f *pipeline.Finding) string { return of(f).Path }),
		number(o, "line", func(f *pipeline.Finding) int { return of(f).Line }),
		text(o, "snippet", func(f *pipeline.Finding) string { return of(f).Snippet }),
		text(o, "fingerprint", func(f *pipeline.Finding) string { return of(f).Fingerprint }),
		number(o, "occurrence", func(f *pipeline.Finding) int { return of(f).Occurrence }),
	}
}

// Field names one thing that an expression can read.
type Field struct {
	Name string // finding.account.id
	Type string // string, int, double, bool, timestamp, list(string), map(string, string), dyn
}

// Fields lists everything that an expression can read, sorted by name; for documents and editors.
func Fields() []Field {
	var all []Field
	for _, f := range fields() {
		name := typeFinding + "." + f.name
		if f.object != typeFinding {
			name = typeFinding + "." + f.object + "." + f.name
		}
		if f.typ.Kind() != types.StructKind {
			all = append(all, Field{name, cel.FormatCELType(f.typ)})
		}
	}
	slices.SortFunc(all, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	return all
}
