package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docket-hub/docket/internal/awsx/awstest"
)

// Lab is a World behind stand-ins of all its services. Its methods may be called at the same time.
type Lab struct {
	World  *World
	Server *awstest.Server
	Hub    *awstest.SecurityHub // all accounts' findings come together in Home's, all regions' in Region
	Duty   *awstest.GuardDuty   // each account has its own
	Trust  *awstest.Advisor     // behind both of its APIs

	mu    sync.Mutex
	fixed []Problem
}

// Region is where the organisation's Security Hub comes together.
const Region = "eu-west-1"

// Start starts the stand-ins and fills them. Listen is as in awstest.Options.
func Start(w *World, listen string) (*Lab, error) {
	s, err := awstest.New(awstest.Options{Org: w.Org, Listen: listen})
	if err != nil {
		return nil, err
	}
	l := &Lab{World: w, Server: s, Hub: awstest.NewSecurityHub(time.Now), Duty: awstest.NewGuardDuty(), Trust: awstest.NewAdvisor(nil, Checks()...)}
	s.Handle("securityhub", l.Hub.Handler())
	s.Handle("guardduty", l.Duty.Handler())
	s.Handle("support", l.Trust.Support())
	s.Handle("trustedadvisor", l.Trust.TrustedAdvisor())
	if err := l.fill(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return l, nil
}

// Close ends the server.
func (l *Lab) Close() error { return l.Server.Close() }

// fill puts everything that is wrong into the services.
func (l *Lab) fill() error {
	org := l.World.Org
	var ids []string
	for _, a := range org.Accounts {
		ids = append(ids, a.ID)
		l.Hub.Enable(a.ID, org.Regions...)
		for check, result := range l.World.Advisor(a.ID) {
			l.Trust.Set(a.ID, check, result)
		}
		for _, region := range org.Regions {
			if err := l.Hub.Import(bytesOf(l.World.Hub(a.ID, region))...); err != nil {
				return fmt.Errorf("filling Security Hub of %s in %s: %w", a.ID, region, err)
			}
			for _, doc := range l.World.Duty(a.ID, region) {
				if err := l.Duty.Put(doc); err != nil {
					return fmt.Errorf("filling GuardDuty of %s in %s: %w", a.ID, region, err)
				}
			}
		}
	}
	others := slices.DeleteFunc(ids, func(id string) bool { return id == Home })
	l.Hub.Member(Home, others...)
	l.Hub.Link(Home, Region, slices.DeleteFunc(slices.Clone(org.Regions), func(r string) bool { return r == Region })...)
	return nil
}

func bytesOf(docs []json.RawMessage) [][]byte {
	out := make([][]byte, len(docs))
	for i, d := range docs {
		out[i] = d
	}
	return out
}

// Add puts n further findings into Security Hub of the home account and region.
func (l *Lab) Add(n int) error {
	return l.Hub.Import(bytesOf(l.World.Many(Home, Region, n))...)
}

// Reports is how many reports of problems the services hold.
func (l *Lab) Reports() int {
	n := len(l.World.Events())
	for _, a := range l.World.Org.Accounts {
		for _, result := range l.World.Advisor(a.ID) {
			for _, row := range result.Rows {
				if row.Status != "ok" {
					n++
				}
			}
		}
		for _, region := range l.World.Org.Regions {
			n += len(l.World.in(a.ID, region, SecurityHub)) + len(l.World.in(a.ID, region, GuardDuty))
		}
	}
	return n
}

// Off disables a region in every account, On enables all again.
func (l *Lab) Off(region string) {
	l.each(func(a *awstest.Account) {
		a.Regions = slices.DeleteFunc(slices.Clone(a.Regions), func(r string) bool { return r == region })
	})
}

// On enables every region in every account, and lets docket in everywhere.
func (l *Lab) On() {
	l.each(func(a *awstest.Account) { a.Regions, a.Denied = l.World.Org.Regions, false })
}

func (l *Lab) each(change func(*awstest.Account)) {
	for _, a := range l.World.Org.Accounts {
		l.Server.Change(a.ID, change)
	}
}

// Fix repairs the next problem wherever it is reported, and says which.
func (l *Lab) Fix() (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.World.Problems, func(p Problem) bool { return p.Kind == OpenSSH && !slices.Contains(l.fixed, p) })
	if i < 0 {
		return "nothing is left that can be fixed", nil
	}
	p := l.World.Problems[i]
	l.fixed = append(l.fixed, p)
	f := l.World.asff(p, p.Region)
	now := time.Now().UTC().Format(stampLayout)
	f["UpdatedAt"], f["LastObservedAt"] = now, now
	f["Compliance"] = object{"Status": "PASSED", "SecurityControlId": "EC2.13"}
	if err := l.Hub.Import(raw(f)); err != nil {
		return "", err
	}
	return fmt.Sprintf("fixed: %s, %s in account %s, %s", p.Kind, p.Name, p.Account, p.Region), nil
}

// Calls lists how often each service was asked.
func (l *Lab) Calls() string {
	var b strings.Builder
	for _, service := range []string{"sts", "organizations", "account", "securityhub", "guardduty", "support", "trustedadvisor", "sqs"} {
		if n := l.Server.Calls(awstest.Match{Service: service}); n > 0 {
			fmt.Fprintf(&b, "  %-16s %d\n", service, n)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Config is a docket.yaml for the lab: all sources, one ticket file a problem.
func (l *Lab) Config() string {
	return `# docket against the lab. Against the real AWS only ` + "`queue_url`" + ` changes, and where the tickets go.
data_dir: ./data

aws:
  organization: {role_name: docket-readonly}
  regions: all

sources:
  - {name: hub, type: securityhub, region: ` + Region + `}     # the organisation's Security Hub, every account and region of it
  - {name: threats, type: guardduty}                      # each account's own
  - {name: advisor, type: trustedadvisor}

sinks:
  - {name: disk, type: file, path: ./tickets}

teams:
  - {name: security}
  - {name: payments}
  - {name: shop}
  - {name: data}
  - {name: platform}

# The accounts of the organisation carry a tag that says whose they are.
route:
  team: security
  sinks: [disk]
  group_by: [account, region, resource, control]
  routes:
    - {match: {account_tag.team: [payments]}, team: payments}
    - {match: {account_tag.team: [shop]}, team: shop}
    - {match: {account_tag.team: [data]}, team: data}
    - {match: {account_tag.team: [platform]}, team: platform}

# The first run finds everything at once.
limits: {max_new_tickets_per_hour: 1000}
`
}
