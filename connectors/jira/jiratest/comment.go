package jiratest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

func (c *call) commentView(in *content, each comment, properties bool) map[string]any {
	out := map[string]any{
		"self": c.self("issue/%s/comment/%s", in.id, each.id), "id": each.id, "author": c.userView(each.author),
		"updateAuthor": c.userView(each.author), "body": c.valueView("body", each.body), "created": stamp(each.at), "updated": stamp(each.at),
	}
	if properties {
		list := []any{}
		for key, value := range each.properties {
			list = append(list, map[string]any{"key": key, "value": value})
		}
		out["properties"] = list
	}
	return out
}

// parseComment checks the text of a comment.
func (c *call) parseComment(raw json.RawMessage) (richText, *reply) {
	value, complaint := c.parseText(raw, c.version)
	if isNull(raw) || complaint == "" && (value == nil || strings.TrimSpace(value.(richText).text) == "") {
		complaint = "Comment body can not be empty!"
	}
	if complaint != "" {
		r := refuseFields(map[string]string{"comment": complaint})
		return richText{}, &r
	}
	return value.(richText), nil
}

// say adds a comment that was checked.
func (s *Server) say(is *issue, by userRef, text richText, properties map[string]json.RawMessage) comment {
	out := comment{id: strconv.Itoa(s.number("comment", 20000)), author: by, body: text, properties: properties, at: s.now()}
	is.comments = append(is.comments, out)
	s.touch(is)
	s.happened("comment_created", is, by, nil, &out)
	return out
}

func (c *call) addComment() reply {
	is, bad := c.writable(AddComments, "You do not have the permission to comment on this issue.", http.StatusBadRequest)
	if bad != nil {
		return *bad
	}
	body, bad := c.object("body", "properties", "visibility", "author", "created", "id", "jsdPublic", "self", "updated", "updateAuthor")
	if bad != nil {
		return *bad
	}
	if raw := body["visibility"]; !isNull(raw) {
		var to struct{ Type, Value, Identifier string }
		if strictly(raw, &to) != nil || to.Type != "group" && to.Type != "role" {
			return refuse(http.StatusBadRequest, "The visibility of a comment is of type group or role.")
		}
	}
	text, bad := c.parseComment(body["body"])
	if bad != nil {
		return *bad
	}
	properties, bad := c.propertyList(body["properties"])
	if bad != nil {
		return *bad
	}
	if len(is.comments) >= c.opts.CommentLimit {
		return refuse(http.StatusRequestEntityTooLarge, "The issue has reached its limit of "+thousands(c.opts.CommentLimit)+" comments.")
	}
	added := c.say(is, c.me(), text, properties)
	return reply{status: http.StatusCreated, body: c.commentView(&is.content, added, c.query.Get("expand") == "properties")}
}

// takeComment takes update.comment out of an edit or transition and checks it.
func (c *call) takeComment(is *issue, in *payload) (*richText, *reply) {
	operations, ok := in.update["comment"]
	if !ok {
		return nil, nil
	}
	delete(in.update, "comment")
	var add struct {
		Body json.RawMessage `json:"body"`
	}
	if len(operations) != 1 || strictly(operations[0]["add"], &add) != nil {
		r := c.badPayload("update")
		return nil, &r
	}
	if !is.project.may(AddComments) {
		r := refuseFields(map[string]string{"comment": offScreen("comment")})
		return nil, &r
	}
	if len(is.comments) >= c.opts.CommentLimit {
		r := refuse(http.StatusRequestEntityTooLarge, "The issue has reached its limit of comments.")
		return nil, &r
	}
	text, bad := c.parseComment(add.Body)
	return &text, bad
}

// commentPage is how many comments one page holds.
const commentPage = 100

func (c *call) listComments() reply {
	is, bad := c.issueBy(c.vars["key"])
	if bad != nil {
		return *bad
	}
	list := slices.Clone(is.comments)
	switch c.query.Get("orderBy") {
	case "", "created", "+created":
	case "-created":
		slices.Reverse(list)
	default:
		return refuse(http.StatusBadRequest, "The orderBy of comments is created, -created or +created.")
	}
	usual, most := commentPage, commentPage
	if c.opts.DataCenter {
		usual, most = 1048576, 1048576
	}
	from, to, size, ok := c.page(len(list), usual, most)
	if !ok {
		return refuse(http.StatusBadRequest, "startAt and maxResults are numbers.")
	}
	out := []any{}
	for _, each := range list[from:to] {
		out = append(out, c.commentView(&is.content, each, c.query.Get("expand") == "properties"))
	}
	return reply{status: http.StatusOK, body: map[string]any{"comments": out, "startAt": from, "maxResults": size, "total": len(list)}}
}

func (c *call) readComment() reply {
	is, bad := c.issueBy(c.vars["key"])
	if bad != nil {
		return *bad
	}
	for _, each := range is.comments {
		if each.id == c.vars["id"] {
			return reply{status: http.StatusOK, body: c.commentView(&is.content, each, c.query.Get("expand") == "properties")}
		}
	}
	return refuse(http.StatusNotFound, "Can not find a comment for the id: "+c.vars["id"]+".")
}
