package trustedadvisor_test

import (
	"fmt"
	"testing"

	"github.com/docket-hub/docket/connectors/connectortest"
	"github.com/docket-hub/docket/connectors/trustedadvisor"
)

// TestContract runs the contract of sources over each API. Trusted Advisor's answers hold nothing that a source could not
// read: what is wrong with a row shows when it is decoded.
func TestContract(t *testing.T) {
	for _, api := range []string{trustedadvisor.APISupport, trustedadvisor.APITrustedAdvisor} {
		t.Run(api, func(t *testing.T) {
			connectortest.Source(t, func(t *testing.T) connectortest.SourceHarness {
				w := newWorld(t)
				w.fill()
				h := connectortest.SourceHarness{Poll: w.source(func(c *trustedadvisor.Config) { c.API, c.Refresh = api, false }).Poll}
				for _, account := range []string{home, payments, shop} {
					for check, rows := range map[string]int{portsCheck: 3, mfaCheck: 1, logsCheck: 0} {
						for i := range rows {
							h.Records = append(h.Records, fmt.Sprintf("trustedadvisor %s %s#%d", account, check, i))
						}
						h.Scopes = append(h.Scopes, "aws/trustedadvisor/"+account+"/"+check)
					}
				}
				return h
			})
		})
	}
}
