package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/planted"
)

// The roles.
const (
	RoleViewer    = "viewer"    // looks
	RoleResponder = "responder" // looks, acts on cases, plans, tests routes
	RoleIngest    = "ingest"    // sends findings, nothing else
	RoleAdmin     = "admin"     // everything
)

// Roles are all roles.
func Roles() []string { return []string{RoleViewer, RoleResponder, RoleIngest, RoleAdmin} }

// need is which roles a route asks for.
type need int

const (
	needNothing need = iota // no token either
	needToken               // any role
	needView
	needRespond
	needIngest
	needAdmin
)

// roles are those that may; nil where nobody is asked.
func (n need) roles() []string {
	switch n {
	case needNothing:
		return nil
	case needToken:
		return Roles()
	case needView:
		return []string{RoleViewer, RoleResponder, RoleAdmin}
	case needRespond:
		return []string{RoleResponder, RoleAdmin}
	case needIngest:
		return []string{RoleIngest, RoleAdmin}
	}
	return []string{RoleAdmin}
}

// caller is who sent a request. Without a name it is a program of this machine.
type caller struct{ name, role string }

func (c caller) String() string {
	if c.name == "" {
		return "this machine"
	}
	return "token " + c.name
}

// key is a token that can be compared but not read.
type key struct {
	caller
	sum [sha256.Size]byte
}

// keyring is the tokens in force.
type keyring struct {
	any  bool // tokens are configured, usable or not
	keys []key
}

// newKeyring takes the usable tokens and says what is wrong with the others.
func newKeyring(tokens []Token) (*keyring, error) {
	ring := &keyring{any: len(tokens) > 0}
	var errs []error
	for i, t := range tokens {
		switch {
		case t.Name == "":
			errs = append(errs, fmt.Errorf("server.auth.tokens[%d]: it has no name", i))
		case !slices.Contains(Roles(), t.Role):
			errs = append(errs, fmt.Errorf("server.auth.tokens[%d]: token %s: %q is none of the roles %s", i, t.Name, t.Role, strings.Join(Roles(), ", ")))
		case t.Token.Reveal() == "":
			errs = append(errs, fmt.Errorf("server.auth.tokens[%d]: token %s is empty", i, t.Name))
		default:
			ring.keys = append(ring.keys, key{caller{t.Name, t.Role}, sha256.Sum256([]byte(t.Token.Reveal()))})
		}
	}
	return ring, errors.Join(errs...)
}

// find looks a token up. How long it takes depends neither on the token nor on which one it is.
func (k *keyring) find(token string) (caller, bool) {
	sum := sha256.Sum256([]byte(token))
	found := -1
	for i := range k.keys {
		// The first of two equal tokens counts.
		hit := subtle.ConstantTimeCompare(sum[:], k.keys[i].sum[:]) & subtle.ConstantTimeEq(int32(found), -1)
		found = subtle.ConstantTimeSelect(hit, i, found)
	}
	if planted.On("token-unchecked") {
		found = 0
	}
	if found < 0 {
		return caller{}, false
	}
	return k.keys[found].caller, true
}

// identify finds out who sent a request, or why that cannot be told.
func (s *Server) identify(r *http.Request) (caller, error) {
	ring := s.keys.Load()
	if !ring.any {
		if !loopbackAddr(s.Addr().String()) {
			return caller{}, refusal{http.StatusUnauthorized, api.CodeUnauthorized, "no token is configured, so nobody has access: set server.auth.tokens"}
		}
		if err := local(r); err != nil {
			return caller{}, refusal{http.StatusForbidden, api.CodeForbidden, err.Error() + "; set server.auth.tokens and send one of them"}
		}
		return caller{role: RoleAdmin}, nil
	}
	given := r.Header.Values("Authorization")
	if len(given) == 0 {
		return caller{}, refusal{http.StatusUnauthorized, api.CodeUnauthorized, "a token is needed: send the header Authorization: Bearer TOKEN (commands take it from $DOCKET_TOKEN)"}
	}
	scheme, token, _ := strings.Cut(given[0], " ")
	if len(given) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return caller{}, refusal{http.StatusUnauthorized, api.CodeUnauthorized, "send one header Authorization: Bearer TOKEN"}
	}
	c, ok := ring.find(strings.TrimSpace(token))
	if !ok {
		return caller{}, refusal{http.StatusUnauthorized, api.CodeUnauthorized, "the token is none of server.auth.tokens"}
	}
	return c, nil
}

// allow reports whether a caller's role may use a route.
func (n need) allow(c caller) error {
	roles := n.roles()
	if slices.Contains(roles, c.role) {
		return nil
	}
	return refusal{http.StatusForbidden, api.CodeForbidden, fmt.Sprintf("this needs the role %s; %s has %s", strings.Join(roles, " or "), c, c.role)}
}

// local refuses a request that no program of this machine sent on its own behalf:
// from elsewhere, through a proxy, or by a browser for another site. The Host is checked because
// a site can make its own name stand for 127.0.0.1 (DNS rebinding); Origin and
// Sec-Fetch-Site are what browsers say about who asks (Fetch standard; W3C Fetch Metadata).
func local(r *http.Request) error {
	if !loopbackAddr(r.RemoteAddr) {
		return errors.New("without tokens only this machine has access")
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if len(r.Header.Values(name)) > 0 {
			return errors.New("a proxy passed this request on, and without tokens only this machine has access")
		}
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if !strings.EqualFold(host, "localhost") && !loopbackIP(host) {
		return errors.New("without tokens docket answers to localhost and 127.0.0.1 only, whatever other name stands for them")
	}
	for _, origin := range r.Header.Values("Origin") {
		if !strings.EqualFold(origin, "http://"+r.Host) {
			return errors.New("a web page of another site sent this request")
		}
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "none" && site != "same-origin" {
		return errors.New("a web page of another site sent this request")
	}
	return nil
}
