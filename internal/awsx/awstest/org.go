package awstest

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Options is what a Server starts with. The zero value is an organisation of one account.
type Options struct {
	Org Org
	// Now is the server's clock; nil: time.Now. It decides which sessions have expired.
	Now func() time.Time
	// Session is how long credentials of AssumeRole live when the caller does not ask for a time; 0: an hour, as in AWS.
	Session time.Duration
	// Listen is the address to listen on; empty: a free port of 127.0.0.1.
	Listen     string
	Secrets    []Secret
	Parameters []Parameter
}

// Org is the organisation that the stand-in answers for.
type Org struct {
	// Home is the account of the server's own access key; empty: the first one. It is the management account.
	Home string
	// Role is the name of the role that the home account may assume in every account; empty: docket-readonly.
	Role string
	// ExternalID, unless empty, has to come with each AssumeRole.
	ExternalID string
	// Regions are those that exist; empty: eu-west-1, us-east-1 and eu-central-1.
	Regions  []string
	Accounts []Account
}

// Account is a member of the organisation.
type Account struct {
	ID, Name string
	// OU is the way from the root, the outermost first; empty: it lies in the root.
	OU []string
	// Status is ACTIVE when empty, else SUSPENDED or PENDING_CLOSURE.
	Status string
	Tags   map[string]string
	// Regions are those that are enabled; nil: all of the organisation.
	Regions []string
	// Denied: the role in this account does not let the home account in.
	Denied bool
}

// Secret is a secret of Secrets Manager. An empty Account is the home account, an empty Region every region.
type Secret struct{ Account, Region, Name, Value string }

// Parameter is a parameter of Systems Manager's store; places as in Secret. Secure ones are given out only with WithDecryption.
type Parameter struct {
	Account, Region, Name, Value string
	Secure                       bool
}

// filled is the organisation with its defaults.
func (o Org) filled() Org {
	if len(o.Accounts) == 0 {
		o.Accounts = []Account{{ID: "111122223333", Name: "home"}}
	}
	o.Accounts = slices.Clone(o.Accounts)
	o.Home = cmp.Or(o.Home, o.Accounts[0].ID)
	o.Role = cmp.Or(o.Role, "docket-readonly")
	if len(o.Regions) == 0 {
		o.Regions = []string{"eu-west-1", "us-east-1", "eu-central-1"}
	}
	for i := range o.Accounts {
		a := &o.Accounts[i]
		a.Status = cmp.Or(a.Status, "ACTIVE")
		if a.Regions == nil {
			a.Regions = o.Regions
		}
	}
	return o
}

func (o Org) account(id string) (Account, bool) {
	i := slices.IndexFunc(o.Accounts, func(a Account) bool { return a.ID == id })
	if i < 0 {
		return Account{}, false
	}
	return o.Accounts[i], true
}

// unit is an organisational unit.
type unit struct {
	id, name, parent string // ids; the parent of a top one is the root
}

// Ids of the organisation, in the forms that the API reference of AWS Organizations gives.
const (
	orgID  = "o-exampleorgid"
	rootID = "r-ex01"
)

// units are the organisational units that the accounts name, with an id each.
func (o Org) units() []unit {
	var all []unit
	for _, a := range o.Accounts {
		parent := rootID
		for i := range a.OU {
			id := unitID(a.OU[:i+1])
			if !slices.ContainsFunc(all, func(u unit) bool { return u.id == id }) {
				all = append(all, unit{id: id, name: a.OU[i], parent: parent})
			}
			parent = id
		}
	}
	return all
}

// unitID is the id of the unit at a path: ou-, the root's part, and 8 to 32 letters or digits.
func unitID(path []string) string {
	const digits = "0123456789abcdefghijklmnopqrstuv"
	sum := uint64(14695981039346656037) // FNV-1a
	for _, b := range []byte(strings.Join(path, "/")) {
		sum = (sum ^ uint64(b)) * 1099511628211
	}
	id := []byte("ou-" + strings.TrimPrefix(rootID, "r-") + "-")
	for range 10 {
		id = append(id, digits[sum%32])
		sum /= 32
	}
	return string(id)
}

func (a Account) parent() string {
	if len(a.OU) == 0 {
		return rootID
	}
	return unitID(a.OU)
}
