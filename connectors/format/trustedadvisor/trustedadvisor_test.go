package trustedadvisor_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/connectors/format/trustedadvisor"
	"github.com/docket-hub/docket/pipeline"
)

func record(check, status string, metadata map[string]string) trustedadvisor.Record {
	return trustedadvisor.Record{
		CheckID: check, CheckName: "A check", Category: "security", Account: "111122223333", Timestamp: "2026-01-10T10:00:00Z",
		CheckStatus: status, Status: status, Region: "eu-west-1", ResourceID: "hash-1", Metadata: metadata,
	}
}

func decode(t *testing.T, r trustedadvisor.Record) pipeline.Report {
	t.Helper()
	data, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	rep, err := trustedadvisor.Decode(data)
	if err != nil {
		t.Fatalf("Decode(%s) = %v; want a report", data, err)
	}
	return rep
}

// TestDecodeResource holds what each check's columns name.
func TestDecodeResource(t *testing.T) {
	for _, c := range []struct {
		name, check                 string
		metadata                    map[string]string
		id, typ, region, resourceID string
	}{
		{"ports", "HCP4007jGY", map[string]string{"Region": "eu-west-2", "Security Group ID": "sg-0a (vpc-0b)", "Protocol": "tcp", "From Port": "22", "To Port": "22"},
			"HCP4007jGY/111122223333/eu-west-2/sg-0a/tcp/22/22", "AwsEc2SecurityGroup", "eu-west-2", "sg-0a"},
		{"ports, older columns", "HCP4007jGY", map[string]string{"Region": "eu-west-2", "Security Group ID": "sg-0a", "Protocol": "tcp", "Ports": "22", "Status": "Red"},
			"HCP4007jGY/111122223333/eu-west-2/sg-0a/tcp/22", "AwsEc2SecurityGroup", "eu-west-2", "sg-0a"},
		{"any port", "1iG5NDGVre", map[string]string{"Region": "eu-west-2", "Security Group ID": "sg-0a", "Protocol": "tcp", "Port": "0-65535", "IP Range": "0.0.0.0/0"},
			"1iG5NDGVre/111122223333/eu-west-2/sg-0a/tcp/0-65535/0.0.0.0/0", "AwsEc2SecurityGroup", "eu-west-2", "sg-0a"},
		{"bucket", "Pfx0RwqBli", map[string]string{"Region Name": "EU (Ireland)", "Region API Parameter": "eu-west-1", "Bucket Name": "acme"},
			"Pfx0RwqBli/111122223333/eu-west-1/acme", "AwsS3Bucket", "eu-west-1", "acme"},
		{"access key", "DqdJqYeRm5", map[string]string{"IAM user": "ci", "Access Key": "Access Key 1", "Reason": "not rotated"},
			"DqdJqYeRm5/111122223333/global/ci/Access_Key_1", "AwsIamUser", "global", "ci"},
		{"access key of root", "DqdJqYeRm5", map[string]string{"IAM User": "<root_account>", "Access Key": "Access Key 1"},
			"DqdJqYeRm5/111122223333/global/111122223333/Access_Key_1", "AwsAccount", "global", "111122223333"},
		{"exposed key", "12Fnkpl8Y5", map[string]string{"Access Key ID": "EXAMPLEKEYID", "User Name (IAM or Root)": "ci", "Time Updated": "x"},
			"12Fnkpl8Y5/111122223333/global/EXAMPLEKEYID", "AwsIamAccessKey", "global", "EXAMPLEKEYID"},
		{"suspected without a key", "12Fnkpl8Y5", map[string]string{"Access Key ID": "-"},
			"12Fnkpl8Y5/111122223333/global/111122223333", "AwsAccount", "global", "111122223333"},
		{"root MFA", "7DAFEmoDos", nil, "7DAFEmoDos/111122223333/global/111122223333", "AwsAccount", "global", "111122223333"},
		{"analyzer", "07602fcad6", map[string]string{"Region": "eu-north-1", "Account External Access Analyzer Arn": ""},
			"07602fcad6/111122223333/eu-north-1/111122223333", "AwsAccount", "eu-north-1", "111122223333"},
		{"zone", "c9D319e7sG", map[string]string{"Hosted Zone Name": "acme.test.", "Hosted Zone ID": "Z0A", "Resource Record Set Name": "mail.acme.test."},
			"c9D319e7sG/111122223333/global/Z0A/mail.acme.test.", "AwsRoute53HostedZone", "global", "Z0A"},
		{"misspelt column", "c1qf5bt005", map[string]string{"Region": "eu-west-1", "Resouce": "main"},
			"c1qf5bt005/111122223333/eu-west-1/main", "AwsRdsDbCluster", "eu-west-1", "main"},
		{"unknown check with an ARN", "new1", map[string]string{"Region": "eu-west-1", "Resource": "arn:aws:sqs:eu-west-1:111122223333:jobs"},
			"new1/111122223333/eu-west-1/arn:aws:sqs:eu-west-1:111122223333:jobs", "", "eu-west-1", "arn:aws:sqs:eu-west-1:111122223333:jobs"},
		{"unknown check with a known column", "new1", map[string]string{"Region/AZ": "eu-west-1a", "Instance ID": "i-0a"},
			"new1/111122223333/eu-west-1a/i-0a", "AwsEc2Instance", "eu-west-1a", "i-0a"},
		{"unknown check about nothing known", "new1", map[string]string{"Region": "-", "Service": "IAM"},
			"new1/111122223333/eu-west-1/111122223333/hash-1", "AwsAccount", "eu-west-1", "111122223333"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := decode(t, record(c.check, "warning", c.metadata))
			got := [4]string{r.ID, r.Resource.Type, r.Region, r.Resource.ID}
			want := [4]string{c.id, c.typ, c.region, c.resourceID}
			if got != want {
				t.Errorf("Decode(%s %v) = %q; want %q", c.check, c.metadata, got, want)
			}
		})
	}
}

func TestDecodeStatus(t *testing.T) {
	for _, c := range []struct {
		name, check, status, whole string
		suppressed                 bool
		want                       pipeline.Status
		severity                   pipeline.Severity
	}{
		{"red", "c18d2gz186", "error", "error", false, pipeline.StatusOpen, pipeline.High},
		{"red of a critical check", "7DAFEmoDos", "error", "error", false, pipeline.StatusOpen, pipeline.Critical},
		{"red of a bucket may be a check without rights", "Pfx0RwqBli", "error", "error", false, pipeline.StatusOpen, pipeline.High},
		{"yellow", "HCP4007jGY", "warning", "error", false, pipeline.StatusOpen, pipeline.Medium},
		{"green is evidence", "HCP4007jGY", "ok", "error", false, pipeline.StatusResolved, pipeline.Informational},
		{"excluded is an opinion", "HCP4007jGY", "error", "ok", true, pipeline.StatusUnproven, pipeline.Critical},
		{"excluded and green is evidence", "HCP4007jGY", "ok", "ok", true, pipeline.StatusResolved, pipeline.Informational},
		{"the check could not look", "HCP4007jGY", "ok", "not_available", false, pipeline.StatusUnproven, pipeline.Informational},
		{"not available", "HCP4007jGY", "not_available", "", false, pipeline.StatusUnproven, pipeline.Informational},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := record(c.check, c.status, nil)
			in.CheckStatus, in.IsSuppressed = c.whole, c.suppressed
			if r := decode(t, in); r.Status != c.want || r.Severity != c.severity || r.StatusReason == "" {
				t.Errorf("Decode(%s, excluded %v, of a check %s) = %v %v %q; want %v %v and a reason", c.status, c.suppressed, c.whole, r.Status, r.Severity, r.StatusReason, c.want, c.severity)
			}
		})
	}
}

func TestDecodeText(t *testing.T) {
	in := record("Hs4Ma3G294", "warning", map[string]string{"Status": "Yellow", "Region": "eu-west-1", "Resource": "arn:aws:athena:eu-west-1:111122223333:workgroup/primary",
		"Last Updated Time": "now"})
	in.Description = "Checks a workgroup &amp; more.<br>\nSecond line.<br>\n<b>Source</b><br>\nAWS Security Hub<br>\nSecurity Hub Control Id: Athena.1<br>\n" +
		"<b>Alert Criteria</b><br>\nYellow: x.<br>\n<b>Recommended Action</b><br>\nTurn <i>it</i> on.<br>\n<b>Additional Resources</b><br>\n<a href=\"https://a\">A</a> < b"
	r := decode(t, in)
	if want := []string{"trustedadvisor:Hs4Ma3G294", "fsbp:Athena.1"}; cmp.Diff(want, r.Names) != "" {
		t.Errorf("Decode(a check of Security Hub).Names = %q; want %q", r.Names, want)
	}
	if want := "Checks a workgroup & more.\nSecond line.\n\nRegion: eu-west-1\nResource: arn:aws:athena:eu-west-1:111122223333:workgroup/primary"; r.Description != want {
		t.Errorf("Decode(…).Description = %q; want %q", r.Description, want)
	}
	if want := "Turn it on."; r.Remediation.Text != want || !strings.HasSuffix(r.Remediation.URL, "/security-checks.html") {
		t.Errorf("Decode(…).Remediation = %+v; want %q", r.Remediation, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct{ name, data, want string }{
		{"nothing", `{}`, "checkId is missing\naccount is missing\nstatus is missing\ntimestamp is missing"},
		{"another colour", `{"checkId":"a","account":"1","status":"blue","timestamp":"2026-01-10T10:00:00Z"}`, `status: "blue" is none of ok, warning, error, not_available`},
		{"no time", `{"checkId":"a","account":"1","status":"ok","timestamp":"yesterday"}`, `timestamp: "yesterday" is no time`},
		{"no object", `[]`, "json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := trustedadvisor.Decode([]byte(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Decode(%s) = %v; want %q", c.data, err, c.want)
			}
		})
	}
}
