package securityhub

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format"
)

// facts are what of a finding says where it belongs.
type facts struct {
	account, region string
	product         string // as in the product's ARN: aws/guardduty
	standards       []string
	updated         time.Time
}

// lenient reads what the decoders of findings may judge differently.
func lenient() json.Options {
	return json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// factsOf reads the facts of a record. What is missing or of another kind stays empty: the decoder says why the record is refused.
func factsOf(name string, data []byte) facts {
	if name == format.OCSF {
		return factsV2(data)
	}
	var f struct {
		ProductArn, AwsAccountId, Region, UpdatedAt string
		Compliance                                  struct {
			AssociatedStandards []struct{ StandardsId string }
		}
	}
	if err := json.Unmarshal(data, &f, lenient()); err != nil {
		return facts{}
	}
	r := facts{account: f.AwsAccountId, region: f.Region, product: productOf(f.ProductArn), updated: instant(f.UpdatedAt)}
	if parts := strings.SplitN(f.ProductArn, ":", 6); r.region == "" && len(parts) == 6 {
		r.region = parts[3]
	}
	for _, s := range f.Compliance.AssociatedStandards {
		r.standards = append(r.standards, s.StandardsId)
	}
	return r
}

func factsV2(data []byte) facts {
	var f struct {
		Metadata struct {
			Product struct {
				UID string `json:"uid"`
			} `json:"product"`
		} `json:"metadata"`
		Cloud struct {
			Region  string `json:"region"`
			Account struct {
				UID string `json:"uid"`
			} `json:"account"`
		} `json:"cloud"`
		Compliance struct {
			Standards []string `json:"standards"`
		} `json:"compliance"`
		Info struct {
			Modified string `json:"modified_time_dt"`
		} `json:"finding_info"`
	}
	if err := json.Unmarshal(data, &f, lenient()); err != nil {
		return facts{}
	}
	return facts{account: f.Cloud.Account.UID, region: f.Cloud.Region, product: productOf(f.Metadata.Product.UID),
		standards: f.Compliance.Standards, updated: instant(f.Info.Modified)}
}

// productOf is "aws/guardduty" of "arn:aws:securityhub:us-east-1::product/aws/guardduty", and of productv2. The second generation names
// some products by an id alone; it stands where a name of AWS's own does.
func productOf(arn string) string {
	for _, kind := range []string{":product/", ":productv2/"} {
		if _, name, ok := strings.Cut(arn, kind); ok {
			return product(name)
		}
	}
	return ""
}

// instant is a time in whole milliseconds, as a question can name it; some providers write finer ones.
func instant(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

// scope is what a whole read of proves absence in: the findings of one product in one account and region.
// Empty where the finding does not say.
func (r facts) scope() string {
	if r.account == "" || r.region == "" || r.product == "" {
		return ""
	}
	return strings.Join([]string{"aws", Type, r.account, r.region, strings.TrimPrefix(r.product, "aws/")}, "/")
}

// placeOf is account, region and product of a scope.
func placeOf(scope string) (account, region, product string) {
	parts := strings.SplitN(scope, "/", 5)
	if len(parts) < 5 {
		return "", "", ""
	}
	product = parts[4]
	if !strings.Contains(product, "/") {
		product = "aws/" + product
	}
	return parts[2], parts[3], product
}
