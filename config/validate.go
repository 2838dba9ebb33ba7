package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/docket-hub/docket/pipeline"
)

// plannedSources and plannedSinks are the documented types. One that the
// binary does not hold is refused by name.
func plannedSources() []string {
	return []string{"securityhub", "guardduty", "trustedadvisor", "checks", "sqs", "webhook", "file"}
}

func plannedSinks() []string {
	return []string{"jira", "servicenow", "freshservice", "slack", "webhook", "file"}
}

// The shapes of names. They become parts of stream subjects, paths of URLs and
// labels of metrics, so they hold no dot, slash or blank.
var (
	namePattern    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)
	factorPattern  = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
	accountPattern = regexp.MustCompile(`^[0-9]{12}$`)
)

// validator checks what one value alone cannot show.
type validator struct {
	c *Config
	d *document
}

func (v validator) fail(path, hint, format string, args ...any) {
	v.d.fail(v.d.node(path), path, hint, format, args...)
}

func (v validator) warn(path, hint, format string, args ...any) {
	v.d.warn(v.d.node(path), path, hint, format, args...)
}

// failKey is fail at the key instead of the value.
func (v validator) failKey(path, hint, format string, args ...any) {
	n := v.d.node(path)
	if p, ok := v.d.places[path]; ok && p.key != nil {
		n = p.key
	}
	v.d.fail(n, path, hint, format, args...)
}

// validate checks references and relations. Where a file could not be read at
// all, what is missing may stand there, so references are left alone.
func (c *Config) validate(unread bool) {
	v := validator{c, c.doc}
	v.general()
	v.sources()
	v.sinks()
	v.risk()
	v.teams(unread)
	v.suppressions()
	if !unread {
		v.route()
	}
}

func (v validator) general() {
	c := v.c
	zone, err := time.LoadLocation(c.TimeZone)
	if err != nil || c.TimeZone == "" || c.TimeZone == "Local" {
		v.fail("time_zone", "use a name of the IANA list such as UTC or Europe/Berlin", "%q is no time zone", short(c.TimeZone))
		zone = time.UTC
	}
	c.zone = zone
	if c.Installation != "" {
		v.name("installation", c.Installation)
	}
	if c.DataDir == "" {
		v.fail("data_dir", "", "is empty")
	}
	if _, port, err := net.SplitHostPort(c.Server.Listen); err != nil || port == "" {
		v.fail("server.listen", "write host:port, such as 127.0.0.1:8080", "%q is no address to listen on", short(c.Server.Listen))
	}
	if c.Server.ExternalURL != "" {
		u, err := url.Parse(c.Server.ExternalURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			v.fail("server.external_url", "write https://docket.example.com", "%q is no web address", short(c.Server.ExternalURL))
		}
		c.Server.ExternalURL = strings.TrimRight(c.Server.ExternalURL, "/")
	}
	seen := map[string]bool{}
	for i, t := range c.Server.Auth.Tokens {
		path := item("server.auth.tokens", i) + ".name"
		v.name(path, t.Name)
		v.once(seen, path, t.Name)
	}
	if c.Server.Auth.OIDC != nil {
		roles := []string{"viewer", "responder", "ingest", "admin"}
		for _, role := range sortedKeys(c.Server.Auth.OIDC.Roles) {
			if !slices.Contains(roles, role) {
				v.failKey(child("server.auth.oidc.roles", role), suggestWord(role, roles), "%q is none of %s", short(role), strings.Join(roles, ", "))
			}
		}
	}
	if c.Ack.Max < c.Ack.For {
		v.fail("ack", "", "max (%s) is shorter than for (%s)", FormatDuration(c.Ack.Max), FormatDuration(c.Ack.For))
	}
	v.accounts()
}

// name checks the shape of a name; an absent one was reported before.
func (v validator) name(path, name string) {
	if v.given(path) && !namePattern.MatchString(name) {
		v.fail(path, "use letters, digits, - and _, at most 63, beginning with a letter or a digit", "%q is no name", short(name))
	}
}

// given reports whether something that could be read stands at path.
func (v validator) given(path string) bool {
	p, ok := v.d.places[path]
	return ok && p.value.Kind == yaml.ScalarNode && !isNull(p.value)
}

func (v validator) once(seen map[string]bool, path, name string) {
	if name == "" {
		return
	}
	if seen[name] {
		v.fail(path, "", "%s is taken by an entry above", short(name))
	}
	seen[name] = true
}

// entry is what sources and sinks have in common.
type entry struct {
	path, name, kind string
	formerly         []string
}

func (v validator) sources() {
	var all []entry
	for i, s := range v.c.Sources {
		all = append(all, entry{item("sources", i), s.Name, s.Type, s.Formerly})
	}
	v.entries(all, "source", v.d.env.Known.Sources, plannedSources())
}

// leastPoll is how often a tracker may be asked what changed.
const leastPoll = time.Minute

func (v validator) sinks() {
	var all []entry
	for i, s := range v.c.Sinks {
		path := item("sinks", i)
		all = append(all, entry{path, s.Name, s.Type, s.Formerly})
		v.unsure(path+".unsure", s.Unsure)
		if s.Poll > 0 && s.Poll < leastPoll {
			v.fail(path+".poll", "", "is %s; ask a tracker at most every %s, and let it send webhooks for what is to be known sooner",
				FormatDuration(s.Poll), FormatDuration(leastPoll))
		}
	}
	v.entries(all, "sink", v.d.env.Known.Sinks, plannedSinks())
}

func (v validator) entries(all []entry, what string, known, planned []string) {
	seen, former := map[string]bool{}, map[string]string{}
	for _, e := range all {
		v.name(e.path+".name", e.name)
		v.once(seen, e.path+".name", e.name)
		if !v.given(e.path+".type") || slices.Contains(known, e.kind) {
			continue
		}
		if slices.Contains(planned, e.kind) {
			v.fail(e.path+".type", "", "type %s is not built yet in this version", e.kind)
			continue
		}
		v.fail(e.path+".type", suggestOr(e.kind, append(slices.Clone(known), planned...), "known types: "+strings.Join(known, ", ")),
			"unknown %s type %q", what, short(e.kind))
	}
	for _, e := range all {
		for i, old := range e.formerly {
			path := item(e.path+".formerly", i)
			switch {
			case seen[old]:
				v.fail(path, "", "%s is the name of a %s that is still here", short(old), what)
			case former[old] != "":
				v.fail(path, "", "%s was renamed twice, also to %s", short(old), former[old])
			}
			former[old] = e.name
		}
	}
}

// unsure enforces the relations without which a lost answer could make a second ticket.
func (v validator) unsure(path string, u Unsure) {
	f := FormatDuration
	if least := u.Deadline + u.Pause + u.Late; u.Grace < least {
		v.fail(path+".grace", "", "grace (%s) must be at least deadline + pause + late (%s + %s + %s = %s)",
			f(u.Grace), f(u.Deadline), f(u.Pause), f(u.Late), f(least))
	}
	if looks := u.Settle * time.Duration(u.Looks); looks < u.Grace+u.Lag {
		v.fail(path+".settle", "", "settle x looks (%s x %d = %s) must be at least grace + lag (%s + %s = %s)",
			f(u.Settle), u.Looks, f(looks), f(u.Grace), f(u.Lag), f(u.Grace+u.Lag))
	}
	if u.Lease <= u.Deadline {
		v.fail(path+".lease", "", "lease (%s) must be longer than deadline (%s)", f(u.Lease), f(u.Deadline))
	}
}

func (v validator) risk() {
	r := v.c.Risk
	seen := map[string]bool{}
	for i, f := range r.Factors {
		path := item("risk.factors", i) + ".name"
		if v.given(path) && !factorPattern.MatchString(f.Name) {
			v.fail(path, "use lower-case letters, digits and _, beginning with a letter", "%q is no name of a risk factor", short(f.Name))
		}
		v.once(seen, path, f.Name)
	}
	if _, ok := r.Thresholds[pipeline.P5]; ok {
		v.failKey("risk.thresholds.P5", "remove it", "P5 is what remains below P4 and has no threshold")
	}
	for p := pipeline.P1; p < pipeline.P4; p++ {
		if r.Thresholds[p] <= r.Thresholds[p+1] {
			v.fail("risk.thresholds", "", "must fall from P1 to P4, but %s (%d) is not above %s (%d)",
				p, r.Thresholds[p], p+1, r.Thresholds[p+1])
		}
	}
	last, lastName := time.Duration(0), ""
	for p := pipeline.P1; p <= pipeline.P5; p++ {
		got := r.SLA.Of(p)
		if got != 0 && got < last {
			v.warn("risk.sla."+p.String(), "", "%s has less time (%s) than %s (%s)", p, FormatDuration(got), lastName, FormatDuration(last))
		}
		if got != 0 {
			last, lastName = got, p.String()
		}
	}
	if k := r.Feeds.KEV; k != nil {
		v.feed("risk.feeds.kev", k.File, k.URL, k.Interval)
	}
	if e := r.Feeds.EPSS; e != nil {
		v.feed("risk.feeds.epss", e.File, e.URL, e.Interval)
	}
}

// leastFeed is how often a public feed may be asked for.
const leastFeed = 15 * time.Minute

func (v validator) feed(path, file, address string, interval time.Duration) {
	switch {
	case file == "" && address == "":
		v.failKey(path, "write file: PATH or url: https://…", "names neither a file nor an address")
	case file != "" && address != "":
		v.fail(path+".url", "keep one of them", "stands beside file")
	}
	if address != "" {
		u, err := url.Parse(address)
		switch {
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Fragment != "":
			v.fail(path+".url", "write https://host/path", "is no web address")
		case u.User != nil:
			v.fail(path+".url", "put a copy behind an address that needs none, or use file", "must not carry credentials")
		}
	}
	if interval < leastFeed {
		v.fail(path+".interval", "", "is %s; ask for a feed at most every %s", FormatDuration(interval), FormatDuration(leastFeed))
	}
}

func (v validator) teams(unread bool) {
	seen := map[string]bool{}
	sinks := v.c.sinkNames()
	for i, t := range v.c.Teams {
		path := item("teams", i)
		v.name(path+".name", t.Name)
		v.once(seen, path+".name", t.Name)
		for _, name := range sortedKeys(t.Sinks) {
			if !unread && !slices.Contains(sinks, name) {
				v.failKey(child(path+".sinks", name), suggestOr(name, sinks, known("sinks", sinks)), "no sink is named %s", short(name))
			}
		}
		for j, m := range t.Members {
			if at := item(path+".members", j); m == (Member{}) && v.d.places[at].value != nil {
				v.warn(at, "", "this member has no name anywhere")
			}
		}
	}
}

func (v validator) suppressions() {
	now := v.d.env.Now()
	seen := map[string]bool{}
	for i, s := range v.c.Suppressions {
		path := item("suppressions", i)
		v.name(path+".name", s.Name)
		v.once(seen, path+".name", s.Name)
		for key, text := range map[string]string{"when": s.When, "reason": s.Reason} {
			if v.given(path+"."+key) && strings.TrimSpace(text) == "" {
				v.fail(path+"."+key, "", "is empty")
			}
		}
		if end := s.Until.End(v.c.zone); !s.Until.IsZero() && !end.After(now) {
			v.warn(path+".until", "remove it, or give it a later end", "this suppression ended at %s", end.Format(time.RFC3339))
		}
	}
}

func (c *Config) sinkNames() []string {
	var names []string
	for _, s := range c.Sinks {
		if s.Name != "" && !slices.Contains(names, s.Name) {
			names = append(names, s.Name)
		}
	}
	return names
}

func (c *Config) teamNames() []string {
	var names []string
	for _, t := range c.Teams {
		if t.Name != "" && !slices.Contains(names, t.Name) {
			names = append(names, t.Name)
		}
	}
	return names
}

func suggestOr(word string, list []string, otherwise string) string {
	if hint := suggestWord(word, list); hint != "" {
		return hint
	}
	return otherwise
}

func known(what string, names []string) string {
	if len(names) == 0 {
		return fmt.Sprintf("there are no %s", what)
	}
	return "known: " + strings.Join(names, ", ")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
