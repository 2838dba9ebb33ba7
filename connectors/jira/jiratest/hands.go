package jiratest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Snapshot is an issue as it is now, not as the index knows it.
type Snapshot struct {
	ID, Key, Project, Type string
	Status, Category       string
	Resolution             string
	Summary, Description   string
	Priority               string
	Labels                 []string
	Assignee               string         // ID of the user
	Due                    string         // 2006-01-02
	Fields                 map[string]any // custom fields as plain text, lists of labels as []string
	Comments               []Said
	Properties             map[string]json.RawMessage
	Remote                 []Remote
	Attachments            []File
	Links                  []Link
	Archived, Hidden       bool
	Created, Updated       time.Time
}

// Said is a comment.
type Said struct {
	ID, Author, Body string
	Properties       map[string]json.RawMessage
	At               time.Time
}

// Remote is a remote link.
type Remote struct {
	ID                   int
	GlobalID, Title, URL string
}

// File is an attachment.
type File struct {
	ID, Name, Type string
	Data           []byte
}

// Link is a link to another issue; Inward says that the other is the inward one.
type Link struct {
	Type, Other string
	Inward      bool
}

// Issue shows an issue by its id or any key that it had; false: it is not there.
func (s *Server) Issue(key string) (Snapshot, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	is := s.there(key)
	if is == nil {
		return Snapshot{}, false
	}
	return s.snapshot(is), true
}

// Issues shows every issue that is there, in the order of their creation.
func (s *Server) Issues() []Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	var out []Snapshot
	for _, is := range s.issues {
		if !is.gone() {
			out = append(out, s.snapshot(is))
		}
	}
	slices.SortFunc(out, func(a, b Snapshot) int { return number(a.ID) - number(b.ID) })
	return out
}

func number(id string) int {
	n, err := strconv.Atoi(id)
	if err != nil {
		return 0
	}
	return n
}

func (s *Server) snapshot(is *issue) Snapshot {
	out := Snapshot{
		ID: is.id, Key: is.key, Project: is.project.Key, Type: is.kind.Name, Status: is.status.Name, Category: is.status.Category,
		Resolution: is.resolution, Summary: plain(is.fields["summary"]), Priority: plain(is.fields["priority"]),
		Assignee: plain(is.fields["assignee"]), Due: plain(is.fields["duedate"]), Fields: map[string]any{},
		Properties: maps.Clone(is.properties), Archived: is.archived, Hidden: is.hidden, Created: is.created, Updated: is.updated,
	}
	if text, ok := is.fields["description"].(richText); ok {
		out.Description = text.text
	}
	labels, _ := is.fields["labels"].([]string)
	out.Labels = slices.Clone(labels)
	for _, f := range is.project.Fields {
		switch v := is.fields[f.ID].(type) {
		case nil:
		case []string:
			out.Fields[f.ID] = slices.Clone(v)
		case float64:
			out.Fields[f.ID] = v
		case Option, []Option:
			out.Fields[f.ID] = optionText(v)
		case richText:
			out.Fields[f.ID] = v.text
		default:
			out.Fields[f.ID] = plain(v)
		}
	}
	for _, each := range is.comments {
		out.Comments = append(out.Comments, Said{each.id, string(each.author), each.body.text, maps.Clone(each.properties), each.at})
	}
	for _, l := range is.remote {
		var object struct{ Title, URL string }
		if err := json.Unmarshal(l.raw["object"], &object); err == nil {
			out.Remote = append(out.Remote, Remote{l.id, l.globalID, object.Title, object.URL})
		}
	}
	for _, a := range is.attachments {
		out.Attachments = append(out.Attachments, File{a.id, a.name, a.mime, a.data})
	}
	for _, l := range is.links {
		if other := s.there(l.other); other != nil {
			out.Links = append(out.Links, Link{l.kind, other.key, l.inward})
		}
	}
	return out
}

// optionText writes choices as "a", "a > b" for a child, "a, b" for several.
func optionText(value any) string {
	if one, ok := value.(Option); ok {
		if len(one.Children) == 1 {
			return one.Value + " > " + one.Children[0].Value
		}
		return one.Value
	}
	var out []string
	for _, o := range value.([]Option) {
		out = append(out, o.Value)
	}
	return strings.Join(out, ", ")
}

// there finds an issue that was not deleted, whoever may see it.
func (s *Server) there(key string) *issue {
	is := s.issues[key]
	if is == nil {
		is = s.keys[key]
	}
	if is == nil || is.gone() {
		return nil
	}
	return is
}

// do runs what a person does to an issue and sends the webhooks of it.
func (s *Server) do(what, key string, f func(*issue) error) error {
	s.mu.Lock()
	s.settle()
	var err error
	if is := s.there(key); is == nil {
		err = fmt.Errorf("%s %s: there is no such issue", what, key)
	} else if err = f(is); err != nil {
		err = fmt.Errorf("%s %s: %w", what, key, err)
	}
	events := s.hooks.take(false)
	s.mu.Unlock()
	s.deliver(events)
	return err
}

// Edit sets a field as a person does. value is what version 2 of the API takes; for
// priorities, users and options their name is enough. nil empties the field.
func (s *Server) Edit(key, field string, value any) error {
	return s.do("editing", key, func(is *issue) error {
		all := append(system(), is.project.Fields...)
		at := slices.IndexFunc(all, func(f Field) bool { return f.ID == field })
		if at < 0 {
			return fmt.Errorf("there is no field %s", field)
		}
		f := all[at]
		if name, ok := value.(string); ok {
			value = s.named(f, name)
		}
		raw, err := json.Marshal(value)
		if err != nil {
			return err
		}
		values := maps.Clone(is.fields)
		kept, complaint := s.parse(is.project, f, raw, 2)
		if complaint != "" {
			return fmt.Errorf("%s: %s", field, complaint)
		}
		if values[field] = kept; kept == nil {
			delete(values, field)
		}
		s.write(is, values, is.status, is.resolution, s.somebody())
		return nil
	})
}

// named makes what the API takes of a name.
func (s *Server) named(f Field, name string) any {
	switch f.Type {
	case "priority":
		return map[string]any{"name": name}
	case Select, Cascading:
		return map[string]any{"value": name}
	case "assignee", "reporter", UserPicker:
		u, _ := s.userBy(name)
		if s.opts.DataCenter {
			return map[string]any{"name": u.Name}
		}
		return map[string]any{"accountId": u.ID}
	}
	return name
}

// Assign gives an issue to a user, by ID, name or address; "" takes it from everybody.
func (s *Server) Assign(key, user string) error {
	if user == "" {
		return s.Edit(key, "assignee", nil)
	}
	return s.Edit(key, "assignee", user)
}

// Transition puts an issue into a status, past the ways of the workflow. An empty
// resolution is what the workflow itself sets.
func (s *Server) Transition(key, status, resolution string) error {
	return s.do("moving on", key, func(is *issue) error {
		to, ok := is.project.Workflow.status(status)
		if !ok {
			return fmt.Errorf("the workflow has no status %q", status)
		}
		if resolution != "" && !slices.Contains(s.opts.Resolutions, resolution) {
			return fmt.Errorf("there is no resolution %q", resolution)
		}
		if resolution == "" && to.Category == CategoryDone {
			resolution = is.resolution
		}
		s.write(is, maps.Clone(is.fields), to, is.project.Workflow.into(to, resolution), s.somebody())
		return nil
	})
}

// Comment says something as a person.
func (s *Server) Comment(key, text string) error {
	return s.do("commenting on", key, func(is *issue) error {
		s.say(is, s.somebody(), richText{text: text}, nil)
		return nil
	})
}

// Clone copies an issue as Jira's own command does: its fields go along, labels
// included; its properties, comments and links do not. Creates does not list it.
func (s *Server) Clone(key string) (newKey string, err error) {
	err = s.do("cloning", key, func(is *issue) error {
		newKey = s.add(is.project, is.kind, maps.Clone(is.fields), nil, s.somebody()).key
		return nil
	})
	return newKey, err
}

// Delete removes an issue for good. The index shows it until its lag is over.
func (s *Server) Delete(key string) error {
	return s.do("deleting", key, func(is *issue) error {
		s.remove(is, s.somebody())
		return nil
	})
}

// remove takes an issue away; the index goes on showing it for its lag.
func (s *Server) remove(is *issue, by userRef) {
	s.happened("jira:issue_deleted", is, by, nil, nil)
	for k, each := range s.keys {
		if each == is {
			delete(s.keys, k)
		}
	}
	s.reindex(is, nil)
}

// Move puts an issue into another project, where it gets a new key and the first
// status of its category. The old key goes on leading to it.
func (s *Server) Move(key, to string) (newKey string, err error) {
	err = s.do("moving", key, func(is *issue) error {
		p := s.projects[to]
		if p == nil {
			return fmt.Errorf("there is no project %s", to)
		}
		old := is.key
		at := slices.IndexFunc(p.Workflow.Statuses, func(st Status) bool { return st.Category == is.status.Category })
		is.status, is.project = p.Workflow.Statuses[max(at, 0)], p
		is.key = fmt.Sprintf("%s-%d", p.Key, s.number("key "+p.Key, 1))
		s.keys[is.key] = is
		newKey = is.key
		s.touch(is)
		s.happened("jira:issue_updated", is, s.somebody(), []change{{"project", strings.SplitN(old, "-", 2)[0], p.Key}, {"Key", old, is.key}}, nil)
		return nil
	})
	return newKey, err
}

// Archive takes an issue out of searches and closes it to writes; it can still be read.
func (s *Server) Archive(key string) error {
	return s.do("archiving", key, func(is *issue) error { is.archived = true; return nil })
}

// Hide makes an issue one that the user may not see: 404, as if it were deleted.
func (s *Server) Hide(key string) error {
	return s.do("hiding", key, func(is *issue) error { is.hidden = true; return nil })
}

// Show undoes Hide and Archive.
func (s *Server) Show(key string) error {
	return s.do("showing", key, func(is *issue) error { is.hidden, is.archived = false, false; return nil })
}

// ForbidProject takes permissions in a project from the user; without any, all but BROWSE_PROJECTS.
func (s *Server) ForbidProject(key string, taken ...string) error {
	if taken == nil {
		taken = slices.DeleteFunc(permissions(), func(p string) bool { return p == BrowseProjects })
	}
	return s.project(key, func(p *project) { p.forbidden = append(p.forbidden, taken...) })
}

// AllowProject gives the user every permission in a project back, and takes it out of the archive.
func (s *Server) AllowProject(key string) error {
	return s.project(key, func(p *project) { p.forbidden, p.archived = nil, false })
}

// ArchiveProject makes a project and its issues ones that are not there.
func (s *Server) ArchiveProject(key string) error {
	return s.project(key, func(p *project) { p.archived = true })
}

func (s *Server) project(key string, f func(*project)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.projects[key]
	if p == nil {
		return fmt.Errorf("there is no project %s", key)
	}
	f(p)
	return nil
}
