package cli

import (
	"cmp"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version and commit are stamped by the linker:
// -ldflags "-X github.com/docket-hub/docket/internal/cli.version=v1.2.3 -X ….commit=abc1234".
var version, commit string

// build is what a binary was made of.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
}

// thisBuild is the stamped version and commit, else what the go command recorded.
func thisBuild() build {
	b := build{Version: version, Commit: commit}
	if info, ok := debug.ReadBuildInfo(); ok {
		b.Go = info.GoVersion
		b.Version = cmp.Or(b.Version, info.Main.Version)
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				b.Commit = cmp.Or(b.Commit, s.Value)
			}
		}
	}
	b.Version = cmp.Or(b.Version, "(devel)")
	return b
}

func (p *program) versionCommand() *cobra.Command {
	var o output
	c := &cobra.Command{
		Use: "version", Short: "Print the version, the commit and the Go release",
		Long: "Version prints what this binary was made of.\n\n  docket version",
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			b := thisBuild()
			return p.show(o, b, func(pg *page) {
				pg.line("docket %s", b.Version)
				if b.Commit != "" {
					pg.line("commit %s", b.Commit)
				}
				pg.line("%s", b.Go)
			})
		},
	}
	o.flag(c)
	return c
}
