package iam_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// actions are the IAM actions of operations that are not called as the operation is. No action at all: no permission is needed.
//
// Sources: the Service Authorization Reference
// (https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html); for Security
// Hub's second API also the API reference of GetFindingsV2 and BatchUpdateFindingsV2; for the batches of SQS
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html; GetCallerIdentity
// needs none by the STS API reference.
var actions = map[string][]string{
	"securityhub:GetFindingsV2":         {"securityhub:GetFindings"},
	"securityhub:BatchUpdateFindingsV2": {"securityhub:BatchUpdateFindings"},
	"sqs:DeleteMessageBatch":            {"sqs:DeleteMessage"},
	"sqs:ChangeMessageVisibilityBatch":  {"sqs:ChangeMessageVisibility"},
	"sts:GetCallerIdentity":             {},
}

// implied are actions that no operation of the code has by itself: AWS asks for them on the way.
var implied = map[string]string{
	"kms:Decrypt": "secretsmanager:GetSecretValue and ssm:GetParameter decrypt with the customer's key in the caller's name",
}

// client is the path of the SDK's clients.
const client = "github.com/aws/aws-sdk-go-v2/service/"

// called is the IAM actions of every AWS operation in the code, and where one of them stands. An operation is
// known by the input that its call makes: every one has an input of its own name.
func called(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, top := range []string{"../../connectors", "../../internal/awsx"} {
		err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "awstest" || d.Name() == "testdata"):
				return fs.SkipDir
			case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
				return nil
			}
			return operations(name, found)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(found) == 0 {
		t.Fatal("no call of AWS was found in the code")
	}
	return found
}

// operations adds those of one file to found.
func operations(name string, found map[string]string) error {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	services := map[string]string{} // by the name that the file has for the package
	for _, i := range file.Imports {
		at, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return err
		}
		local := path.Base(at)
		if i.Name != nil {
			local = i.Name.Name
		}
		if service, ok := strings.CutPrefix(at, client); ok && !strings.Contains(service, "/") {
			services[local] = service
		}
		if at == "github.com/aws/aws-sdk-go-v2/credentials/stscreds" {
			services[local] = "stscreds"
		}
	}
	add := func(operation string) {
		of, special := actions[operation]
		if !special {
			of = []string{operation}
		}
		for _, a := range of {
			found[a] = name
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := s.X.(*ast.Ident)
		if !ok || services[pkg.Name] == "" {
			return true
		}
		service := services[pkg.Name]
		if operation, is := strings.CutSuffix(s.Sel.Name, "Input"); is {
			add(service + ":" + operation)
		}
		if service == "stscreds" && s.Sel.Name == "NewAssumeRoleProvider" {
			add("sts:AssumeRole")
		}
		return true
	})
	return nil
}

type policy struct {
	Version   string
	Statement []struct {
		Sid, Effect string
		Action      []string
		Resource    any
		Condition   map[string]map[string]any
	}
}

// policies is the actions of each policy file, by its name without .json.
func policies(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("policies/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("policies: %v, %v; want some", files, err)
	}
	all := map[string][]string{}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var p policy
		d := json.NewDecoder(strings.NewReader(string(data)))
		d.DisallowUnknownFields()
		if err := d.Decode(&p); err != nil {
			t.Errorf("%s: %v; want a policy", name, err)
		}
		key := strings.TrimSuffix(filepath.Base(name), ".json")
		for _, s := range p.Statement {
			if s.Effect != "Allow" || len(s.Action) == 0 || s.Resource == nil || p.Version != "2012-10-17" {
				t.Errorf("%s: statement %q = %+v; want it to allow actions on resources", name, s.Sid, s)
			}
			all[key] = append(all[key], s.Action...)
		}
	}
	return all
}

func TestEveryCallIsInAPolicyAndBack(t *testing.T) {
	calls := called(t)
	allowed := map[string]string{}
	for name, list := range policies(t) {
		for _, a := range list {
			if twice := allowed[a]; twice != "" {
				t.Errorf("%s allows %s, which %s allows already; want each action in one policy", name, a, twice)
			}
			allowed[a] = name
			if strings.Contains(a, "*") {
				t.Errorf("%s allows %s; want actions by name", name, a)
			}
		}
	}
	for _, a := range slices.Sorted(maps.Keys(calls)) {
		if allowed[a] == "" {
			t.Errorf("%s needs %s, which no policy allows", calls[a], a)
		}
	}
	for _, a := range slices.Sorted(maps.Keys(allowed)) {
		if calls[a] == "" && implied[a] == "" {
			t.Errorf("%s allows %s, which nothing calls", allowed[a], a)
		}
	}
}

// actionsIn collects the actions below the key Policies of a template, those of a trust policy left out.
func actionsIn(n *yaml.Node, inside bool, into map[string]bool) {
	if n.Kind != yaml.MappingNode {
		for _, c := range n.Content {
			actionsIn(c, inside, into)
		}
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		if key != "Action" || !inside {
			actionsIn(value, inside || key == "Policies", into)
			continue
		}
		if value.Kind == yaml.ScalarNode {
			into[value.Value] = true
		}
		for _, one := range value.Content {
			into[one.Value] = true
		}
	}
}

func TestTheRolesHaveThePolicies(t *testing.T) {
	member := []string{"regions", "securityhub", "securityhub-write-back", "guardduty", "guardduty-write-back", "support", "trustedadvisor"}
	all := policies(t)
	tests := map[string][]string{
		"member-role.yaml": member,
		"hub-role.yaml":    append(slices.Clone(member), "assume", "organization", "sqs", "secrets"),
	}
	for name, want := range tests {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var doc yaml.Node
		if err := yaml.Unmarshal(data, &doc); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := map[string]bool{}
		actionsIn(&doc, false, got)
		wanted := map[string]bool{}
		for _, p := range want {
			for _, a := range all[p] {
				wanted[a] = true
			}
		}
		if !maps.Equal(got, wanted) {
			t.Errorf("%s allows %q; want %q, the actions of %s", name, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(wanted)), strings.Join(want, ", "))
		}
	}
}
