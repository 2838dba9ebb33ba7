package jiratest

import (
	"net/http"
	"slices"
	"strings"
)

// foundBy reports whether a user is found by the beginning of a name or, unless it is hidden, of the address.
func (s *Server) foundBy(u User, query string) bool {
	query = strings.ToLower(query)
	words := append(strings.Fields(u.Display), u.Display)
	if s.opts.DataCenter {
		words = append(words, u.Name)
	}
	if !u.HideEmail {
		words = append(words, u.Email)
	}
	return slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(strings.ToLower(w), query) })
}

// asked reads whom a search of users means: query on Cloud, username on Data Center.
func (c *call) asked() (match func(User) bool, bad *reply) {
	if c.opts.DataCenter {
		name := c.query.Get("username")
		if name == "" {
			r := refuse(http.StatusBadRequest, "The username query parameter was not provided")
			return nil, &r
		}
		return func(u User) bool { return c.foundBy(u, name) }, nil
	}
	if c.query.Has("username") {
		r := refuse(http.StatusBadRequest, "The query parameter 'username' is not supported in GDPR strict mode.")
		return nil, &r
	}
	query, id := c.query.Get("query"), c.query.Get("accountId")
	if query == "" && id == "" {
		r := refuse(http.StatusBadRequest, "The query or the accountId is required.")
		return nil, &r
	}
	return func(u User) bool { return id != "" && u.ID == id || query != "" && c.foundBy(u, query) }, nil
}

func (c *call) usersWhere(match func(User) bool) reply {
	all := []any{}
	for _, u := range c.users {
		if match(u) {
			all = append(all, c.userView(userRef(u.ID)))
		}
	}
	from, to, _, ok := c.page(len(all), 50, 1000)
	if !ok {
		return refuse(http.StatusBadRequest, "startAt and maxResults are numbers.")
	}
	return reply{status: http.StatusOK, body: all[from:to]}
}

// searchUsers finds people by name or address, who are active.
func (c *call) searchUsers() reply {
	match, bad := c.asked()
	if bad != nil {
		return *bad
	}
	return c.usersWhere(func(u User) bool { return !u.Inactive && match(u) })
}

// assignableUsers finds those who can be assigned in a project or to an issue.
func (c *call) assignableUsers() reply {
	var p *project
	switch key := c.query.Get("project"); {
	case key != "":
		if p = c.projectBy(key); p == nil {
			return c.noProject(key)
		}
	case c.query.Get("issueKey") != "":
		is, bad := c.issueBy(c.query.Get("issueKey"))
		if bad != nil {
			return *bad
		}
		p = is.project
	default:
		return refuse(http.StatusBadRequest, "The project or the issueKey is required.")
	}
	match := func(User) bool { return true }
	if c.query.Get("query") != "" || c.query.Get("username") != "" || c.query.Get("accountId") != "" {
		var bad *reply
		if match, bad = c.asked(); bad != nil {
			return *bad
		}
	}
	return c.usersWhere(func(u User) bool { return c.assignable(p, u) && match(u) })
}
