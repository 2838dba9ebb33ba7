package asff

import "strings"

// accessAnalyzer is the product's name of IAM Access Analyzer.
const accessAnalyzer = "IAM Access Analyzer"

// product is who made the finding, in one spelling whether ProductName, the
// product field of old findings or only the ARN says it.
func (f *finding) product() string {
	path := f.productPath()
	if name := awsProduct(strings.TrimPrefix(path, "aws/")); name != "" && strings.HasPrefix(path, "aws/") {
		return name
	}
	if name := first(f.ProductName, f.Fields.ProductName); name != "" {
		if known := awsProduct(strings.ToLower(strings.ReplaceAll(name, " ", ""))); known != "" && !strings.Contains(path, "/default") {
			return known
		}
		return name
	}
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		path = path[i+1:]
	}
	if strings.EqualFold(path, "prowler") {
		return "Prowler"
	}
	return path
}

// productPath is "aws/guardduty" of "arn:aws:securityhub:us-east-1::product/aws/guardduty".
func (f *finding) productPath() string {
	_, path, _ := strings.Cut(f.ProductARN, ":product/")
	return path
}

// awsProduct is the name of an AWS product by the last part of its ProductArn
// (Security Hub user guide, "AWS service integrations"), empty for any other.
func awsProduct(part string) string {
	switch part {
	case "securityhub":
		return "Security Hub"
	case "guardduty":
		return "GuardDuty"
	case "inspector":
		return "Inspector"
	case "macie":
		return "Macie"
	case "access-analyzer", "iamaccessanalyzer":
		return accessAnalyzer
	case "config":
		return "Config"
	case "detective":
		return "Detective"
	case "firewall-manager", "firewallmanager":
		return "Firewall Manager"
	case "health":
		return "Health"
	case "iot-device-defender":
		return "IoT Device Defender"
	case "ssm-patch-manager", "systemsmanagerpatchmanager":
		return "Systems Manager Patch Manager"
	case "prowler":
		return "Prowler"
	}
	return ""
}

// arnParts are partition, service, region, account and resource of an ARN; ok is false for anything else.
func arnParts(s string) (parts [5]string, ok bool) {
	if !strings.HasPrefix(s, "arn:") {
		return parts, false
	}
	p := strings.SplitN(s[4:], ":", 5)
	if len(p) != 5 {
		return parts, false
	}
	return [5]string(p), true
}

// reportID makes the pair of ProductArn and Id one text. Where the Id is an
// ARN of the same region (and account, where the product has one) it says all of that already.
func (f *finding) reportID() string {
	product, ok := arnParts(f.ProductARN)
	if !ok {
		if f.ProductARN == "" {
			return f.ID
		}
		return f.ProductARN + " " + f.ID
	}
	path := f.productPath()
	if id, ok := arnParts(f.ID); ok && strings.HasPrefix(path, "aws/") && id[2] == product[2] && id[3] != "" && product[3] == "" {
		return f.ID
	}
	where := product[2]
	if product[3] != "" {
		where += "/" + product[3]
	}
	return where + "/" + strings.TrimPrefix(path, "aws/") + " " + f.ID
}
