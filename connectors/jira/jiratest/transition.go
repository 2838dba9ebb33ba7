package jiratest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// transitionsView lists what can be done to an issue now; without the permission nothing can.
func (c *call) transitionsView(is *issue, fields bool) []any {
	out := []any{}
	if is.archived || !is.project.may(TransitionIssues) {
		return out
	}
	for _, t := range is.project.Workflow.from(is.status.Name) {
		to, _ := is.project.Workflow.status(t.To)
		each := map[string]any{
			"id": t.ID, "name": t.Name, "to": c.statusView(to), "hasScreen": len(t.Fields) > 0,
			"isGlobal": len(t.From) == 0, "isInitial": false, "isConditional": false, "isAvailable": true,
		}
		if fields {
			meta := map[string]any{}
			for _, f := range t.Fields {
				m := c.metaView(c.screenField(is.project, f))
				m["required"], m["hasDefaultValue"] = f.Required, f.Default
				meta[f.ID] = m
			}
			each["fields"] = meta
		}
		out = append(out, each)
	}
	return out
}

// screenField is the field that a transition's screen shows.
func (c *call) screenField(p *project, f ScreenField) Field {
	for _, known := range append(system(), p.Fields...) {
		if known.ID == f.ID {
			known.Required = f.Required
			return known
		}
	}
	return Field{ID: f.ID, Name: strings.ToUpper(f.ID[:1]) + f.ID[1:], Type: f.ID, Required: f.Required}
}

func (c *call) listTransitions() reply {
	is, bad := c.issueBy(c.vars["key"])
	if bad != nil {
		return *bad
	}
	list := c.transitionsView(is, strings.Contains(c.query.Get("expand"), "transitions.fields"))
	if id := c.query.Get("transitionId"); id != "" {
		list = slices.DeleteFunc(list, func(t any) bool { return t.(map[string]any)["id"] != id })
	}
	return reply{status: http.StatusOK, body: map[string]any{"expand": "transitions", "transitions": list}}
}

func (c *call) doTransition() reply {
	is, bad := c.writable(BrowseProjects, "", http.StatusBadRequest)
	if bad != nil {
		return *bad
	}
	in, body, bad := c.payload()
	if bad != nil {
		return *bad
	}
	var ref struct {
		ID *string `json:"id"`
	}
	if raw := body["transition"]; isNull(raw) || json.Unmarshal(raw, &ref) != nil || ref.ID == nil {
		return refuse(http.StatusBadRequest, "Missing 'transition' identifier")
	}
	t, ok := c.transitionBy(is, *ref.ID)
	if !ok && c.opts.DataCenter {
		return refuse(http.StatusInternalServerError, "It seems that you have tried to perform an illegal workflow operation.")
	}
	if !ok {
		return refuse(http.StatusBadRequest, fmt.Sprintf("Transition id '%s' is not valid for this issue.", *ref.ID))
	}
	text, bad := c.takeComment(is, &in)
	if bad != nil {
		return *bad
	}
	values, resolution, errs := c.fillScreen(is, t, in)
	if len(errs) > 0 {
		return refuseFields(errs)
	}
	to, _ := is.project.Workflow.status(t.To)
	c.write(is, values, to, is.project.Workflow.into(to, resolution), c.me())
	for key, value := range in.properties {
		is.properties[key] = value
		c.note(is)
	}
	if text != nil {
		c.say(is, c.me(), *text, nil)
	}
	return reply{status: http.StatusNoContent}
}

func (c *call) transitionBy(is *issue, id string) (Transition, bool) {
	list := is.project.Workflow.from(is.status.Name)
	at := slices.IndexFunc(list, func(t Transition) bool { return t.ID == id })
	if at < 0 || !is.project.may(TransitionIssues) {
		return Transition{}, false
	}
	return list[at], true
}

// fillScreen lays what was sent over the screen of a transition.
func (c *call) fillScreen(is *issue, t Transition, in payload) (values map[string]any, resolution string, errs map[string]string) {
	var screen []Field
	shown := map[string]ScreenField{}
	for _, f := range t.Fields {
		shown[f.ID] = f
		if f.ID != "resolution" {
			screen = append(screen, c.screenField(is.project, f))
		}
	}
	resolution = is.resolution
	sent, given := in.fields["resolution"]
	rest := payload{fields: maps.Clone(in.fields), update: maps.Clone(in.update)}
	if set := in.update["resolution"]; len(set) == 1 && set[0]["set"] != nil {
		sent, given = set[0]["set"], true
	}
	if _, ok := shown["resolution"]; ok {
		delete(rest.fields, "resolution")
		delete(rest.update, "resolution")
	}
	values, errs = c.apply(is.project, screen, rest, is.fields)
	if f, ok := shown["resolution"]; ok {
		var complaint string
		if resolution, complaint = c.parseResolution(sent); !given && f.Default {
			resolution, complaint = c.opts.Resolutions[0], ""
		} else if !given && !f.Required {
			resolution, complaint = "", ""
		}
		if complaint != "" {
			errs["resolution"] = complaint
		}
	}
	for _, f := range screen {
		if errs[f.ID] == "" && f.Required && !shown[f.ID].Default && values[f.ID] == nil {
			errs[f.ID] = f.Name + " is required."
		}
	}
	return values, resolution, errs
}

func (c *call) parseResolution(raw json.RawMessage) (string, string) {
	var ref struct{ ID, Name string }
	if isNull(raw) {
		return "", "Resolution is required."
	}
	if json.Unmarshal(raw, &ref) != nil || ref.ID == "" && ref.Name == "" {
		return "", "Could not find valid 'id' or 'name' in resolution object."
	}
	for _, name := range c.opts.Resolutions {
		if name == ref.Name || c.resolutionView(name)["id"] == ref.ID {
			return name, ""
		}
	}
	return "", fmt.Sprintf("Resolution name '%s' is not valid", ref.Name)
}
