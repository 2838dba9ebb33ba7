package awstest

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// HomeKey and HomeSecret are the access key of the home account. They are made up.
const (
	HomeKey    = "AKIAIOSFODNN7EXAMPLE"
	HomeSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" //nolint:gosec // the example of AWS's documentation
)

// session is what AssumeRole handed out.
type session struct {
	account, name, token string
	expires              time.Time
}

// authorization is the header of Signature Version 4.
var authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([A-Z0-9]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request, ?` +
	`SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$`)

// caller reads who asks from the signature. What it refuses with is the code of the JSON protocols; coded makes it that of query.
func (s *Server) caller(r *http.Request) (Call, *Error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return Call{}, &Error{Status: http.StatusForbidden, Code: "MissingAuthenticationTokenException", Message: "Request is missing Authentication Token"}
	}
	m := authorization.FindStringSubmatch(header)
	date := r.Header.Get("X-Amz-Date")
	if m == nil || !strings.HasPrefix(date, m[2]) || !slices.Contains(strings.Split(m[5], ";"), "host") || !slices.Contains(strings.Split(m[5], ";"), "x-amz-date") {
		return Call{}, &Error{Status: http.StatusForbidden, Code: "IncompleteSignatureException",
			Message: "Authorization header requires 'Credential', 'Signature' and 'SignedHeaders' with host and x-amz-date, and 'X-Amz-Date'"}
	}
	c := Call{Region: m[3], Service: m[4]}
	token := r.Header.Get("X-Amz-Security-Token")
	invalid := &Error{Status: http.StatusForbidden, Code: "UnrecognizedClientException", Message: "The security token included in the request is invalid."}
	s.mu.Lock()
	held, ok := s.sessions[m[1]]
	s.mu.Unlock()
	switch {
	case ok && held.token != token, !ok && (m[1] != HomeKey || token != ""):
		return c, invalid
	case ok && !s.now().Before(held.expires):
		return c, &Error{Status: http.StatusForbidden, Code: "ExpiredTokenException", Message: "The security token included in the request is expired"}
	case ok:
		c.Account, c.Session = held.account, held.name
	default:
		c.Account = s.org().Home
	}
	if a, _ := s.org().account(c.Account); !slices.Contains(a.Regions, c.Region) && !slices.Contains(everywhere, c.Service) {
		// A region that the account did not enable does not know the account's credentials.
		// Source: AWS Account Management reference guide, "Enable or disable AWS Regions in your account".
		return c, invalid
	}
	return c, nil
}

// everywhere lists services with one endpoint for all regions, whose scope names a region that need not be one of the account's.
// Source: AWS General Reference, endpoints of AWS Organizations, Account Management, STS and Support.
var everywhere = []string{"account", "organizations", "sts", "support", "trustedadvisor"}

// coded gives the codes of refused credentials as the query protocol has them. Source: IAM and STS API reference, Common Errors.
func coded(p Protocol, e *Error) *Error {
	if e == nil || p != Query {
		return e
	}
	c := *e
	switch e.Code {
	case "UnrecognizedClientException":
		c.Code = "InvalidClientTokenId"
	case "AccessDeniedException", "ExpiredTokenException", "IncompleteSignatureException", "MissingAuthenticationTokenException":
		c.Code = strings.TrimSuffix(e.Code, "Exception")
	}
	return &c
}

// grant hands out credentials for a role in an account.
func (s *Server) grant(account, name string, life time.Duration) (key, secret string, held session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.granted++
	key = fmt.Sprintf("ASIA%016d", s.granted)
	held = session{account: account, name: name, token: fmt.Sprintf("session-%d-of-%s", s.granted, account), expires: s.now().Add(life)}
	s.sessions[key] = held
	return key, fmt.Sprintf("secret-%d-of-%s", s.granted, account), held
}

// ExpireSessions ends every session that AssumeRole handed out for an account, whatever its expiration says; empty: for all of them.
func (s *Server) ExpireSessions(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, held := range s.sessions {
		if account == "" || held.account == account {
			held.expires = time.Time{}
			s.sessions[key] = held
		}
	}
}
