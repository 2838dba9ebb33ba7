package config

import (
	"slices"
	"strings"
)

// MatchKeys are the keys of a route's match beside tag.NAME and account_tag.NAME.
func MatchKeys() []string {
	return []string{"account", "account_name", "ou", "region", "resource", "resource_type", "control",
		"product", "kind", "severity", "repository", "title"}
}

// GroupKeys are the values of group_by beside tag.NAME.
func GroupKeys() []string {
	return []string{"account", "region", "resource", "resource_type", "control", "remediation", "title", "repository"}
}

// assigneeKeys are the values of assignee beside tag.NAME and account_tag.NAME.
func assigneeKeys() []string { return []string{"team"} }

// route checks the tree and what it refers to.
func (v validator) route() {
	root := v.c.Route
	at := "route"
	if _, written := v.d.places[at]; !written {
		v.fail(at, "write route: {team: NAME, sinks: [NAME]}", "is required and missing")
		return
	}
	for _, key := range []string{"match", "when"} {
		if _, written := v.d.places["route."+key]; written {
			v.failKey("route."+key, "move it to an entry of route.routes", "the root of the tree takes every finding")
		}
	}
	if root.Continue {
		v.failKey("route.continue", "remove it", "nothing comes after the root of the tree")
	}
	if p, written := v.d.places["route.team"]; !written || isNull(p.value) {
		v.fail("route.team", known("teams", v.c.teamNames()), "is required and missing: it owns what no other route takes")
	}
	used := map[string]bool{}
	v.branch(at, root, used)
	for i, s := range v.c.Sinks {
		if s.Name != "" && !used[s.Name] && !s.Retired {
			v.warn(item("sinks", i)+".name", "name it in sinks: of a route, or say retired: true", "no route uses the sink %s", s.Name)
		}
	}
}

func (v validator) branch(path string, r Route, used map[string]bool) {
	teams, sinks := v.c.teamNames(), v.c.sinkNames()
	if r.Team != "" && !slices.Contains(teams, r.Team) {
		v.fail(path+".team", suggestOr(r.Team, teams, known("teams", teams)), "no team is named %s", short(r.Team))
	}
	here := map[string]bool{}
	for i, s := range r.Sinks {
		twice := here[s]
		used[s], here[s] = true, true
		switch at := item(path+".sinks", i); {
		case !slices.Contains(sinks, s):
			v.fail(at, suggestOr(s, sinks, known("sinks", sinks)), "no sink is named %s", short(s))
		case v.c.retiredSink(s):
			v.fail(at, "", "the sink %s is retired", s)
		case twice:
			v.fail(at, "", "%s stands here twice", s)
		}
	}
	v.closedList(path+".group_by", r.GroupBy, GroupKeys(), "tag.")
	v.closedList(path+".assignee", r.Assignee, assigneeKeys(), "tag.", "account_tag.")
	for _, name := range sortedKeys(r.Templates) {
		if !slices.Contains(sinks, name) {
			v.failKey(child(path+".templates", name), suggestOr(name, sinks, known("sinks", sinks)), "no sink is named %s", short(name))
		}
	}
	v.match(path+".match", r.Match)
	for i, sub := range r.Routes {
		at := item(path+".routes", i)
		if len(sub.Match) == 0 && sub.When == "" && v.written(at) {
			if i+1 < len(r.Routes) && !sub.Continue {
				v.warn(item(path+".routes", i+1), "", "never reached: the route above takes everything")
			}
		}
		v.branch(at, sub, used)
	}
}

// written reports whether the mapping at path could be read and its condition,
// if it has one, too: a route whose match is broken does not take everything.
func (v validator) written(path string) bool {
	_, match := v.d.places[path+".match"]
	_, when := v.d.places[path+".when"]
	return !match && !when
}

func (v validator) closedList(path string, values, allowed []string, prefixes ...string) {
	here := map[string]bool{}
	for i, word := range values {
		at := item(path, i)
		twice := here[word]
		here[word] = true
		switch {
		case !v.inList(word, allowed, prefixes):
			v.fail(at, suggestOr(word, allowed, "use "+strings.Join(allowed, ", ")+" or "+strings.Join(prefixes, "NAME, ")+"NAME"),
				"unknown value %q", short(word))
		case twice:
			v.fail(at, "", "%s stands here twice", word)
		}
	}
}

func (v validator) inList(word string, allowed, prefixes []string) bool {
	return slices.Contains(allowed, word) || slices.ContainsFunc(prefixes, func(p string) bool {
		return strings.HasPrefix(word, p) && len(word) > len(p)
	})
}

func (v validator) match(path string, match map[string][]string) {
	for _, key := range sortedKeys(match) {
		at := child(path, key)
		if !v.inList(key, MatchKeys(), []string{"tag.", "account_tag."}) {
			v.failKey(at, suggestOr(key, MatchKeys(), "use "+strings.Join(MatchKeys(), ", ")+", tag.NAME or account_tag.NAME"), "unknown key")
		}
		if match[key] != nil && len(match[key]) == 0 {
			v.fail(at, "", "lists no value, so nothing would match")
		}
	}
}

func (c *Config) retiredSink(name string) bool {
	return slices.ContainsFunc(c.Sinks, func(s Sink) bool { return s.Name == name && s.Retired })
}
