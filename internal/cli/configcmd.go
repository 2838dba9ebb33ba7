package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/config"
)

func (p *program) configCommand() *cobra.Command {
	return group("config", "Check and show the configuration",
		"The configuration is one YAML file or a folder of them.\n\n  docket config check\n  docket config show",
		p.configCheck(), p.configShow(), p.configSchema())
}

func (p *program) configCheck() *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Name everything that is wrong with the configuration",
		Long: `Check does what a start does, short of connecting, and names every error with its place in
the file. It also names sources and sinks that are known from earlier runs and that
the file lost.

  docket config check --config docket.yaml`,
		Args: arguments(0, 0, ""),
		RunE: func(_ *cobra.Command, _ []string) error {
			cfg, err := p.readConfig()
			if cfg != nil {
				err = errors.Join(p.warn(cfg), err)
			}
			if err != nil {
				return err
			}
			if err := p.tellLost(cfg); err != nil {
				return err
			}
			path, _ := p.path()
			_, err = fmt.Fprintf(p.out, "%s is right: %s, %s, %s\n", clean(path),
				count(len(cfg.Sources), "source"), count(len(cfg.Sinks), "sink"), count(len(cfg.Teams), "team"))
			return err
		},
	}
}

// tellLost warns of sources and sinks that state knows and the configuration does
// not. State that cannot be read now hides them and makes no configuration wrong.
func (p *program) tellLost(cfg *config.Config) error {
	lines, err := p.lost(cfg)
	if err != nil {
		lines = append(lines, "what the file may have lost was not looked at: "+err.Error())
	}
	for _, line := range lines {
		if _, err := fmt.Fprintf(p.err, "warning: %s\n", clean(line)); err != nil {
			return err
		}
	}
	return nil
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

func (p *program) configSchema() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of the configuration, for editors",
		Long: `Schema prints what editors complete and check a configuration by. Write it to a file and name that in
the first line of the configuration, as docket init does:

  docket config schema > docket.schema.json
  # yaml-language-server: $schema=docket.schema.json

What refers to another place of the file is not in it: config check says the rest.`,
		Args: arguments(0, 0, ""),
		RunE: func(_ *cobra.Command, _ []string) error {
			text, err := p.schema()
			if err != nil {
				return err
			}
			_, err = p.out.Write(text)
			return err
		},
	}
}

// schemaFile is the schema that the starter's first line names.
const schemaFile = "docket.schema.json"

func (p *program) initCommand() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use: "init", Short: "Write a commented starter configuration",
		Long: `Init writes a configuration that reads exports from ./findings and makes one Markdown file a
ticket in ./tickets. It writes where --config says, docket.yaml by itself, and beside it
docket.schema.json, by which editors complete and check it: the first line names it.

  docket init`,
		Args: arguments(0, 0, ""),
		RunE: func(_ *cobra.Command, _ []string) error {
			path, _ := p.path()
			if err := writeNew(path, config.Starter(), force); err != nil {
				return err
			}
			schema, err := p.schema()
			if err != nil {
				return err
			}
			// It is what this docket makes of itself, so that one that is there already may be replaced.
			beside := filepath.Join(filepath.Dir(path), schemaFile)
			if err := writeNew(beside, schema, true); err != nil {
				return err
			}
			flag := ""
			if path != defaultConfig {
				flag = " --config " + path
			}
			_, err = fmt.Fprintf(p.out, "wrote %s\nwrote %s, by which editors complete and check it\nPut exports into %s, then: docket plan%s\n", clean(path), clean(beside), filepath.Join(filepath.Dir(path), "findings"), clean(flag))
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
