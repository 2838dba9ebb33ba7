package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/config/secret"
	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/pipeline"
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
	log := o.Log.With("component", "aws")
	opts := awsx.Options{Log: log, Now: o.Now}
	if s.Organization != nil {
		path := filepath.Join(DataDir(cfg), accountsFile)
		opts.Known = readAccounts(path, log)
		if o.Holds {
			opts.Keep = func(known map[string]pipeline.Account) {
				if err := writeAccounts(path, known); err != nil {
					log.Warn("what is known of the accounts could not be kept: after a restart findings lack names and tags until the organisation was read", "err", err)
				}
			}
		}
	}
	return awsx.New(s, opts)
}

// accountsFile keeps names, units and tags of an organisation's accounts between runs: a finding that is pushed
// before they were read again must not lose its account's tags, and with them its team.
const accountsFile = "accounts.json"

// readAccounts is what was kept; nil where nothing was, or nothing that can be read.
func readAccounts(path string, log *slog.Logger) map[string]pipeline.Account {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var known map[string]pipeline.Account
	if err == nil {
		err = json.Unmarshal(b, &known)
	}
	if err != nil {
		log.Warn("what was known of the accounts cannot be read; the organisation is read again", "err", err)
		return nil
	}
	return known
}

// writeAccounts replaces the file in one step.
func writeAccounts(path string, known map[string]pipeline.Account) error {
	b, err := json.Marshal(known)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+accountsFile+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
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
