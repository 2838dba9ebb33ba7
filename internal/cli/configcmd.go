package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/internal/api"
)

func (p *program) configCommand() *cobra.Command {
	return group("config", "Check and show the configuration",
		"The configuration is one YAML file or a folder of them.\n\n  docket config check\n  docket config show",
		p.configCheck(), p.configShow())
}

func (p *program) configCheck() *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Name everything that is wrong with the configuration",
		Long: `Check does what a start does, short of connecting, and names every error with its place in
the file. It also names sources and sinks that are known from earlier runs and that
the file lost.

  docket config check --config docket.yaml`,
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := p.readConfig()
			if cfg != nil {
				err = errors.Join(p.warn(cfg), err)
			}
			if err != nil {
				return err
			}
			if err := p.lost(c, cfg); err != nil {
				return err
			}
			path, _ := p.path()
			_, err = fmt.Fprintf(p.out, "%s is right: %s, %s, %s\n", clean(path),
				count(len(cfg.Sources), "source"), count(len(cfg.Sinks), "sink"), count(len(cfg.Teams), "team"))
			return err
		},
	}
}

// lost warns of sources and sinks that state knows and the configuration does not.
// State that cannot be read now hides them and makes no configuration wrong.
func (p *program) lost(c *cobra.Command, cfg *config.Config) error {
	if _, err := os.Stat(cfg.Path(cfg.DataDir)); err != nil {
		return nil
	}
	o, err := p.runOptions(c, slog.LevelWarn)
	if err != nil {
		return err
	}
	svc := p.offline(cfg, o)
	ctx := c.Context()
	sources, err := svc.Sources(ctx)
	if errors.Is(err, api.ErrNotFound) {
		return nil // nothing was run yet
	}
	if err != nil {
		return p.notLooked(err)
	}
	known := renamed(cfg)
	for _, s := range sources {
		if s.Lost && !slices.Contains(known, s.Name) {
			fmt.Fprintf(p.err, "warning: source %s is known from earlier runs and the file lost it: give its successor `formerly: [%s]`, or keep it with `retired: true`\n", clean(s.Name), clean(s.Name))
		}
	}
	open, err := openTickets(ctx, svc)
	if err != nil {
		return p.notLooked(err)
	}
	for _, s := range cfg.Sinks {
		known = append(known, s.Name)
	}
	for _, name := range sortedKeys(open) {
		if !slices.Contains(known, name) {
			fmt.Fprintf(p.err, "warning: sink %s holds %s and the file lost it: give its successor `formerly: [%s]`, or keep it with `retired: true`\n", clean(name), count(open[name], "open ticket"), clean(name))
		}
	}
	return nil
}

func (p *program) notLooked(err error) error {
	_, err = fmt.Fprintf(p.err, "warning: what the file may have lost was not looked at: %s\n", clean(err.Error()))
	return err
}

// renamed are the names that a configuration gives account of besides those of its sinks.
func renamed(cfg *config.Config) []string {
	var out []string
	for _, s := range cfg.Sources {
		out = append(append(out, s.Name), s.Formerly...)
	}
	for _, s := range cfg.Sinks {
		out = append(out, s.Formerly...)
	}
	return out
}

// openTickets counts open tickets by sink.
func openTickets(ctx context.Context, svc api.Service) (map[string]int, error) {
	out := map[string]int{}
	f := filter{all: true}
	list, err := f.cases(ctx, svc)
	for i := range list.Cases {
		for _, t := range list.Cases[i].Tickets {
			if t.State == "open" {
				out[t.Sink]++
			}
		}
	}
	return out, err
}

func (p *program) configShow() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Print the effective configuration, defaults included",
		Long: "Show prints what docket goes by. A secret is shown as its reference.\n\n  docket config show --config docket.yaml",
		Args: arguments(0, 0, ""),
		RunE: func(_ *cobra.Command, _ []string) error {
			cfg, err := p.config()
			if err != nil {
				return err
			}
			return cfg.Show(p.out)
		},
	}
}

func (p *program) initCommand() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use: "init", Short: "Write a commented starter configuration",
		Long: `Init writes a configuration that reads exports from ./findings and makes one Markdown file a
ticket in ./tickets. It writes where --config says, docket.yaml by itself.

  docket init`,
		Args: arguments(0, 0, ""),
		RunE: func(_ *cobra.Command, _ []string) error {
			path, _ := p.path()
			if err := writeNew(path, config.Starter(), force); err != nil {
				return err
			}
			flag := ""
			if path != defaultConfig {
				flag = " --config " + path
			}
			_, err := fmt.Fprintf(p.out, "wrote %s\nPut exports into %s, then: docket plan%s\n", clean(path), filepath.Join(filepath.Dir(path), "findings"), clean(flag))
			return err
		},
	}
	c.Flags().BoolVar(&force, "force", false, "replace a file that is there")
	return c
}

// writeNew writes a file that is not there yet, or with force any.
func writeNew(path string, data []byte, force bool) error {
	how := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		how = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(path, how, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: --force replaces it, --config names another", path)
	}
	if err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
