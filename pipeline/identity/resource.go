package identity

import (
	"strings"
	"sync"

	"github.com/docket-hub/docket/pipeline"
)

// types is built once; it is never changed afterwards.
var types = sync.OnceValue(newTypeTable)

// accountResource is the canonical id of an account itself. It is Security
// Hub's own form, because it needs no partition: a source that knows only the
// account's number says the same.
func accountResource(account string) string { return "AWS::::Account:" + account }

// anyAccount is the account that an id names or belongs to.
func anyAccount(id string) string {
	if n := accountIn(id); n != "" {
		return n
	}
	a, _ := parseARN(strings.TrimSpace(id))
	return a.account
}

// accountIn is the account that an id names as a whole: AWS::::Account:<id>,
// arn:…:iam::<id>:root, or the bare number. It is empty for anything else.
func accountIn(id string) string {
	id = strings.TrimSpace(id)
	if n := accountID(id); isAccountID(n) {
		return n
	}
	for _, p := range [...]string{"AWS::::Account:", "AWS::S3::Account:", "AWS::Account:"} {
		if n, ok := strings.CutPrefix(id, p); ok {
			return n
		}
	}
	if a, ok := parseARN(id); ok && (a.service == "iam" && a.resource == "root" || a.service == "" && a.resource == "") {
		return a.account
	}
	return ""
}

// canonicalResource canonicalises r.Resource and r.Region and returns the
// region that counts for the fingerprint. The two differ for S3 buckets alone:
// a bucket's name is unique in its partition, so its region adds nothing, and
// sources that leave it out or name the home region agree with those that do
// not. The report keeps the region it came with, for routes and tickets.
func canonicalResource(r *pipeline.Report, hint string) (region string) {
	t := types()
	res := &r.Resource
	res.Type = t.canonical(res.Type)
	if res.Type == "" || res.Type == typeOther {
		if hint != "" && t.byType[hint] != nil {
			res.Type = hint
		}
	}
	id := strings.TrimSpace(res.ID)
	if id == "" {
		id = strings.TrimSpace(res.Name)
	}

	if n := accountIn(id); n != "" && (res.Type == typeAccount || n == r.Account.ID || id[0] > '9') {
		if r.Account.ID == "" {
			r.Account.ID = n
		}
		res.Type, res.ID = typeAccount, accountResource(n)
		return r.Region
	}
	if typ, name, ok := cloudFormationID(t, id); ok {
		if res.Type == "" || res.Type == typeOther {
			res.Type = typ
		}
		id = name
	}
	switch {
	case strings.HasPrefix(id, "arn:"):
		return fromARN(t, r, id)
	case res.Type == typeAccessKey:
		res.ID = "AWS::IAM::AccessKey:" + id
		r.Region = globalRegion
		return globalRegion
	case res.Type == typeQueue && strings.Contains(id, "://"):
		id = queueName(r, id)
	case res.Type == typeBucket:
		id = bucketName(id)
	case res.Type == typeImage, res.Type == typeAnyImage, res.Type == "" && strings.Contains(id, "@sha256:"),
		res.Type == typeRepository && strings.Contains(id, ".dkr.ecr."):
		return fromImage(t, r, id)
	}
	rt := t.byType[res.Type]
	if rt == nil && (res.Type == "" || res.Type == typeOther) {
		if rt = t.ofID(id); rt != nil {
			res.Type = rt.Type
		}
	}
	if arn, ok := build(rt, r.Account.ID, r.Region, id); ok {
		return fromARN(t, r, arn)
	}
	res.ID = id
	return r.Region
}

// fromARN canonicalises an ARN, and with it the type and the region: a
// resource lives where its ARN says, whichever region reported it.
func fromARN(t *typeTable, r *pipeline.Report, id string) string {
	res := &r.Resource
	a, ok := parseARN(id)
	if !ok {
		res.ID = id
		return r.Region
	}
	a.service, a.region = strings.ToLower(a.service), regionOf(a.region)
	if r.Account.ID == "" && isAccountID(a.account) {
		r.Account.ID = a.account
	}
	rt := tidy(t, &a, res.Type)
	if rt == nil {
		if isGlobalService(a.service) {
			a.region = ""
			r.Region = globalRegion
		} else if a.region != "" {
			r.Region = a.region
		}
		res.ID = a.String()
		if a.service == "s3" && a.region == "" { // an object: as its bucket
			return globalRegion
		}
		return r.Region
	}
	given := t.byType[res.Type]
	switch {
	case given == nil && (res.Type == "" || res.Type == typeOther || res.Type == typeAccount || res.Type == typeAnyImage):
		res.Type = rt.Type
	case given != nil && (given.Service != rt.Service || given.Path != rt.Path || rt.Type == typeClassicLB):
		res.Type = rt.Type // a source that calls an auto scaling group an account
	}
	region := r.Region
	switch rt.Scope {
	case global, unowned:
		if rt.Service == "s3" {
			region = globalRegion
			break
		}
		region, r.Region = globalRegion, globalRegion
		a.region = ""
	case regional:
		if a.account == "" && a.service == "ec2" { // images and snapshots are written with and without the owner
			a.account = r.Account.ID
		}
		fallthrough
	default:
		if a.region != "" {
			region, r.Region = a.region, a.region
		}
	}
	res.ID = a.String()
	return region
}

// isGlobalService tells services whose resources have no region.
func isGlobalService(service string) bool {
	switch service {
	case "iam", "sts", "route53", "route53domains", "cloudfront", "organizations", "account", "billing",
		"budgets", "ce", "shield", "globalaccelerator", "trustedadvisor", "support", "waf":
		return true
	}
	return false
}

// build makes the ARN of a bare id, where the type's form and what the ARN
// needs are known.
func build(rt *resourceType, account, region, id string) (string, bool) {
	if rt == nil || id == "" || strings.ContainsAny(id, " \t\n") {
		return "", false
	}
	a := arn{partition: partitionOf(region), service: rt.Service, region: region, account: account}
	switch rt.Scope {
	case global:
		a.region = ""
	case unowned:
		a.region, a.account = "", ""
	case noAccount:
		a.account = ""
	}
	if (rt.Scope == regional || rt.Scope == global) && account == "" {
		return "", false
	}
	if (rt.Scope == regional || rt.Scope == noAccount) && (region == "" || region == globalRegion) {
		return "", false
	}
	switch rt.Type {
	case typeLoadBalance: // the last part of its ARN cannot be worked out from the name
		if !strings.HasPrefix(id, "app/") && !strings.HasPrefix(id, "net/") && !strings.HasPrefix(id, "gwy/") &&
			!strings.HasPrefix(id, rt.Path) {
			return "", false
		}
	case typeScalingGrp:
		if !strings.HasPrefix(id, rt.Path) {
			id = rt.Path + "*:autoScalingGroupName/" + id
		}
	case "AwsAutoScalingLaunchConfiguration":
		if !strings.HasPrefix(id, rt.Path) {
			id = rt.Path + "*:launchConfigurationName/" + id
		}
	case typeParameter:
		id = strings.TrimPrefix(id, "/")
	case "AwsRoute53HostedZone":
		id = strings.TrimPrefix(id, "/")
	case "AwsKmsKey":
		if strings.HasPrefix(id, "alias/") {
			a.resource = id
			return a.String(), true
		}
	case "AwsWafv2WebAcl", "AwsDmsReplicationInstance", "AwsMskCluster":
		return "", false // the ARN holds a part that the name does not tell
	}
	if !strings.HasPrefix(id, rt.Path) {
		id = rt.Path + id
	}
	a.resource = id
	return a.String(), true
}

// tidy brings an ARN's last part into its canonical form and returns its type.
func tidy(t *typeTable, a *arn, typ string) *resourceType {
	if a.service == "ec2" {
		// The id alone tells the type: Inspector classic leaves "instance/" out,
		// and addresses are written eip/, eip-allocation/ and elastic-ip/.
		id := a.resource[strings.LastIndexByte(a.resource, '/')+1:]
		if rt := t.byPrefix[id[:strings.LastIndexByte(id, '-')+1]]; rt != nil && rt.Service == "ec2" {
			a.resource = rt.Path + id
			return rt
		}
	}
	if a.service == "apigateway" && !strings.HasPrefix(a.resource, "/") {
		a.resource = "/" + a.resource
	}
	rt := t.ofARN(a.service, a.resource)
	if rt == nil {
		return nil
	}
	switch rt.Service {
	case "s3":
		if typ == typeBucket {
			a.resource, _, _ = strings.Cut(a.resource, "/")
		} else if strings.IndexByte(a.resource, '/') >= 0 || a.region != "" {
			return nil // an object, an access point
		}
		a.region, a.account = "", ""
	case "lambda": // version or alias
		name := a.resource[len(rt.Path):]
		if i := strings.IndexByte(name, ':'); i >= 0 {
			a.resource = rt.Path + name[:i]
		}
	case "ecr": // tag or digest
		a.resource = rt.Path + imageName(a.resource[len(rt.Path):])
	case "logs":
		a.resource = strings.TrimSuffix(a.resource, ":*")
	case "autoscaling": // the group's generated id, which a name does not tell
		if i := strings.Index(a.resource, ":autoScalingGroupName/"); i > 0 {
			a.resource = rt.Path + "*" + a.resource[i:]
		} else if i := strings.Index(a.resource, ":launchConfigurationName/"); i > 0 {
			a.resource = rt.Path + "*" + a.resource[i:]
		}
	case "cloudformation": // the stack's generated id, likewise
		name, _, _ := strings.Cut(a.resource[len(rt.Path):], "/")
		a.resource = rt.Path + name
	case "elasticloadbalancing":
		name := a.resource[len(rt.Path):]
		if !strings.HasPrefix(name, "app/") && !strings.HasPrefix(name, "net/") && !strings.HasPrefix(name, "gwy/") {
			rt = t.byType[typeClassicLB]
		}
	}
	if rt.Lower {
		a.resource = strings.ToLower(a.resource)
	}
	return rt
}

// cloudFormationID reads AWS::IAM::AccessKey:AKIA… , the form that Security
// Hub uses for what has no ARN.
func cloudFormationID(t *typeTable, id string) (typ, name string, ok bool) {
	if !strings.HasPrefix(id, "AWS::") {
		return "", "", false
	}
	i := strings.LastIndex(id, "::")
	j := strings.IndexByte(id[i+2:], ':')
	if i < 5 || j <= 0 {
		return "", "", false
	}
	typ = t.canonical(id[:i+2+j])
	if t.byType[typ] == nil && typ != typeAccessKey {
		return "", "", false
	}
	return typ, id[i+3+j:], true
}

// bucketName is a bucket's name out of s3://name/key or name.s3.amazonaws.com.
func bucketName(id string) string {
	id = strings.TrimPrefix(id, "s3://")
	id, _, _ = strings.Cut(id, "/")
	if i := strings.Index(id, ".s3"); i > 0 && strings.Contains(id[i:], ".amazonaws.com") {
		id = id[:i]
	}
	return id
}

// queueName is a queue's name out of its address,
// https://sqs.<region>.amazonaws.com/<account>/<name>, which also tells the rest.
func queueName(r *pipeline.Report, id string) string {
	parts := strings.Split(id, "/")
	if len(parts) != 5 {
		return id
	}
	if host := strings.Split(parts[2], "."); len(host) >= 4 && host[0] == "sqs" {
		r.Region = regionOf(host[1])
	}
	if r.Account.ID == "" && isAccountID(parts[3]) {
		r.Account.ID = parts[3]
	}
	return parts[4]
}

// arn is an ARN taken apart.
type arn struct{ partition, service, region, account, resource string }

func parseARN(s string) (arn, bool) {
	rest, ok := strings.CutPrefix(s, "arn:")
	if !ok {
		return arn{}, false
	}
	var a arn
	for _, part := range [...]*string{&a.partition, &a.service, &a.region, &a.account} {
		if *part, rest, ok = strings.Cut(rest, ":"); !ok {
			return arn{}, false
		}
	}
	a.resource = rest
	return a, a.partition != ""
}

func (a arn) String() string {
	return "arn:" + a.partition + ":" + a.service + ":" + a.region + ":" + a.account + ":" + a.resource
}
