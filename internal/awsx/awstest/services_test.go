package awstest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/account"
	accounttypes "github.com/aws/aws-sdk-go-v2/service/account/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/docket-hub/docket/internal/awsx/awstest"
)

func TestOrganizations(t *testing.T) {
	s := start(t, awstest.Options{})
	ctx := t.Context()
	c := organizations.NewFromConfig(as(s, "us-east-1"))
	var got []string
	pages := organizations.NewListAccountsPaginator(c, &organizations.ListAccountsInput{MaxResults: aws.Int32(3)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, "/")
		for _, a := range page.Accounts {
			got = append(got, *a.Id+" "+*a.Name+" "+string(a.Status))
		}
	}
	want := []string{"/", home + " management ACTIVE", other + " payments ACTIVE", "333344445555 closed to us ACTIVE", "/", "444455556666 old SUSPENDED"}
	if !slices.Equal(got, want) {
		t.Errorf("ListAccounts() by three = %q; want %q", got, want)
	}

	var path []string
	for child := other; ; {
		parents, err := c.ListParents(ctx, &organizations.ListParentsInput{ChildId: &child})
		if err != nil || len(parents.Parents) != 1 {
			t.Fatalf("ListParents(%s) = %v, %v; want one", child, parents, err)
		}
		child = *parents.Parents[0].Id
		if parents.Parents[0].Type == "ROOT" {
			break
		}
		unit, err := c.DescribeOrganizationalUnit(ctx, &organizations.DescribeOrganizationalUnitInput{OrganizationalUnitId: &child})
		if err != nil {
			t.Fatal(err)
		}
		path = append(path, *unit.OrganizationalUnit.Name)
	}
	if !slices.Equal(path, []string{"shop", "prod"}) {
		t.Errorf("the units above %s = %q; want shop, prod", other, path)
	}
	tags, err := c.ListTagsForResource(ctx, &organizations.ListTagsForResourceInput{ResourceId: aws.String(other)})
	if err != nil || len(tags.Tags) != 1 || *tags.Tags[0].Key != "tier" || *tags.Tags[0].Value != "0" {
		t.Errorf("ListTagsForResource(%s) = %+v, %v; want tier=0", other, tags, err)
	}
	org, err := c.DescribeOrganization(ctx, &organizations.DescribeOrganizationInput{})
	if err != nil || *org.Organization.MasterAccountId != home {
		t.Errorf("DescribeOrganization() = %+v, %v; want the management account %s", org, err, home)
	}

	for _, tt := range []struct {
		name string
		ask  func() error
		want string
	}{
		{"too large a page", func() error {
			_, err := c.ListAccounts(ctx, &organizations.ListAccountsInput{MaxResults: aws.Int32(100)})
			return err
		}, "InvalidInputException"},
		{"a token of somebody else", func() error {
			_, err := c.ListAccounts(ctx, &organizations.ListAccountsInput{NextToken: aws.String("x")})
			return err
		}, "InvalidInputException"},
		{"a child that is not there", func() error {
			_, err := c.ListParents(ctx, &organizations.ListParentsInput{ChildId: aws.String("999999999999")})
			return err
		}, "ChildNotFoundException"},
		{"a unit that is not there", func() error {
			_, err := c.DescribeOrganizationalUnit(ctx, &organizations.DescribeOrganizationalUnitInput{OrganizationalUnitId: aws.String("ou-ex01-aaaaaaaa")})
			return err
		}, "OrganizationalUnitNotFoundException"},
		{"tags of what is not there", func() error {
			_, err := c.ListTagsForResource(ctx, &organizations.ListTagsForResourceInput{ResourceId: aws.String("999999999999")})
			return err
		}, "TargetNotFoundException"},
		{"a member account", func() error {
			_, err := organizations.NewFromConfig(member(t, s, other, "eu-west-1")).ListAccounts(ctx, &organizations.ListAccountsInput{})
			return err
		}, "AccessDeniedException"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := code(tt.ask()); got != tt.want {
				t.Errorf("%s = %q; want %q", tt.name, got, tt.want)
			}
		})
	}
}

func TestListRegions(t *testing.T) {
	s := start(t, awstest.Options{Org: awstest.Org{Regions: []string{"eu-west-1", "af-south-1", "us-east-1"}, Accounts: []awstest.Account{
		{ID: home}, {ID: other, Regions: []string{"eu-west-1"}}}}})
	for _, tt := range []struct {
		name string
		as   aws.Config
		in   account.ListRegionsInput
		want string
	}{
		{"own", as(s, "us-east-1"), account.ListRegionsInput{}, "af-south-1 ENABLED, eu-west-1 ENABLED_BY_DEFAULT, us-east-1 ENABLED_BY_DEFAULT"},
		{"a member by itself", member(t, s, other, "us-east-1"), account.ListRegionsInput{}, "af-south-1 DISABLED, eu-west-1 ENABLED_BY_DEFAULT, us-east-1 DISABLED"},
		{"a member by the management account", as(s, "us-east-1"), account.ListRegionsInput{AccountId: aws.String(other),
			RegionOptStatusContains: []accounttypes.RegionOptStatus{"ENABLED", "ENABLED_BY_DEFAULT"}}, "eu-west-1 ENABLED_BY_DEFAULT"},
		{"another by a member", member(t, s, other, "us-east-1"), account.ListRegionsInput{AccountId: aws.String(home)}, "AccessDeniedException"},
		{"itself by name", as(s, "us-east-1"), account.ListRegionsInput{AccountId: aws.String(home)}, "AccessDeniedException"},
		{"too large a page", as(s, "us-east-1"), account.ListRegionsInput{MaxResults: aws.Int32(51)}, "ValidationException"},
		{"unknown status", as(s, "us-east-1"), account.ListRegionsInput{RegionOptStatusContains: []accounttypes.RegionOptStatus{"ON"}}, "ValidationException"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := account.NewFromConfig(tt.as).ListRegions(t.Context(), &tt.in)
			got := code(err)
			if err == nil {
				var rows []string
				for _, r := range out.Regions {
					rows = append(rows, *r.RegionName+" "+string(r.RegionOptStatus))
				}
				got = strings.Join(rows, ", ")
			}
			if got != tt.want {
				t.Errorf("ListRegions() = %q; want %q", got, tt.want)
			}
		})
	}
}

func TestSecrets(t *testing.T) {
	s := start(t, awstest.Options{
		Secrets:    []awstest.Secret{{Name: "docket/jira", Value: `{"token":"t"}`}, {Account: other, Region: "eu-west-1", Name: "theirs", Value: "v"}},
		Parameters: []awstest.Parameter{{Name: "/docket/slack", Value: "xoxb", Secure: true}, {Name: "plain", Value: "p"}},
	})
	ctx := t.Context()
	secret := func(cfg aws.Config, in secretsmanager.GetSecretValueInput) string {
		out, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &in)
		if err != nil {
			return code(err)
		}
		return *out.SecretString
	}
	parameter := func(in ssm.GetParameterInput) string {
		out, err := ssm.NewFromConfig(as(s, "eu-west-1")).GetParameter(ctx, &in)
		if err != nil {
			return code(err)
		}
		return *out.Parameter.Value
	}
	for _, tt := range []struct{ name, got, want string }{
		{"secret", secret(as(s, "eu-west-1"), secretsmanager.GetSecretValueInput{SecretId: aws.String("docket/jira")}), `{"token":"t"}`},
		{"secret by ARN", secret(as(s, "eu-west-1"), secretsmanager.GetSecretValueInput{SecretId: aws.String("arn:aws:secretsmanager:eu-west-1:" + home + ":secret:docket/jira-abcdef")}), `{"token":"t"}`},
		{"secret of another account", secret(as(s, "eu-west-1"), secretsmanager.GetSecretValueInput{SecretId: aws.String("theirs")}), "ResourceNotFoundException"},
		{"secret in its account", secret(member(t, s, other, "eu-west-1"), secretsmanager.GetSecretValueInput{SecretId: aws.String("theirs")}), "v"},
		{"an earlier version", secret(as(s, "eu-west-1"), secretsmanager.GetSecretValueInput{SecretId: aws.String("docket/jira"), VersionStage: aws.String("AWSPREVIOUS")}), "ResourceNotFoundException"},
		{"parameter", parameter(ssm.GetParameterInput{Name: aws.String("plain")}), "p"},
		{"secure parameter", parameter(ssm.GetParameterInput{Name: aws.String("/docket/slack"), WithDecryption: aws.Bool(true)}), "xoxb"},
		{"secure parameter, not decrypted", parameter(ssm.GetParameterInput{Name: aws.String("/docket/slack")}), "AQICAHhjaXBoZXJ0ZXh0"},
		{"no such parameter", parameter(ssm.GetParameterInput{Name: aws.String("/docket/none")}), "ParameterNotFound"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s = %q; want %q", tt.name, tt.got, tt.want)
		}
	}
}
