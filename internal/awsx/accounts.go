package awsx

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// member is an account to read and the role that docket takes there; the zero key stands for docket's own credentials.
type member struct {
	account pipeline.Account
	role    roleKey
	why     string // it cannot be read, and why
}

// members are the accounts to read, by id. With an error they are the last ones known and since when, or none.
func (f *Fleet) members(ctx context.Context, h home) ([]member, time.Time, error) {
	if f.s.Organization == nil {
		return f.listed(h), f.o.Now(), nil
	}
	all, at, err := f.list.get(ctx, func(ctx context.Context) ([]member, error) { return f.organization(ctx, h) })
	switch {
	case err == nil:
		if f.forget("directory") {
			f.o.Log.Info("the accounts of the organisation can be read again", "accounts", len(all))
		}
	case at.IsZero():
		return nil, at, fmt.Errorf("listing the accounts of the organisation: %w", err)
	case ctx.Err() == nil && f.once("directory"):
		f.o.Log.Warn("the accounts of the organisation cannot be read: going on with those known", "accounts", len(all), "since", at.UTC().Format(time.RFC3339), "err", err)
	}
	return all, at, err
}

// listed are the accounts of the configuration; with none, the one that docket has credentials of.
func (f *Fleet) listed(h home) []member {
	if len(f.s.Accounts) == 0 {
		return []member{{account: pipeline.Account{ID: h.account}}}
	}
	var all []member
	for _, a := range f.s.Accounts {
		m := member{account: pipeline.Account{ID: a.ID, Name: a.Name, Tags: maps.Clone(a.Tags)}}
		switch {
		case a.RoleARN != "":
			m.role = roleKey{arn: a.RoleARN, external: cmp.Or(a.ExternalID, f.s.ExternalID)}
		case a.ID != h.account:
			m.why = fmt.Sprintf("docket's credentials are of account %s, so account %s wants a role_arn in aws.accounts", h.account, a.ID)
		}
		all = append(all, m)
	}
	return sorted(all)
}

func sorted(all []member) []member {
	slices.SortFunc(all, func(a, b member) int { return cmp.Compare(a.account.ID, b.account.ID) })
	return all
}

// remember makes a list of the configuration the directory.
func (f *Fleet) remember(list []Account) {
	known := map[string]pipeline.Account{}
	for _, a := range list {
		known[a.ID] = pipeline.Account{ID: a.ID, Name: a.Name, Tags: maps.Clone(a.Tags)}
	}
	f.directory.Store(&known)
}
