package jiratest

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// Limits of properties and remote links. Source: Atlassian's description of the API.
const (
	propertyKeyLimit   = 255
	propertyValueLimit = 32768
	globalIDLimit      = 255
	filesPerRequest    = 60
)

// badProperty says what is wrong with an entity property, "" when nothing is.
func badProperty(key string, value json.RawMessage) string {
	switch {
	case key == "" || len(key) > propertyKeyLimit:
		return "The property key has from 1 to 255 characters."
	case len(value) == 0 || !json.Valid(value):
		return "The property value is not valid JSON."
	case utf16Length(string(value)) > propertyValueLimit:
		return "The property value has at most 32768 characters."
	}
	return ""
}

func (c *call) listProperties() reply {
	is, bad := c.issueBy(c.vars["key"])
	if bad != nil {
		return *bad
	}
	keys := []any{}
	for _, key := range slices.Sorted(maps.Keys(is.properties)) {
		keys = append(keys, map[string]any{"key": key, "self": c.self("issue/%s/properties/%s", is.id, url.PathEscape(key))})
	}
	return reply{status: http.StatusOK, body: map[string]any{"keys": keys}}
}

func (c *call) readProperty() reply {
	is, bad := c.issueBy(c.vars["key"])
	if bad != nil {
		return *bad
	}
	value, ok := is.properties[c.vars["property"]]
	if !ok {
		return refuse(http.StatusNotFound, "The property with key '"+c.vars["property"]+"' does not exist.")
	}
	return reply{status: http.StatusOK, body: map[string]any{"key": c.vars["property"], "value": value}}
}

func (c *call) writeProperty() reply {
	is, bad := c.writable(EditIssues, "You do not have permission to edit this issue.", http.StatusForbidden)
	if bad != nil {
		return *bad
	}
	key := c.vars["property"]
	if complaint := badProperty(key, c.body); complaint != "" {
		return refuse(http.StatusBadRequest, complaint)
	}
	status := http.StatusCreated
	if _, ok := is.properties[key]; ok {
		status = http.StatusOK
	}
	is.properties[key] = slices.Clone(c.body)
	c.note(is)
	return reply{status: status}
}

func (c *call) deleteProperty() reply {
	is, bad := c.writable(EditIssues, "You do not have permission to edit this issue.", http.StatusForbidden)
	if bad != nil {
		return *bad
	}
	if _, ok := is.properties[c.vars["property"]]; !ok {
		return refuse(http.StatusNotFound, "The property with key '"+c.vars["property"]+"' does not exist.")
	}
	delete(is.properties, c.vars["property"])
	c.note(is)
	return reply{status: http.StatusNoContent}
}

func (c *call) remoteView(is *issue, l remoteLink) map[string]any {
	out := map[string]any{"id": l.id, "self": c.self("issue/%s/remotelink/%d", is.id, l.id), "application": nil, "relationship": nil, "globalId": nil}
	for key, value := range l.raw {
		out[key] = value
	}
	return out
}

func (c *call) listRemoteLinks() reply {
	is, bad := c.issueBy(c.vars["key"])
	if bad != nil {
		return *bad
	}
	id := c.query.Get("globalId")
	out := []any{}
	for _, l := range is.remote {
		if id == "" {
			out = append(out, c.remoteView(is, l))
		} else if l.globalID == id {
			return reply{status: http.StatusOK, body: c.remoteView(is, l)}
		}
	}
	if id != "" {
		return refuse(http.StatusNotFound, "No issue link could be found for the global id: "+id)
	}
	return reply{status: http.StatusOK, body: out}
}

// putRemoteLink makes a link, or replaces the one with the same globalId whole.
func (c *call) putRemoteLink() reply {
	is, bad := c.writable(LinkIssues, "You do not have permission to link issues.", http.StatusForbidden)
	if bad != nil {
		return *bad
	}
	body, bad := c.object("globalId", "application", "relationship", "object")
	if bad != nil {
		return *bad
	}
	var object struct{ Title, URL string }
	var globalID string
	if isNull(body["object"]) {
		return refuseFields(map[string]string{"object": "'object' is required."})
	}
	if json.Unmarshal(body["object"], &object) != nil || !isNull(body["globalId"]) && json.Unmarshal(body["globalId"], &globalID) != nil {
		return c.badPayload("object")
	}
	switch {
	case object.Title == "":
		return refuseFields(map[string]string{"title": "'title' is required."})
	case object.URL == "":
		return refuseFields(map[string]string{"url": "'url' is required."})
	case len(globalID) > globalIDLimit:
		return refuseFields(map[string]string{"globalId": "'globalId' has at most 255 characters."})
	}
	at := slices.IndexFunc(is.remote, func(l remoteLink) bool { return globalID != "" && l.globalID == globalID })
	status := http.StatusOK
	if at < 0 {
		if len(is.remote) >= c.opts.LinkLimit {
			return refuse(http.StatusRequestEntityTooLarge, "The issue has reached its limit of remote links.")
		}
		is.remote = append(is.remote, remoteLink{id: c.number("remote", 30000)})
		at, status = len(is.remote)-1, http.StatusCreated
	}
	is.remote[at].globalID, is.remote[at].raw = globalID, body
	c.touch(is)
	c.happened("jira:issue_updated", is, c.me(), []change{{"RemoteIssueLink", "", object.Title}}, nil)
	return reply{status: status, body: map[string]any{"id": is.remote[at].id, "self": c.self("issue/%s/remotelink/%d", is.id, is.remote[at].id)}}
}

func (c *call) attachmentView(a attachment) map[string]any {
	return map[string]any{
		"self": c.self("attachment/%s", a.id), "id": a.id, "filename": a.name, "author": c.userView(c.me()), "created": stamp(a.at),
		"size": len(a.data), "mimeType": a.mime, "content": c.self("attachment/content/%s", a.id),
	}
}

// attach takes files. Data Center lets the header also be the older nocheck.
func (c *call) attach() reply {
	token := c.req.Header.Get("X-Atlassian-Token")
	if token != "no-check" && (token != "nocheck" || !c.opts.DataCenter) {
		return reply{status: http.StatusForbidden, body: "XSRF check failed"}
	}
	is, bad := c.writable(CreateAttachments, "You do not have permission to create attachments for this issue.", http.StatusForbidden)
	if bad != nil {
		return *bad
	}
	_, params, err := mime.ParseMediaType(c.req.Header.Get("Content-Type"))
	if err != nil {
		return refuse(http.StatusBadRequest, "The content type is not valid.")
	}
	var files []attachment
	for r := multipart.NewReader(bytes.NewReader(c.body), params["boundary"]); ; {
		part, err := r.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil || part.FormName() != "file" || part.FileName() == "" {
			return refuse(http.StatusBadRequest, "The parts of an attachment are named file and have a file name.")
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return refuse(http.StatusBadRequest, "The body ends early.")
		}
		if int64(len(data)) > c.opts.AttachmentBytes {
			if c.opts.DataCenter {
				return refuse(http.StatusNotFound, "The attachment is larger than the configured maximum.")
			}
			return refuse(http.StatusRequestEntityTooLarge, "The file exceeds its maximum permitted size of "+thousands(int(c.opts.AttachmentBytes))+" bytes.")
		}
		files = append(files, attachment{name: part.FileName(), mime: part.Header.Get("Content-Type"), data: data, at: c.now()})
	}
	if len(files) > filesPerRequest || len(is.attachments)+len(files) > c.opts.AttachmentLimit {
		return refuse(http.StatusRequestEntityTooLarge, "Too many attachments.")
	}
	out, changes := []any{}, []change{}
	for _, f := range files {
		f.id = strconv.Itoa(c.number("attachment", 40000))
		is.attachments = append(slices.Clip(is.attachments), f)
		out = append(out, c.attachmentView(f))
		changes = append(changes, change{"Attachment", "", f.name})
	}
	c.touch(is)
	c.happened("jira:issue_updated", is, c.me(), changes, nil)
	return reply{status: http.StatusOK, body: out}
}

func (c *call) linkTypeView(i int) map[string]any {
	t, id := c.opts.LinkTypes[i], strconv.Itoa(10000+i)
	return map[string]any{"id": id, "name": t.Name, "inward": t.Inward, "outward": t.Outward, "self": c.self("issueLinkType/%s", id)}
}

func (c *call) listLinkTypes() reply {
	out := []any{}
	for i := range c.opts.LinkTypes {
		out = append(out, c.linkTypeView(i))
	}
	return reply{status: http.StatusOK, body: map[string]any{"issueLinkTypes": out}}
}

// linkIssues links two issues; the same link twice is one.
func (c *call) linkIssues() reply {
	body, bad := c.object("type", "inwardIssue", "outwardIssue", "comment")
	if bad != nil {
		return *bad
	}
	var kind, in, out struct{ ID, Name, Key string }
	for name, into := range map[string]any{"type": &kind, "inwardIssue": &in, "outwardIssue": &out} {
		if isNull(body[name]) || json.Unmarshal(body[name], into) != nil {
			return refuseFields(map[string]string{name: "'" + name + "' is required."})
		}
	}
	at := slices.IndexFunc(c.opts.LinkTypes, func(t LinkType) bool { return t.Name == kind.Name })
	if id, err := strconv.Atoi(kind.ID); at < 0 && err == nil && id >= 10000 && id < 10000+len(c.opts.LinkTypes) {
		at = id - 10000
	}
	if at < 0 {
		return refuse(http.StatusNotFound, "No issue link type with name '"+kind.Name+"' found.")
	}
	ends := [2]*issue{}
	for i, ref := range []string{in.Key + in.ID, out.Key + out.ID} {
		c.vars["key"] = ref
		if ends[i], bad = c.writable(LinkIssues, "You do not have permission to link issues.", http.StatusUnauthorized); bad != nil {
			return *bad
		}
	}
	inward, outward := ends[0], ends[1]
	if inward == outward {
		return refuse(http.StatusBadRequest, "You cannot link an issue to itself.")
	}
	name := c.opts.LinkTypes[at].Name
	if slices.ContainsFunc(inward.links, func(l issueLink) bool { return l.kind == name && !l.inward && l.other == outward.id }) {
		return reply{status: http.StatusCreated}
	}
	id := strconv.Itoa(c.number("link", 50000))
	inward.links = append(slices.Clip(inward.links), issueLink{id, name, false, outward.id})
	outward.links = append(slices.Clip(outward.links), issueLink{id, name, true, inward.id})
	for _, each := range ends {
		c.touch(each)
		c.happened("jira:issue_updated", each, c.me(), []change{{"Link", "", name}}, nil)
	}
	return reply{status: http.StatusCreated}
}

// linksView lists the links of an issue whose other end the user may see.
func (c *call) linksView(in *content) []any {
	out := []any{}
	for _, l := range in.links {
		other := c.there(l.other)
		if other == nil || !other.visible() {
			continue
		}
		end := "outwardIssue"
		if l.inward {
			end = "inwardIssue"
		}
		at := slices.IndexFunc(c.opts.LinkTypes, func(t LinkType) bool { return t.Name == l.kind })
		out = append(out, map[string]any{
			"id": l.id, "self": c.self("issueLink/%s", l.id), "type": c.linkTypeView(at),
			end: map[string]any{"id": other.id, "key": other.key, "self": c.self("issue/%s", other.id), "fields": map[string]any{
				"summary": other.fields["summary"], "status": c.statusView(other.status),
			}},
		})
	}
	return out
}
