package awsx

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/docket-hub/docket/pipeline"
)

const (
	// tagsLimit is how many accounts are asked for their tags at a time, and tagsEvery the least time between two of them once
	// tagsBurst were: 20 a second, and fewer where AWS throttles.
	tagsLimit = 4
	tagsEvery = 50 * time.Millisecond
	tagsBurst = 20
)

// organization reads the accounts of the organisation: those that are active and not excluded are its answer, all of them
// go into the directory. Units and tags that may not be read are left out, with one line in the log.
func (f *Fleet) organization(ctx context.Context, h home) ([]member, error) {
	o := f.s.Organization
	cfg := f.at(h.cfg, place{service: "organizations", account: h.account, region: h.cfg.Region})
	if o.ManagementRole != "" {
		r := f.role(h, roleKey{arn: o.ManagementRole, external: f.s.ExternalID})
		if err := r.ready(ctx); err != nil {
			return nil, err
		}
		cfg = f.at(r.cfg, place{service: "organizations", account: accountOf(o.ManagementRole), region: h.cfg.Region, role: o.ManagementRole})
	}
	client := organizations.NewFromConfig(cfg)
	found, err := everyAccount(ctx, client)
	if err != nil {
		return nil, Class(err)
	}
	if err := f.details(ctx, client, found); err != nil {
		return nil, Class(err)
	}
	known := map[string]pipeline.Account{}
	var all []member
	for _, a := range found {
		known[a.ID] = a.Account
		if !a.active || slices.Contains(o.Exclude, a.ID) {
			continue
		}
		m := member{account: a.Account}
		if a.ID != h.account {
			m.role = roleKey{arn: roleARN(h.partition, a.ID, o.RoleName), external: f.s.ExternalID}
		}
		all = append(all, m)
	}
	f.directory.Store(&known)
	if f.o.Keep != nil {
		f.o.Keep(known)
	}
	return sorted(all), nil
}

// found is an account as Organizations lists it.
type found struct {
	pipeline.Account
	active bool
}

func everyAccount(ctx context.Context, client organizations.ListAccountsAPIClient) ([]found, error) {
	var all []found
	for pages := organizations.NewListAccountsPaginator(client, &organizations.ListAccountsInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, a := range page.Accounts {
			all = append(all, found{Account: pipeline.Account{ID: aws.ToString(a.Id), Name: aws.ToString(a.Name)}, active: active(a)})
		}
	}
	return all, nil
}

// active reports whether an account can be read. Status is on its way out and State in, see types.Account.
func active(a types.Account) bool {
	if a.State != "" {
		return a.State == types.AccountStateActive
	}
	return a.Status == types.AccountStatusActive
}

// details fills in where the accounts are and their tags. What may not be read stays as it was known: routing can do
// without it, and reading cannot wait for it.
func (f *Fleet) details(ctx context.Context, client *organizations.Client, all []found) error {
	paths, err := unitPaths(ctx, client)
	for i := range all {
		all[i].OU = paths[all[i].ID]
	}
	if err := f.leave(err, "organisational units", "organizations:ListRoots, organizations:ListOrganizationalUnitsForParent and organizations:ListAccountsForParent",
		all, func(now *found, known pipeline.Account) { now.OU = known.OU }); err != nil {
		return err
	}
	return f.leave(accountTags(ctx, client, all), "account tags", "organizations:ListTagsForResource",
		all, func(now *found, known pipeline.Account) { now.Tags = known.Tags })
}

// leave lets a refusal pass, said once, and puts what was known in the place of what was refused.
func (f *Fleet) leave(err error, what, permission string, all []found, put func(now *found, known pipeline.Account)) error {
	switch {
	case err == nil:
		f.forget("denied " + what)
		return nil
	case !Denied(err):
		return err
	case f.once("denied " + what):
		f.o.Log.Warn("the "+what+" cannot be read, those known stay: allow "+permission, "err", Class(err))
	}
	for i := range all {
		known, _ := f.Account(all[i].ID)
		put(&all[i], known)
	}
	return nil
}

// unitPaths is the names of the units from the root down to each account, by account id; an account in the root has none. It goes
// through the tree, which takes a call or two for each unit rather than one for each account.
func unitPaths(ctx context.Context, client *organizations.Client) (map[string][]string, error) {
	type unit struct {
		id   string
		path []string
	}
	var todo []unit
	for pages := organizations.NewListRootsPaginator(client, &organizations.ListRootsInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Roots {
			todo = append(todo, unit{id: aws.ToString(r.Id)})
		}
	}
	paths := map[string][]string{}
	for len(todo) > 0 {
		u := todo[0]
		todo = todo[1:]
		for pages := organizations.NewListAccountsForParentPaginator(client, &organizations.ListAccountsForParentInput{ParentId: &u.id}); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, err
			}
			for _, a := range page.Accounts {
				paths[aws.ToString(a.Id)] = u.path
			}
		}
		for pages := organizations.NewListOrganizationalUnitsForParentPaginator(client, &organizations.ListOrganizationalUnitsForParentInput{ParentId: &u.id}); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, err
			}
			for _, o := range page.OrganizationalUnits {
				todo = append(todo, unit{aws.ToString(o.Id), append(slices.Clone(u.path), aws.ToString(o.Name))})
			}
		}
	}
	return paths, nil
}

// accountTags fills the tags of the active accounts in, at a bounded rate.
func accountTags(ctx context.Context, client *organizations.Client, all []found) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan *found)
	var group sync.WaitGroup
	for range min(tagsLimit, len(all)) {
		group.Go(func() {
			for a := range next {
				var err error
				if a.Tags, err = tagsOf(ctx, client, a.ID); err != nil {
					cancel(err)
				}
			}
		})
	}
	pace := time.NewTicker(tagsEvery)
	defer pace.Stop()
	for i := range all {
		if !all[i].active {
			continue // it is only named
		}
		if i >= tagsBurst {
			select {
			case <-pace.C:
			case <-ctx.Done():
			}
		}
		select {
		case next <- &all[i]:
		case <-ctx.Done():
		}
	}
	close(next)
	group.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

func tagsOf(ctx context.Context, client *organizations.Client, account string) (map[string]string, error) {
	tags := map[string]string{}
	for pages := organizations.NewListTagsForResourcePaginator(client, &organizations.ListTagsForResourceInput{ResourceId: aws.String(account)}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, t := range page.Tags {
			tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
		}
	}
	return tags, nil
}
