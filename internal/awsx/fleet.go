package awsx

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/docket-hub/docket/pipeline"
)

// AllRegions stands in a list of regions for every region that an account has enabled.
const AllRegions = "all"

// Settings are what the configuration says about AWS. The zero value is the account whose
// credentials docket has, with all of its regions.
type Settings struct {
	// Organization finds the accounts in AWS Organizations; nil: they are those of Accounts, or the one that
	// docket has credentials of where Accounts is empty, too.
	Organization *Organization
	Accounts     []Account
	Regions      []string // region names, or AllRegions alone; empty: AllRegions
	ExternalID   string   // sent with every role that is taken; empty: none
	SessionName  string   // how docket appears in CloudTrail; empty: docket
}

// Organization is where the accounts come from and which role each of them has for docket.
type Organization struct {
	RoleName       string   // of the role in each account, with its path: docket-readonly
	ManagementRole string   // ARN of a role that may list the accounts; empty: docket's own credentials may
	Exclude        []string // account ids that are not read
}

// Account is one account of a list.
type Account struct {
	ID         string // 12 digits
	RoleARN    string // empty: the account that docket has credentials of
	ExternalID string // empty: that of Settings
	Name       string
	Tags       map[string]string
}

// Options are what a Fleet takes from the process round it.
type Options struct {
	Log *slog.Logger     // nil: none
	Now func() time.Time // nil: time.Now
	// Known are accounts as an earlier Fleet knew them, by id: what an organisation is known by until it was read.
	// Keep is given what replaces them; nil: nobody keeps them.
	Known map[string]pipeline.Account
	Keep  func(map[string]pipeline.Account)
	// Load is laid over the SDK's standard chain, as config.WithBaseEndpoint.
	Load []func(*config.LoadOptions) error
	// TryWithin bounds one try of a call, CallWithin the call with all its tries and waits; 0: 30s and 2m.
	TryWithin, CallWithin time.Duration
}

// Fleet is the accounts and regions that docket reads, and the way into each. It is
// safe for concurrent use, and holds nothing that has to be closed.
type Fleet struct {
	s    Settings
	o    Options
	home *kept[home]
	list *kept[[]member]
	// directory is what is known of accounts by id, those that are not read included.
	directory atomic.Pointer[map[string]pipeline.Account]

	mu       sync.Mutex // guards what follows
	roles    map[roleKey]*role
	regions  map[string]*kept[[]string] // by account
	retryers map[place]*retryer
	renewals map[*aws.CredentialsCache]*renewal
	lanes    map[string]chan struct{} // by the SDK's id of a service
	said     map[string]bool          // log lines that were written and are not repeated
}

// Ask says what a source reads. Service is the SDK's word for it, as securityhub; targets of one service share what was learnt
// of how fast it may be called. Regions empty: those of the settings.
type Ask struct {
	Service string
	Regions []string
}

// Target is one account and region to read. Config makes clients that call there; it may be used
// as long as the Fleet, its credentials are renewed by themselves.
type Target struct {
	Account pipeline.Account
	Region  string
	Config  aws.Config
}

// New checks the settings and makes a Fleet. It makes no call, so missing credentials show at the first Targets or Home.
func New(s Settings, o Options) (*Fleet, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.TryWithin, o.CallWithin = cmp.Or(o.TryWithin, tryWithin), cmp.Or(o.CallWithin, callWithin)
	if s.SessionName == "" {
		s.SessionName = "docket"
	}
	f := &Fleet{s: s, o: o, roles: map[roleKey]*role{}, regions: map[string]*kept[[]string]{},
		retryers: map[place]*retryer{}, renewals: map[*aws.CredentialsCache]*renewal{}, lanes: map[string]chan struct{}{}, said: map[string]bool{}}
	f.home = newKept[home](o.Now, forever, pauseHome)
	f.list = newKept[[]member](o.Now, refreshAfter, pauseList)
	if s.Organization != nil && o.Known != nil {
		f.directory.Store(&o.Known)
	} else {
		f.remember(s.Accounts)
	}
	return f, nil
}

func (s Settings) check() error {
	if s.Organization != nil && len(s.Accounts) > 0 {
		return fmt.Errorf("aws: accounts come either from an organization or from a list")
	}
	if s.Organization != nil && s.Organization.RoleName == "" {
		return fmt.Errorf("aws: an organization wants the name of the role in its accounts")
	}
	if len(s.Regions) > 1 && slices.Contains(s.Regions, AllRegions) {
		return fmt.Errorf("aws: regions are either %s or a list of names", AllRegions)
	}
	return nil
}

// Account is what is known of the account with that id: name, organisational units, tags. It makes no call: of an organisation
// it knows what the last Targets or Home read. Its maps and slices are shared: only read them.
func (f *Fleet) Account(id string) (pipeline.Account, bool) {
	known := f.directory.Load()
	if known == nil {
		return pipeline.Account{}, false
	}
	a, ok := (*known)[id]
	return a, ok
}

// Home is the config of a source that has one place. The empty region is that of the environment; the empty
// roleARN is docket's own credentials. A role that cannot be taken is an error here, of Class.
func (f *Fleet) Home(ctx context.Context, region, roleARN string) (aws.Config, error) {
	h, err := f.base(ctx)
	if err != nil {
		return aws.Config{}, err
	}
	if region == "" {
		region = h.cfg.Region
	}
	// Findings of any account come through such a source, so the directory is wanted. Without it they only lack names.
	_, _, _ = f.members(ctx, h)
	if roleARN == "" {
		return f.at(h.cfg, place{service: "home", account: h.account, region: region}), nil
	}
	r := f.role(h, roleKey{arn: roleARN, external: f.s.ExternalID})
	if err := r.ready(ctx); err != nil {
		return aws.Config{}, err
	}
	return f.at(r.cfg, place{service: "home", account: accountOf(roleARN), region: region, role: roleARN}), nil
}
