package jira

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// user is a person as Jira answers one: by accountId on Cloud, by name on Data Center.
type user struct {
	AccountID string `json:"accountId"`
	Name      string `json:"name"`
	Key       string `json:"key"`
	Email     string `json:"emailAddress"` // Cloud leaves it out where the person hides it
	Display   string `json:"displayName"`
}

// people remembers who can be assigned where. It is safe for concurrent use.
type people struct {
	c   *client
	now func() time.Time
	mu  sync.Mutex
	all map[string]keptUser
}

type keptUser struct {
	user map[string]string // nil: nobody
	at   time.Time
}

// peopleAge is how long an answer is believed; peopleKept bounds the memory.
const (
	peopleAge  = 10 * time.Minute
	peopleKept = 10_000
)

func newPeople(c *client, now func() time.Time) *people {
	return &people{c: c, now: now, all: map[string]keptUser{}}
}

// assignable is a person who can be assigned in a project, as a field takes one; nil for nobody. who is
// an account id, a user name, an e-mail address or a display name.
func (p *people) assignable(ctx context.Context, project, who string) (map[string]string, error) {
	if who == "" {
		return nil, nil
	}
	key := project + "\x00" + who
	p.mu.Lock()
	kept, ok := p.all[key]
	p.mu.Unlock()
	if ok && p.now().Sub(kept.at) < peopleAge {
		return kept.user, nil
	}
	u, err := p.search(ctx, project, who)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.all) >= peopleKept {
		p.all = map[string]keptUser{}
	}
	p.all[key] = keptUser{u, p.now()}
	return u, nil
}

func (p *people) search(ctx context.Context, project, who string) (map[string]string, error) {
	isCloud, err := p.c.isCloud(ctx)
	if err != nil {
		return nil, err
	}
	params := []string{"username"}
	if isCloud {
		params = []string{"query"}
		if !strings.ContainsAny(who, " @") {
			params = []string{"accountId", "query"}
		}
	}
	for _, param := range params {
		q := url.Values{"project": {project}, param: {who}, "maxResults": {"20"}}
		var found []user
		_, err := p.c.http.Do(ctx, http.MethodGet, api+"user/assignable/search?"+q.Encode(), nil, &found)
		if errors.Is(err, pipeline.ErrGone) || pipeline.IsPermanent(err) {
			continue // no such account
		}
		if err != nil {
			return nil, fmt.Errorf("looking for %s among who can be assigned: %w", param, err)
		}
		if u := match(found, who); u != nil {
			return u.ref(isCloud), nil
		}
	}
	return nil, nil
}

// match is the one of the found that who names: the search matches the beginnings of names too.
func match(found []user, who string) *user {
	for _, same := range []func(user) bool{
		func(u user) bool { return u.AccountID == who },
		func(u user) bool { return strings.EqualFold(u.Email, who) && who != "" },
		func(u user) bool { return strings.EqualFold(u.Name, who) || u.Key != "" && u.Key == who },
		func(u user) bool { return strings.EqualFold(u.Display, who) },
	} {
		for i := range found {
			if same(found[i]) {
				return &found[i]
			}
		}
	}
	// An address that the only hit hides: the server matched it.
	if len(found) == 1 && found[0].Email == "" && strings.Contains(who, "@") {
		return &found[0]
	}
	return nil
}

func (u *user) ref(isCloud bool) map[string]string {
	if isCloud {
		return map[string]string{"accountId": u.AccountID}
	}
	return map[string]string{"name": u.Name}
}

// assignee is the first candidate who can be assigned, nil for none. A search that does not answer costs
// the ticket its assignee for now, not its being made; refused credentials are an error.
func (w *work) assignee(ctx context.Context) (map[string]string, error) {
	for _, who := range w.t.Assignees {
		u, err := w.s.people.assignable(ctx, w.where(), who)
		switch {
		case errors.Is(err, pipeline.ErrUnauthorized), ctx.Err() != nil:
			return nil, err
		case err != nil:
			w.s.log.Warn("nobody is assigned: the search for people does not answer", "sink", w.s.name, "case", w.t.Case, "err", err)
			return nil, nil
		case u != nil:
			return u, nil
		}
	}
	return nil, nil
}

// where is the project that the issue is in, or goes to.
func (w *work) where() string {
	if w.issue != nil {
		return w.issue.project()
	}
	return w.settings.project
}

// typer types values for a project.
func (s *Sink) typer(project string) typer {
	return typer{user: func(ctx context.Context, who string) (map[string]string, error) {
		u, err := s.people.assignable(ctx, project, who)
		if err != nil {
			return nil, err
		}
		if u == nil {
			return nil, pipeline.Permanent(fmt.Errorf("there is nobody called %q who can be assigned in %s", who, project))
		}
		return u, nil
	}}
}
