package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/app"
)

// How long a look whether a daemon runs may take: here, and where the user named one.
const (
	pingHere  = 300 * time.Millisecond
	pingNamed = 10 * time.Second
)

var errPing = errors.New("no answer in time")

// service is what commands ask: the server that --server names; else the daemon
// at server.listen when it runs on this very state; else the state itself.
func (p *program) service(ctx context.Context, c *cobra.Command) (api.Service, error) {
	token, _ := p.getenv("DOCKET_TOKEN")
	if at := p.flags.server; at != "" {
		cl := p.client(at, token)
		if _, err := ping(ctx, cl, pingNamed); err != nil {
			return nil, fmt.Errorf("--server %s: %w: check the address and that docket runs there", at, err)
		}
		return cl, nil
	}
	if svc, err := p.running(ctx, token); svc != nil || err != nil {
		return svc, err
	}
	cfg, err := p.config()
	if err != nil {
		return nil, err
	}
	o, err := p.runOptions(c, slog.LevelWarn)
	if err != nil {
		return nil, err
	}
	return p.offline(cfg, o), nil
}

// running is the daemon at server.listen, nil where none runs on this very state. The secrets of the
// configuration are the daemon's: who asks it needs a token and none of them.
func (p *program) running(ctx context.Context, token string) (api.Service, error) {
	cfg, err := p.readConfigBy(p.blind)
	if err != nil {
		return nil, nil // the caller says what is wrong with it
	}
	at := listenURL(cfg.Server.Listen)
	if at == "" {
		return nil, nil
	}
	cl := p.client(at, token)
	if id, err := ping(ctx, cl, pingHere); err != nil || id == "" || id != p.installation(cfg) {
		return nil, nil
	}
	if token == "" && len(cfg.Server.Auth.Tokens) > 0 {
		return nil, fmt.Errorf("docket runs at %s and asks for a token: set $DOCKET_TOKEN to one of server.auth.tokens", at)
	}
	return cl, nil
}

func ping(ctx context.Context, cl client, limit time.Duration) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errPing)
	defer cancel()
	return cl.Ping(ctx)
}

// listenURL is where a daemon that listens there is reached from this machine; "" where it cannot be told.
func listenURL(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || port == "" || port == "0" {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// ask runs fn over the service, and says what to do where another docket is in the way.
func (p *program) ask(c *cobra.Command, fn func(context.Context, api.Service) error) error {
	svc, err := p.service(c.Context(), c)
	if err != nil {
		return err
	}
	return held(fn(c.Context(), svc))
}

// held says what to do to somebody who only wanted to look and may not.
func held(err error) error {
	switch {
	case errors.Is(err, app.ErrRunning):
		return fmt.Errorf("%w and does not answer at server.listen: name its address with --server and its token in $DOCKET_TOKEN, or stop it", err)
	case errors.Is(err, api.ErrUnauthorized):
		return fmt.Errorf("%w: set $DOCKET_TOKEN to one of the daemon's server.auth.tokens", err)
	case errors.Is(err, api.ErrForbidden):
		return fmt.Errorf("%w: set $DOCKET_TOKEN to a token of that role", err)
	}
	return err
}

// runOptions are the options of a run from this command line.
func (p *program) runOptions(c *cobra.Command, level slog.Level) (app.RunOptions, error) {
	log, err := p.logger(c, level)
	if err != nil {
		return app.RunOptions{}, err
	}
	path, _ := p.path()
	return app.RunOptions{
		Load:    func() (*config.Config, error) { return p.load(path, p.getenv) },
		Log:     log,
		Stdin:   p.in,
		Skew:    p.skew,
		Version: thisBuild().Version,
	}, nil
}

// stopFirst explains ErrRunning to somebody who wants to do what a daemon must not do meanwhile.
func stopFirst(err error) error {
	if errors.Is(err, app.ErrRunning) {
		return fmt.Errorf("%w: stop it first", err)
	}
	return err
}

// busy explains ErrRunning to somebody who wanted to run what the other docket does already.
func busy(err error) error {
	if errors.Is(err, app.ErrRunning) {
		return fmt.Errorf("%w: it polls the sources by itself; `docket sources run NAME` makes it look now, or stop it first", err)
	}
	return err
}
