package jiratest

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The doors that an operation stands open at.
const (
	onCloud = 1 << iota
	onDataCenter
	onV3
	everywhere = onCloud | onDataCenter | onV3
)

// operation is one method of one path below /rest/api/<version>/.
type operation struct {
	method, path string
	where        int
	handle       handler
}

// operations are what the stand-in knows, the special paths before the general ones.
func operations() []operation {
	cloud := onCloud | onV3
	return []operation{
		{"GET", "serverInfo", everywhere, (*call).serverInfo},
		{"GET", "myself", everywhere, (*call).myself},
		{"GET", "mypermissions", everywhere, (*call).myPermissions},
		{"GET", "search/jql", cloud, (*call).searchCloud},
		{"POST", "search/jql", cloud, (*call).searchCloud},
		{"GET", "search", everywhere, (*call).searchDataCenter},
		{"POST", "search", everywhere, (*call).searchDataCenter},
		{"GET", "issue/createmeta", cloud, (*call).oldCreateMeta},
		{"GET", "issue/createmeta/{project}/issuetypes", everywhere, (*call).createMetaTypes},
		{"GET", "issue/createmeta/{project}/issuetypes/{type}", everywhere, (*call).createMetaFields},
		{"POST", "issue", everywhere, (*call).createIssue},
		{"GET", "issue/{key}", everywhere, (*call).readIssue},
		{"PUT", "issue/{key}", everywhere, (*call).editIssue},
		{"DELETE", "issue/{key}", everywhere, (*call).deleteIssue},
		{"PUT", "issue/{key}/assignee", everywhere, (*call).assignIssue},
		{"GET", "issue/{key}/comment", everywhere, (*call).listComments},
		{"POST", "issue/{key}/comment", everywhere, (*call).addComment},
		{"GET", "issue/{key}/comment/{id}", everywhere, (*call).readComment},
		{"GET", "issue/{key}/transitions", everywhere, (*call).listTransitions},
		{"POST", "issue/{key}/transitions", everywhere, (*call).doTransition},
		{"GET", "issue/{key}/properties", everywhere, (*call).listProperties},
		{"GET", "issue/{key}/properties/{property}", everywhere, (*call).readProperty},
		{"PUT", "issue/{key}/properties/{property}", everywhere, (*call).writeProperty},
		{"DELETE", "issue/{key}/properties/{property}", everywhere, (*call).deleteProperty},
		{"GET", "issue/{key}/remotelink", everywhere, (*call).listRemoteLinks},
		{"POST", "issue/{key}/remotelink", everywhere, (*call).putRemoteLink},
		{"POST", "issue/{key}/attachments", everywhere, (*call).attach},
		{"POST", "issueLink", everywhere, (*call).linkIssues},
		{"GET", "issueLinkType", everywhere, (*call).listLinkTypes},
		{"GET", "priority/search", cloud, (*call).searchPriorities},
		{"GET", "priority", everywhere, (*call).listPriorities},
		{"GET", "status", everywhere, (*call).listStatuses},
		{"GET", "resolution", everywhere, (*call).listResolutions},
		{"GET", "issuetype", everywhere, (*call).listTypes},
		{"GET", "field", everywhere, (*call).listFields},
		{"GET", "project", everywhere, (*call).listProjects},
		{"GET", "project/search", cloud, (*call).searchProjects},
		{"GET", "project/{project}", everywhere, (*call).readProject},
		{"GET", "project/{project}/statuses", everywhere, (*call).projectStatuses},
		{"GET", "user/assignable/search", everywhere, (*call).assignableUsers},
		{"GET", "user/search", everywhere, (*call).searchUsers},
	}
}

// route finds the operation that a request asks for. Its name is the method and
// the path as operations has them; what is not there is named "METHOD ?".
func (s *Server) route(r *http.Request, body []byte) (*call, string, handler) {
	c := &call{Server: s, req: r, body: body, query: r.URL.Query(), vars: map[string]string{}, base: s.URL()}
	unknown := r.Method + " ?"
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), s.gatewayPath())
	if ok && !s.opts.DataCenter {
		c.base, c.vars["gateway"] = s.GatewayURL(), "yes"
	} else if path, ok = strings.CutPrefix(r.URL.EscapedPath(), s.opts.BasePath); !ok {
		return c, unknown, notThere
	}
	here := onCloud
	if s.opts.DataCenter {
		here = onDataCenter
	}
	rest, ok := strings.CutPrefix(path, "/rest/api/2/")
	c.version = 2
	if !ok {
		c.version, here = 3, here&onCloud|onV3
		if rest, ok = strings.CutPrefix(path, "/rest/api/3/"); !ok || s.opts.DataCenter {
			return c, unknown, notThere
		}
	}
	known := false
	for _, op := range operations() {
		vars, ok := match(op.path, rest)
		if !ok || op.where&here == 0 {
			continue
		}
		if op.method != r.Method {
			known = true
			continue
		}
		for name, value := range vars {
			c.vars[name] = value
		}
		if op.path == "issue/{key}/attachments" {
			c.vars["multipart"] = "yes"
		}
		return c, op.method + " " + op.path, op.handle
	}
	if known {
		return c, unknown, func(*call) reply { return reply{status: http.StatusMethodNotAllowed, body: ""} }
	}
	return c, unknown, notThere
}

func notThere(*call) reply {
	return reply{status: http.StatusNotFound, body: "<html><head><title>Oops, you've found a dead link.</title></head></html>"}
}

// match lays a path over a pattern and returns what stood in place of {names}.
func match(pattern, path string) (map[string]string, bool) {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	vars := map[string]string{}
	for i, w := range want {
		plain, err := url.PathUnescape(got[i])
		if err != nil || plain == "" {
			return nil, false
		}
		if strings.HasPrefix(w, "{") {
			vars[strings.Trim(w, "{}")] = plain
		} else if w != plain {
			return nil, false
		}
	}
	return vars, true
}

// failedLogins is how many wrong passwords Data Center takes before it asks for a CAPTCHA.
const failedLogins = 3

// admit checks the credentials of a request. serverInfo is open to everybody.
func (s *Server) admit(c *call) (reply, bool) {
	header := c.req.Header.Get("Authorization")
	if header == "" && strings.HasSuffix(c.req.URL.Path, "/serverInfo") {
		return reply{}, true
	}
	scheme, value, _ := strings.Cut(header, " ")
	gateway := c.vars["gateway"] != ""
	right := false
	switch scheme {
	case "Bearer":
		right = value == s.token && (gateway || s.opts.DataCenter)
	case "Basic":
		plain, err := base64.StdEncoding.DecodeString(value)
		user, token, _ := strings.Cut(string(plain), ":")
		right = err == nil && user == s.user && token == s.token
		if s.opts.DataCenter {
			return s.logIn(right)
		}
	}
	if right {
		return reply{}, true
	}
	if gateway {
		return reply{status: http.StatusUnauthorized, body: map[string]any{"code": 401, "message": "Unauthorized"}}, false
	}
	out := reply{status: http.StatusUnauthorized, body: "Client must be authenticated to access this resource.", header: http.Header{}}
	if s.opts.DataCenter {
		out.header.Set("X-Seraph-LoginReason", "AUTHENTICATED_FAILED")
		out.header.Set("WWW-Authenticate", "OAuth realm=\"jira\"")
	}
	return out, false
}

// logIn is a password on Data Center: after some wrong ones even the right one
// is refused until a person has solved a CAPTCHA.
func (s *Server) logIn(right bool) (reply, bool) {
	out := reply{status: http.StatusUnauthorized, body: "<html><head><title>Unauthorized (401)</title></head></html>", header: http.Header{}}
	switch {
	case s.captcha >= failedLogins:
		out.header.Set("X-Seraph-LoginReason", "AUTHENTICATION_DENIED")
		out.header.Set("X-Authentication-Denied-Reason", "CAPTCHA_CHALLENGE; login-url="+s.URL()+"/login.jsp")
		return out, false
	case right:
		s.captcha = 0
		return reply{}, true
	default:
		s.captcha++
		out.header.Set("X-Seraph-LoginReason", "AUTHENTICATED_FAILED")
		return out, false
	}
}

// RevokeToken makes every credential wrong until RotateToken.
func (s *Server) RevokeToken() { s.RotateToken("") }

// RotateToken replaces the token or password; an empty one is never right.
func (s *Server) RotateToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = token
	if token == "" {
		s.token = "\x00"
	}
}

// SolveCaptcha is a person who signs in to Data Center in the browser.
func (s *Server) SolveCaptcha() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.captcha = 0
}

// The permissions of a project that can be taken away, as mypermissions names them.
const (
	BrowseProjects    = "BROWSE_PROJECTS"
	CreateIssues      = "CREATE_ISSUES"
	EditIssues        = "EDIT_ISSUES"
	TransitionIssues  = "TRANSITION_ISSUES"
	AddComments       = "ADD_COMMENTS"
	AssignIssues      = "ASSIGN_ISSUES"
	LinkIssues        = "LINK_ISSUES"
	CreateAttachments = "CREATE_ATTACHMENTS"
	ModifyReporter    = "MODIFY_REPORTER"
	ScheduleIssues    = "SCHEDULE_ISSUES"
	DeleteIssues      = "DELETE_ISSUES"
)

func permissions() []string {
	return []string{BrowseProjects, CreateIssues, EditIssues, TransitionIssues, AddComments, AssignIssues, LinkIssues, CreateAttachments, ModifyReporter, ScheduleIssues, DeleteIssues}
}

// may reports whether the user has a permission in a project.
func (p *project) may(permission string) bool {
	if permission == ModifyReporter && !p.ModifyReporter {
		return false
	}
	return !slices.Contains(p.forbidden, permission)
}
