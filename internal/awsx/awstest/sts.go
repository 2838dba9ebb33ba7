package awstest

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

// sts answers AssumeRole and GetCallerIdentity. Source: AWS Security Token Service API reference, version 2011-06-15.
func (s *Server) sts() Handler {
	return Handler{Protocol: Query, Target: "2011-06-15", Namespace: "https://sts.amazonaws.com/doc/2011-06-15/", Invalid: "ValidationError",
		Operations: map[string]Operation{"AssumeRole": {Do: s.assumeRole}, "GetCallerIdentity": {Do: s.callerIdentity}}}
}

var (
	roleARN     = regexp.MustCompile(`^arn:aws(?:-cn|-us-gov)?:iam::(\d{12}):role/((?:[\w+=,.@-]+/)*)([\w+=,.@-]{1,64})$`)
	sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
)

type assumedRole struct {
	Key        string `xml:"Credentials>AccessKeyId"`
	Secret     string `xml:"Credentials>SecretAccessKey"`
	Token      string `xml:"Credentials>SessionToken"`
	Expiration string `xml:"Credentials>Expiration"`
	ARN        string `xml:"AssumedRoleUser>Arn"`
	ID         string `xml:"AssumedRoleUser>AssumedRoleId"`
}

func (s *Server) assumeRole(c Call, r *Request) (any, error) {
	role := roleARN.FindStringSubmatch(r.Form.Get("RoleArn"))
	name := r.Form.Get("RoleSessionName")
	if role == nil {
		return nil, r.Invalid("%s is invalid", r.Form.Get("RoleArn"))
	}
	if !sessionName.MatchString(name) {
		return nil, r.Invalid("1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy constraint", name)
	}
	life := s.session
	if asked := r.Form.Get("DurationSeconds"); asked != "" {
		seconds, err := strconv.Atoi(asked)
		// A role's sessions last at most 12 hours, those of a chain of roles one. Source: AssumeRole, DurationSeconds.
		if limit := 43200; err != nil || seconds < 900 || seconds > limit || c.Session != "" && seconds > 3600 {
			return nil, r.Invalid("1 validation error detected: Value '%s' at 'durationSeconds' failed to satisfy constraint", asked)
		}
		if s.session == time.Hour {
			life = time.Duration(seconds) * time.Second
		}
	}
	account, ok := s.org().account(role[1])
	home := role[1] == s.org().Home
	if !ok || account.Denied || account.Status != "ACTIVE" || c.Account != s.org().Home ||
		!home && (role[3] != s.org().Role || s.org().ExternalID != "" && r.Form.Get("ExternalId") != s.org().ExternalID) {
		return nil, &Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: fmt.Sprintf(
			"User: %s is not authorized to perform: sts:AssumeRole on resource: %s", s.arn(c), role[0])}
	}
	key, secret, held := s.grant(role[1], role[3]+"/"+name, life)
	return assumedRole{Key: key, Secret: secret, Token: held.token, Expiration: held.expires.UTC().Format("2006-01-02T15:04:05Z"),
		ARN: s.arn(Call{Account: role[1], Session: held.name}), ID: "AROAEXAMPLE:" + name}, nil
}

func (s *Server) callerIdentity(c Call, _ *Request) (any, error) {
	return struct {
		ARN     string `xml:"Arn"`
		ID      string `xml:"UserId"`
		Account string
	}{s.arn(c), "AIDAEXAMPLE", c.Account}, nil
}

// arn is who a caller is.
func (s *Server) arn(c Call) string {
	if c.Session == "" {
		return fmt.Sprintf("arn:aws:iam::%s:user/docket", c.Account)
	}
	return fmt.Sprintf("arn:aws:sts::%s:assumed-role/%s", c.Account, c.Session)
}
