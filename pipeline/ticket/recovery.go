package ticket

import (
	"fmt"
	"strings"

	"github.com/docket-hub/docket/pipeline"
)

// NeedsRecovery reports whether a ticket is about a leaked credential or a
// compromised account, so that its text carries the recovery check list: a risk factor
// exposed_credential, or active_threat against the root identity or a credential.
func NeedsRecovery(t pipeline.Ticket) bool {
	if hasFactor(t, "exposed_credential") {
		return true
	}
	if !hasFactor(t, "active_threat") {
		return false
	}
	switch t.Resource.Type {
	case "AwsIamAccessKey", "AwsIamUser", "AwsIamRole", "AwsAccount":
		return true
	}
	return hasFactor(t, "root_identity")
}

// hasFactor looks for a risk factor among the reasons, alone or as a word ("risk factor x").
func hasFactor(t pipeline.Ticket, factor string) bool {
	for _, r := range t.Explanation.Reasons {
		for _, word := range strings.Fields(r.What) {
			if word == factor {
				return true
			}
		}
	}
	return false
}

// step is one line of the check list and the commands that a person would run.
type step struct {
	what     string
	commands []string
}

// recovery is the check list for a compromised account, in order. Words in capitals
// are for the reader to fill in; the commands are the AWS CLI's, version 2
// (https://docs.aws.amazon.com/cli/latest/reference/), and change nothing but in steps 1 and 2.
func recovery(t pipeline.Ticket) []step {
	user := iamUser(t.Resource.ID)
	account := "ACCOUNT_ID"
	if isDigits(t.Account.ID) && t.Account.ID != "" {
		account = t.Account.ID
	}
	eachRegion := `for r in $(aws ec2 describe-regions --query 'Regions[].RegionName' --output text); do `
	return []step{
		{"Delete the exposed access key, and every access key of the root user (signed in as root).", []string{
			"aws iam update-access-key --user-name " + user + " --access-key-id ACCESS_KEY_ID --status Inactive",
			"aws iam delete-access-key --user-name " + user + " --access-key-id ACCESS_KEY_ID",
			"aws iam get-account-summary --query SummaryMap.AccountAccessKeysPresent",
			"aws iam delete-access-key --access-key-id ROOT_ACCESS_KEY_ID",
		}},
		{"Read the credential report. Rotate and delete keys, remove users, roles and policies that nobody knows, revoke temporary sessions, change all other passwords.", []string{
			"aws iam generate-credential-report",
			"aws iam get-credential-report --query Content --output text | base64 --decode",
			"aws iam create-access-key --user-name USER   # then Inactive, then delete-access-key for the old one",
			"aws iam list-users; aws iam list-roles; aws iam list-policies --scope Local",
			`aws iam put-role-policy --role-name ROLE --policy-name AWSRevokeOlderSessions --policy-document '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"NOW_AS_2006-01-02T15:04:05Z"}}}]}'`,
			"aws iam update-login-profile --user-name USER --password-reset-required",
		}},
		{"Check the account's data and its alternate contacts.", []string{
			"aws account get-contact-information --account-id " + account,
			"for c in BILLING OPERATIONS SECURITY; do aws account get-alternate-contact --account-id " + account + " --alternate-contact-type $c; done",
		}},
		{"Follow CloudTrail back to the first event of the attacker (90 days here; older events lie in the trail's bucket).", []string{
			"aws cloudtrail lookup-events --lookup-attributes AttributeKey=AccessKeyId,AttributeValue=ACCESS_KEY_ID --region REGION",
		}},
		{"Look for instances, functions and spot requests that nobody ordered, in every region.", []string{
			eachRegion + `echo "$r"; aws ec2 describe-instances --region "$r" --query 'Reservations[].Instances[].[InstanceId,LaunchTime,State.Name]' --output text; aws ec2 describe-spot-instance-requests --region "$r" --query 'SpotInstanceRequests[].SpotInstanceRequestId' --output text; aws lambda list-functions --region "$r" --query 'Functions[].[FunctionName,LastModified]' --output text; done`,
		}},
		{"Look for public buckets.", []string{
			`for b in $(aws s3api list-buckets --query 'Buckets[].Name' --output text); do echo "$b"; aws s3api get-public-access-block --bucket "$b"; aws s3api get-bucket-policy-status --bucket "$b"; done`,
		}},
		{"Search the code repositories for the key, in the whole history.", []string{
			"git log --all --oneline -S ACCESS_KEY_ID",
		}},
		{"Read and answer the notices of AWS Support.", []string{
			"aws support describe-cases --include-resolved-cases --region us-east-1",
		}},
		{"Read the bill.", []string{
			"aws ce get-cost-and-usage --time-period Start=FIRST_DAY,End=TODAY --granularity DAILY --metrics UnblendedCost --group-by Type=DIMENSION,Key=SERVICE",
		}},
		{"Ask Access Analyzer what is shared with the outside.", []string{
			"aws accessanalyzer list-analyzers --region REGION",
			"aws accessanalyzer list-findings-v2 --analyzer-arn ANALYZER_ARN --region REGION",
		}},
		{"Go through the hardening list again: what is open in this account.", []string{
			"docket findings list --account " + account + " --state open",
		}},
	}
}

// iamUser is the user's name in an IAM ARN, where it is one that a shell takes
// as it stands, else a word to fill in.
func iamUser(id string) string {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,.@_-"
	if a, ok := parseARN(id); ok && a.service == "iam" && a.kind == "user" {
		name := a.name[strings.LastIndexByte(a.name, '/')+1:]
		if name != "" && !strings.HasPrefix(name, "-") && len(name) <= 64 && strings.Trim(name, allowed) == "" {
			return name
		}
	}
	return "USER"
}

func (w *writer) recovery(t pipeline.Ticket) {
	if !NeedsRecovery(t) {
		return
	}
	w.heading("Recovery check list")
	w.line("A credential is exposed or the account may be taken over. Do all of it, in this order.")
	w.line("")
	for i, s := range recovery(t) {
		w.line(fmt.Sprintf("%d. [ ] %s", i+1, s.what))
		w.line("")
		w.line("    ```sh")
		for _, c := range s.commands {
			w.line("    " + c)
		}
		w.line("    ```")
	}
}
