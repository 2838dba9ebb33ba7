package lab

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/docket-hub/docket/internal/awsx/awstest"
)

// Home is the management account and the delegated administrator; its key is the server's own.
const Home = "100000000001"

// World is the organisation and everything that is wrong in it.
type World struct {
	Org awstest.Org
	// At is when everything was seen last.
	At time.Time
	// Problems are all that is wrong, each once: one finding each in docket.
	Problems []Problem
}

// Problem is one thing that is wrong, whoever reports it.
type Problem struct {
	Kind    Kind
	Account string
	Region  string // empty: of the account as a whole
	// Name is the resource's own name: an instance's id, a snapshot's or user's name; empty: the account.
	Name string
}

// Kind is a sort of problem, with the services that report it.
type Kind string

// The kinds, each with who reports it.
const (
	RootMFA    Kind = "root user without MFA"         // Security Hub in every region; Trusted Advisor
	OldKey     Kind = "access key older than 90 days" // Security Hub in every region; Trusted Advisor
	Snapshot   Kind = "public database snapshot"      // Security Hub, Trusted Advisor, EventBridge
	OpenSSH    Kind = "SSH open to the world"         // Security Hub, EventBridge
	Mining     Kind = "an instance mines"             // GuardDuty, Security Hub, EventBridge
	SharedRole Kind = "role open to another account"  // EventBridge alone (IAM Access Analyzer)
	Volume     Kind = "unencrypted volume"            // Security Hub alone
)

// Services that report.
const (
	SecurityHub    = "securityhub"
	GuardDuty      = "guardduty"
	TrustedAdvisor = "trustedadvisor"
	EventBridge    = "eventbridge"
)

// Seen lists the services that report a kind.
func (k Kind) Seen() []string {
	switch k {
	case RootMFA, OldKey:
		return []string{SecurityHub, TrustedAdvisor}
	case Snapshot:
		return []string{SecurityHub, TrustedAdvisor, EventBridge}
	case OpenSSH:
		return []string{SecurityHub, EventBridge}
	case Mining:
		return []string{GuardDuty, SecurityHub, EventBridge}
	case SharedRole:
		return []string{EventBridge}
	default:
		return []string{SecurityHub}
	}
}

// New makes the organisation; at is when everything was seen last.
func New(at time.Time) *World {
	w := &World{At: at.UTC().Truncate(time.Second), Org: organisation()}
	for _, a := range w.Org.Accounts {
		add := func(k Kind, region, name string) {
			w.Problems = append(w.Problems, Problem{Kind: k, Account: a.ID, Region: region, Name: name})
		}
		add(RootMFA, "", "")
		add(OldKey, "", "deploy-"+a.Name)
		for _, region := range w.Org.Regions {
			add(Snapshot, region, "before-migration-"+a.Name)
			add(OpenSSH, region, "sg-"+hexOf(17, a.ID, region))
			add(Mining, region, "i-"+hexOf(17, a.ID, region))
			add(SharedRole, region, "partner-"+region)
			add(Volume, region, "vol-"+hexOf(17, a.ID, region))
		}
	}
	return w
}

func organisation() awstest.Org {
	org := awstest.Org{Home: Home, Regions: []string{"eu-west-1", "eu-central-1", "us-east-1"}}
	for i, a := range []struct {
		name, ou, team, env string
	}{
		{"management", "", "security", "prod"}, {"audit", "security", "security", "prod"},
		{"payments-prod", "prod/payments", "payments", "prod"}, {"payments-test", "test/payments", "payments", "test"},
		{"shop-prod", "prod/shop", "shop", "prod"}, {"shop-test", "test/shop", "shop", "test"},
		{"data-prod", "prod/data", "data", "prod"}, {"data-test", "test/data", "data", "test"},
		{"network", "platform", "platform", "prod"}, {"sandbox", "sandbox", "platform", "test"},
	} {
		account := awstest.Account{ID: fmt.Sprintf("1000000000%02d", i+1), Name: a.name, Tags: map[string]string{"team": a.team, "env": a.env}}
		if a.ou != "" {
			account.OU = strings.Split(a.ou, "/")
		}
		org.Accounts = append(org.Accounts, account)
	}
	return org
}

// hexOf is n hex digits (at most 32) that are always the same for the same words.
func hexOf(n int, words ...string) string {
	h := fnv.New128a()
	_, _ = h.Write([]byte(strings.Join(words, "\x00"))) // a hash takes everything
	return fmt.Sprintf("%032x", h.Sum(nil))[:n]
}

func uuid(words ...string) string {
	h := hexOf(32, words...)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-8" + h[17:20] + "-" + h[20:]
}

// stampLayout is how the services write an instant, in UTC.
const stampLayout = "2006-01-02T15:04:05.000Z"

func (w *World) stamp() string { return w.At.Format(stampLayout) }

// object is a JSON object in the making.
type object = map[string]any

func raw(o object) json.RawMessage {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // maps of strings and numbers alone
	}
	return b
}

// in are the problems of an account that show in a region; those of the whole account show in every one.
func (w *World) in(account, region string, service string) []Problem {
	var out []Problem
	for _, p := range w.Problems {
		if p.Account == account && (p.Region == region || p.Region == "") && slices.Contains(p.Kind.Seen(), service) {
			out = append(out, p)
		}
	}
	return out
}
