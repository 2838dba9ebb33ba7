package jiratest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// project is a project as the server keeps it.
type project struct {
	Project
	id        string
	forbidden []string // permissions that the user lacks
	archived  bool
}

// statusRef is a status with the id that the whole server knows it by.
type statusRef struct {
	Status
	id string
}

// richText is a text field: as markup and, where it was sent as a document, as that.
type richText struct {
	text string
	doc  json.RawMessage
}

// userRef is the ID of a user.
type userRef string

// content is what an issue holds. Values are replaced, never changed, so that a
// copy of the maps is a copy of the whole.
type content struct {
	id, key     string
	project     *project
	kind        IssueType
	fields      map[string]any // by field: string, float64, []string, richText, userRef, Option or []Option
	status      Status
	resolution  string
	comments    []comment
	properties  map[string]json.RawMessage
	remote      []remoteLink
	attachments []attachment
	links       []issueLink
	created     time.Time
	updated     time.Time
}

// issue is an issue and what the index has heard of it.
type issue struct {
	content
	archived bool
	hidden   bool // the user may not see it
	index    []indexed
	history  []history // oldest first
}

// history is one entry of an issue's changelog.
type history struct {
	id      int
	by      userRef
	at      time.Time
	changes []change
}

// indexed is the state of an issue from an instant on, nil from its deletion on.
type indexed struct {
	at    time.Time
	state *content
}

// indexDepth is how many changes of an issue wait for the index at most.
const indexDepth = 32

type comment struct {
	id         string
	author     userRef
	body       richText
	properties map[string]json.RawMessage
	at         time.Time
}

type remoteLink struct {
	id       int
	globalID string
	raw      map[string]json.RawMessage
}

type attachment struct {
	id, name, mime string
	data           []byte
	at             time.Time
}

type issueLink struct {
	id, kind string
	inward   bool // the other end is the inward issue
	other    string
}

// touch marks an issue as updated now.
func (s *Server) touch(is *issue) {
	is.updated = s.now()
	s.note(is)
}

// note tells the index what an issue is now. Alone it is for what does not count
// as an update, which is properties.
func (s *Server) note(is *issue) {
	state := is.content
	state.fields, state.properties = maps.Clone(is.fields), maps.Clone(is.properties)
	// Lists only grow or are replaced; a cap keeps what is appended later out of this copy.
	state.comments = slices.Clip(is.comments)
	state.remote = slices.Clone(is.remote)
	s.tag(is)
	s.reindex(is, &state)
}

// tag remembers what an issue may be found by, so that a search need not look at all of them.
func (s *Server) tag(is *issue) {
	add := func(tag string) {
		if s.tags[tag] == nil {
			s.tags[tag] = map[*issue]bool{}
		}
		s.tags[tag][is] = true
	}
	labels, _ := is.fields["labels"].([]string)
	for _, l := range labels {
		add("label " + strings.ToLower(l))
	}
	for _, f := range is.project.Fields {
		if f.Type == Text {
			for _, w := range words(plain(is.fields[f.ID])) {
				add(f.ID + " " + w)
			}
		}
	}
}

func (s *Server) reindex(is *issue, state *content) {
	is.index = append(is.index, indexed{s.now(), state})
	if len(is.index) > indexDepth {
		is.index = slices.Delete(is.index, 1, 2)
	}
}

// inIndex is what a search sees of an issue; nil: nothing.
func (s *Server) inIndex(is *issue) *content {
	cut := s.now().Add(-s.opts.IndexLag)
	for _, v := range slices.Backward(is.index) {
		if !v.at.After(cut) {
			return v.state
		}
	}
	return nil
}

// SetIndexLag changes how long a change takes to be found by a search.
func (s *Server) SetIndexLag(lag time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.IndexLag = lag
}

// number is the next id of a kind.
func (s *Server) number(kind string, first int) int {
	if s.numbers[kind] == 0 {
		s.numbers[kind] = first - 1
	}
	s.numbers[kind]++
	return s.numbers[kind]
}

// AddProject adds a project, or replaces the settings of the one with that key.
func (s *Server) AddProject(p Project) error {
	if p.Key == "" {
		return errors.New("adding a project: it has no key")
	}
	if p.Name == "" {
		p.Name = p.Key
	}
	if p.Types == nil {
		p.Types = []IssueType{{ID: "10001", Name: "Task"}, {ID: "10002", Name: "Bug"}, {ID: "10003", Name: "Sub-task", Subtask: true}}
	}
	if p.Workflow.Statuses == nil {
		p.Workflow = SimpleWorkflow()
	}
	if p.Priorities == nil {
		p.Priorities = []string{"Highest", "High", "Medium", "Low", "Lowest"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.Fields = slices.Clone(p.Fields)
	for i := range p.Fields {
		p.Fields[i].Options = s.numberOptions(p.Fields[i].Options)
	}
	for _, st := range p.Workflow.Statuses {
		if _, ok := s.statusID(st.Name); !ok {
			s.statuses = append(s.statuses, statusRef{st, strconv.Itoa(s.number("status", 10000))})
		}
	}
	for _, t := range p.Workflow.Transitions {
		for _, name := range append(slices.Clone(t.From), t.To) {
			if _, ok := p.Workflow.status(name); !ok {
				return fmt.Errorf("adding project %s: transition %s names the status %q, which the workflow has not", p.Key, t.ID, name)
			}
		}
	}
	if old := s.projects[p.Key]; old != nil {
		old.Project = p
		return nil
	}
	s.projects[p.Key] = &project{Project: p, id: strconv.Itoa(s.number("project", 10000))}
	return nil
}

// numberOptions gives every option an id.
func (s *Server) numberOptions(options []Option) []Option {
	options = slices.Clone(options)
	for i := range options {
		if options[i].ID == "" {
			options[i].ID = strconv.Itoa(s.number("option", 10100))
		}
		options[i].Children = s.numberOptions(options[i].Children)
	}
	return options
}

func (s *Server) statusID(name string) (string, bool) {
	for _, st := range s.statuses {
		if st.Name == name {
			return st.id, true
		}
	}
	return "", false
}

// projectBy finds a project by key or id, unless the user may not browse it.
func (s *Server) projectBy(keyOrID string) *project {
	for _, p := range s.projects {
		if (p.Key == keyOrID || p.id == keyOrID) && !p.archived && p.may(BrowseProjects) {
			return p
		}
	}
	return nil
}

// gone reports whether an issue was deleted.
func (is *issue) gone() bool { return is.index[len(is.index)-1].state == nil }

// visible reports whether the user may see an issue, if it is still there.
func (is *issue) visible() bool {
	return !is.hidden && !is.project.archived && is.project.may(BrowseProjects)
}

// issueBy finds an issue by id or by any key that it ever had. Deleted, hidden
// and never there are one answer.
func (s *Server) issueBy(keyOrID string) (*issue, *reply) {
	is := s.there(keyOrID)
	if is == nil || !is.visible() {
		message := "Issue does not exist or you do not have permission to see it."
		if s.opts.DataCenter {
			message = "Issue Does Not Exist"
		}
		r := refuse(404, message)
		return nil, &r
	}
	return is, nil
}

// writable finds an issue that the user may do something to; else it answers with that status.
func (c *call) writable(permission, otherwise string, status int) (*issue, *reply) {
	is, bad := c.issueBy(c.vars["key"])
	if bad != nil {
		return nil, bad
	}
	if is.archived {
		r := refuse(status, "Issue "+is.key+" is archived. You can't edit it.")
		return nil, &r
	}
	if !is.project.may(permission) {
		r := refuse(status, otherwise)
		return nil, &r
	}
	return is, nil
}

// userBy finds a user by ID, name or address.
func (s *Server) userBy(any string) (User, bool) {
	at := slices.IndexFunc(s.users, func(u User) bool { return any != "" && (u.ID == any || u.Name == any || u.Email == any) })
	if at < 0 {
		return User{}, false
	}
	return s.users[at], true
}

// me is who the credentials belong to.
func (s *Server) me() userRef {
	u, _ := s.userBy(s.user)
	return userRef(u.ID)
}

// somebody is a person beside docket: who the methods for people act as.
func (s *Server) somebody() userRef {
	for _, u := range s.users {
		if userRef(u.ID) != s.me() {
			return userRef(u.ID)
		}
	}
	return s.me()
}

// assignable reports whether a user can be assigned in a project.
func (s *Server) assignable(p *project, u User) bool {
	if u.Inactive {
		return false
	}
	return p.Assignable == nil || slices.Contains(p.Assignable, u.ID) || slices.Contains(p.Assignable, u.Name)
}
