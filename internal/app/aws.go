package app

import (
	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/internal/awsx"
)

// fleetOf is the accounts and regions of a configuration. Making it asks nothing of AWS, so a configuration without
// AWS sources has one, too.
func fleetOf(cfg *config.Config, o Outside) (*awsx.Fleet, error) {
	s := awsx.Settings{Regions: cfg.AWS.Regions, ExternalID: cfg.AWS.ExternalID, SessionName: cfg.AWS.SessionName}
	if org := cfg.AWS.Organization; org != nil {
		s.Organization = &awsx.Organization{RoleName: org.RoleName, ManagementRole: org.ManagementRole, Exclude: org.Exclude}
	}
	for _, a := range cfg.AWS.Accounts {
		s.Accounts = append(s.Accounts, awsx.Account{ID: a.ID, RoleARN: a.RoleARN, ExternalID: a.ExternalID, Name: a.Name, Tags: a.Tags})
	}
	return awsx.New(s, awsx.Options{Log: o.Log.With("component", "aws"), Now: o.Now})
}
