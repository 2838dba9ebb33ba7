package awsx

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/docket-hub/docket/pipeline"
)

const (
	// detailLimit is how many accounts are looked up at a time, and detailEvery the least time between two of them once detailBurst
	// were: two calls an account, so below 20 a second.
	// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html
	detailLimit = 4
	detailEvery = 100 * time.Millisecond
	detailBurst = 20
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
	d := &details{f: f, client: client, units: map[string][]string{}}
	if err := d.fill(ctx, found); err != nil {
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

// details looks up where accounts are and their tags.
type details struct {
	f      *Fleet
	client *organizations.Client

	mu    sync.Mutex
	units map[string][]string // the names from the root down to a unit, by its id
}

// fill looks the details of all accounts up, at a bounded rate.
func (d *details) fill(ctx context.Context, all []found) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan *found)
	var group sync.WaitGroup
	for range min(detailLimit, len(all)) {
		group.Go(func() {
			for a := range next {
				if err := d.one(ctx, a); err != nil {
					cancel(err)
				}
			}
		})
	}
	pace := time.NewTicker(detailEvery)
	defer pace.Stop()
	for i := range all {
		if i >= detailBurst {
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

func (d *details) one(ctx context.Context, a *found) error {
	if !a.active {
		return nil // it is only named
	}
	ou, err := d.path(ctx, a.ID, 0)
	if err := d.leave(err, "organisational units", "organizations:ListParents and organizations:DescribeOrganizationalUnit"); err != nil {
		return err
	}
	a.OU = ou
	tags, err := d.tags(ctx, a.ID)
	if err := d.leave(err, "account tags", "organizations:ListTagsForResource"); err != nil {
		return err
	}
	a.Tags = tags
	return nil
}

// leave lets a refusal pass, said once: routing can do without what it is about, and reading cannot wait for it.
func (d *details) leave(err error, what, permission string) error {
	if err != nil && Denied(err) {
		if d.f.once("denied " + what) {
			d.f.o.Log.Warn("the "+what+" are not known to routing: allow "+permission, "err", Class(err))
		}
		return nil
	}
	return err
}

// maxDepth is more than the five levels of units that an organisation may have below its root.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html
const maxDepth = 10

// path is the names of the units above an account or unit, from the root down; the root itself has none.
func (d *details) path(ctx context.Context, child string, depth int) ([]string, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("organisational unit %s lies deeper than AWS allows", child)
	}
	// An account or unit has exactly one parent, see the API reference of ListParents.
	above, err := d.client.ListParents(ctx, &organizations.ListParentsInput{ChildId: aws.String(child)})
	if err != nil {
		return nil, err
	}
	if len(above.Parents) != 1 || above.Parents[0].Type != types.ParentTypeOrganizationalUnit {
		return nil, nil
	}
	id := aws.ToString(above.Parents[0].Id)
	d.mu.Lock()
	names, known := d.units[id]
	d.mu.Unlock()
	if known {
		return names, nil
	}
	unit, err := d.client.DescribeOrganizationalUnit(ctx, &organizations.DescribeOrganizationalUnitInput{OrganizationalUnitId: aws.String(id)})
	if err != nil {
		return nil, err
	}
	if unit.OrganizationalUnit == nil {
		return nil, fmt.Errorf("organisational unit %s has no description", id)
	}
	higher, err := d.path(ctx, id, depth+1)
	if err != nil {
		return nil, err
	}
	names = append(slices.Clone(higher), aws.ToString(unit.OrganizationalUnit.Name))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.units[id] = names
	return names, nil
}

func (d *details) tags(ctx context.Context, account string) (map[string]string, error) {
	tags := map[string]string{}
	for pages := organizations.NewListTagsForResourcePaginator(d.client, &organizations.ListTagsForResourceInput{ResourceId: aws.String(account)}); pages.HasMorePages(); {
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
