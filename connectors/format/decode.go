package format

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format/accessanalyzer"
	"github.com/docket-hub/docket/connectors/format/asff"
	"github.com/docket-hub/docket/connectors/format/awsconfig"
	"github.com/docket-hub/docket/connectors/format/awshealth"
	"github.com/docket-hub/docket/connectors/format/checkov"
	"github.com/docket-hub/docket/connectors/format/docket"
	"github.com/docket-hub/docket/connectors/format/gitleaks"
	"github.com/docket-hub/docket/connectors/format/grype"
	"github.com/docket-hub/docket/connectors/format/guardduty"
	"github.com/docket-hub/docket/connectors/format/inspector2"
	"github.com/docket-hub/docket/connectors/format/kics"
	"github.com/docket-hub/docket/connectors/format/macie"
	"github.com/docket-hub/docket/connectors/format/ocsf"
	"github.com/docket-hub/docket/connectors/format/prowler"
	"github.com/docket-hub/docket/connectors/format/sarif"
	"github.com/docket-hub/docket/connectors/format/semgrep"
	"github.com/docket-hub/docket/connectors/format/snyk"
	"github.com/docket-hub/docket/connectors/format/trivy"
	"github.com/docket-hub/docket/connectors/format/trustedadvisor"
	"github.com/docket-hub/docket/connectors/format/wiz"
	"github.com/docket-hub/docket/connectors/format/zap"
	"github.com/docket-hub/docket/pipeline"
)

// Decode reads one record that Split made. The report carries the record's
// scope, the record itself as Raw (not copied), and the scan's time where the record has
// none of its own. An error names what cannot be read, for the reject; it is never temporary.
func Decode(rec pipeline.Record) (pipeline.Report, error) {
	decode := decoder(rec.Format)
	if decode == nil {
		return pipeline.Report{}, fmt.Errorf("no decoder for the format %q", rec.Format)
	}
	r, err := decode(rec.Data)
	if err != nil {
		return pipeline.Report{}, errors.New(rec.Format + ": " + Reason(err))
	}
	r.Raw, r.Scope = rec.Data, rec.Scope
	if rec.Format == GuardDutyState {
		r.ObservedAt, r.Occurred = rec.Observed, false
	}
	if r.ObservedAt.IsZero() {
		r.ObservedAt = rec.Observed
	}
	return r, nil
}

// decoder is what reads records of a format; nil where nothing does.
func decoder(format string) func([]byte) (pipeline.Report, error) {
	switch format {
	case ASFF:
		return asff.Decode
	case OCSF:
		return ocsf.Decode
	case SARIF:
		return sarif.Decode
	case Docket:
		return docket.Decode
	case GuardDuty, GuardDutyState:
		return guardduty.Decode
	case AccessAnalyzer:
		return accessanalyzer.Decode
	case AWSConfig:
		return awsconfig.Decode
	case AWSHealth:
		return awshealth.Decode
	case Inspector2:
		return inspector2.Decode
	case Macie:
		return macie.Decode
	case TrustedAdvisor:
		return trustedadvisor.Decode
	case prowler.Name:
		return prowler.Decode
	case wiz.Name:
		return wiz.Decode
	case gitleaks.Name:
		return gitleaks.Decode
	case zap.Name:
		return zap.Decode
	case trivy.Name:
		return trivy.Decode
	case grype.Name:
		return grype.Decode
	case checkov.Name:
		return checkov.Decode
	case kics.Name:
		return kics.Decode
	case semgrep.Name:
		return semgrep.Decode
	case snyk.Name:
		return snyk.Decode
	}
	return nil
}

// Reason is an error of reading JSON in words for a person: what is wrong and
// at which member, without the reader's own type names.
func Reason(err error) string {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		text := strings.TrimPrefix(syntax.Error(), "jsontext: ")
		return text
	}
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		if semantic.Err != nil {
			return fmt.Sprintf("%s: %v", place(semantic.JSONPointer), semantic.Err)
		}
		return fmt.Sprintf("%s holds a %s where another kind of value belongs", place(semantic.JSONPointer), semantic.JSONKind)
	}
	return err.Error()
}

func place(p jsontext.Pointer) string {
	if p == "" {
		return "the record"
	}
	return strings.ReplaceAll(strings.TrimPrefix(string(p), "/"), "/", ".")
}
