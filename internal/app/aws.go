package app

import (
	"context"
	"fmt"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/config/secret"
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

// secretsWithin bounds the fetching of all secrets of one load.
const secretsWithin = 20 * time.Second

var errSecretsLate = fmt.Errorf("the secrets of AWS took longer than %s", secretsWithin)

// secretFetcher reads the secrets that AWS keeps for one load of a configuration, each as of now; done ends it. It asks AWS for nothing
// before the first of them.
func secretFetcher() (fetch func(secret.Ref) (string, error), done func(), err error) {
	s, err := awsx.NewSecrets(awsx.Options{})
	if err != nil {
		return nil, nil, err
	}
	// A load has no context of its own: it is bounded by this.
	ctx, cancel := context.WithTimeoutCause(context.Background(), secretsWithin, errSecretsLate)
	return func(r secret.Ref) (string, error) {
		if r.Form == secret.FormAWSSSM {
			return s.Parameter(ctx, r.Name)
		}
		return s.Secret(ctx, r.Name)
	}, cancel, nil
}
