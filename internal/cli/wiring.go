package cli

import (
	"context"
	"io"
	"os/user"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/app"
)

// wiring is what the commands stand on. Tests put their own parts in.
type wiring struct {
	load         func(path string, getenv func(string) (string, bool)) (*config.Config, error)
	blind        func(path string, getenv func(string) (string, bool)) (*config.Config, error) // load without a secret
	testRules    func(*config.Config, []config.RuleTest, time.Time) (api.RuleReport, error)
	daemon       func(context.Context, *config.Config, app.RunOptions) error
	once         func(context.Context, *config.Config, app.RunOptions, time.Duration, api.Progress) (api.Summary, error)
	adopt        func(context.Context, *config.Config, app.RunOptions, api.AdoptRequest, func(*api.Adoption) error, api.Progress) (api.Adoption, error)
	restore      func(context.Context, *config.Config, app.RunOptions, io.Reader, app.RestoreRequest, api.Progress) (api.Restore, error)
	compact      func(*config.Config) (api.Compaction, error)
	offline      func(*config.Config, app.RunOptions) api.Service
	schema       func() ([]byte, error)
	installation func(*config.Config) string
	warnings     func(*config.Config) config.Warnings
	lost         func(*config.Config) ([]string, error)
	client       func(baseURL, token string) client
	user         func() string // of the operating system; "" where it has no name
	clock        func() time.Time
	skew         time.Duration // moves the clock; zero in the product
	patience     time.Duration // how long completion looks for names; 0 is completeWithin
}

// client is a service behind HTTP.
type client interface {
	api.Service
	Ping(ctx context.Context) (installation string, err error)
}

func product() wiring {
	return wiring{
		load: app.Load, blind: app.LoadBlind, testRules: app.TestRules, daemon: app.Run, once: app.RunOnce, adopt: app.Adopt,
		restore: app.Restore, compact: app.Compact, offline: app.Offline, schema: app.Schema, installation: app.InstallationOf,
		warnings: app.Warnings, lost: app.Lost,
		client: func(baseURL, token string) client { return api.NewClient(baseURL, token) },
		user:   systemUser,
		clock:  time.Now,
	}
}

func systemUser() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}

// now is the time that docket goes by.
func (w *wiring) now() time.Time { return w.clock().UTC().Add(w.skew) }
