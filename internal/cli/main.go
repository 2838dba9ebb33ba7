package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/internal/api"
)

// defaultConfig is the file that is read where nobody names one.
const defaultConfig = "docket.yaml"

// Main runs docket with the arguments behind the program's name and returns its
// exit status. getenv is asked for every environment variable, os.LookupEnv in the
// product. Colours, cut lines, progress and questions are for streams that are
// terminals only. Main takes SIGINT and SIGTERM while it runs: the first ends the
// work in good order, the second ends the process.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) (string, bool)) int {
	return run(args, newStreams(stdin, stdout, stderr, getenv), getenv, product())
}

// program is one call of docket.
type program struct {
	wiring
	streams
	getenv func(string) (string, bool)
	flags  globals
	loaded *config.Config // by config, once
}

// globals are the flags that every command has.
type globals struct {
	config    string
	logFormat string
	logLevel  string
	server    string
}

func run(args []string, st streams, getenv func(string) (string, bool), w wiring) int {
	p := &program{wiring: w, streams: st, getenv: getenv}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// After the first signal the next one has its usual effect: it ends the process.
	context.AfterFunc(ctx, stop)
	root := p.root()
	root.SetArgs(append([]string{}, args...)) // never nil, for which cobra reads the process's own
	root.SetIn(st.in)
	root.SetOut(st.out)
	root.SetErr(st.err)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil {
		p.complain(cmd, err)
	}
	return exitCode(err)
}

func (p *program) root() *cobra.Command {
	root := group("docket", "Turn security findings into the right ticket, once",
		`docket reads security findings, works out which are the same problem, how urgent it
is and whose, and makes one ticket of it.

Begin with a starter configuration, look at what would happen, and make it happen:

  docket init
  docket plan --out plan.json
  docket apply plan.json`)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.Version = thisBuild().Version
	root.SetVersionTemplate("docket {{.Version}}\n")
	f := root.PersistentFlags()
	f.StringVarP(&p.flags.config, "config", "c", "", "configuration file or folder (default docket.yaml, or $DOCKET_CONFIG)")
	f.StringVar(&p.flags.logFormat, "log-format", "text", "how to write the log: text or json")
	f.StringVar(&p.flags.logLevel, "log-level", "", "least level to log: debug, info, warn or error (default info for run, else warn)")
	f.StringVar(&p.flags.server, "server", "", "address of a running docket, http://host:port (its token in $DOCKET_TOKEN)")
	// Wrong log flags are wrong usage of every command, of those that log nothing too.
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error {
		_, err := p.logger(c, slog.LevelInfo)
		return err
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return misuse(c, "%s%s", err, flagSuggestion(c, err)) })
	root.AddCommand(
		p.runCommand(), p.planCommand(), p.applyCommand(), p.explainCommand(),
		p.findingsCommand(), p.casesCommand(), p.suppressCommand(),
		p.routesCommand(), p.rulesCommand(), p.sourcesCommand(), p.sinksCommand(), p.rejectsCommand(), p.deadLettersCommand(), p.brakeCommand(),
		p.drillCommand(), p.reconcileCommand(), p.adoptCommand(), p.stateCommand(),
		p.configCommand(), p.initCommand(), p.completionCommand(), p.versionCommand(),
	)
	p.completeAll(root)
	return root
}

// group is a command that only holds others. Called by itself or with a word
// that it does not know it is wrong usage.
func group(use, short, long string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Long: long, Args: cobra.ArbitraryArgs}
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			names := make([]string, 0, len(c.Commands()))
			for _, child := range c.Commands() {
				if child.IsAvailableCommand() {
					names = append(names, child.Name())
				}
			}
			return misuse(c, "%s needs a command: %s", c.CommandPath(), strings.Join(names, ", "))
		}
		return misuse(c, "unknown command %q for %q%s", args[0], c.CommandPath(), didYouMean(c.SuggestionsFor(args[0])))
	}
	c.SuggestionsMinimumDistance = 2
	c.AddCommand(children...)
	return c
}

func didYouMean(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return ", did you mean " + strings.Join(words, " or ") + "?"
}

// usageError is a call that cannot be carried out as it was written.
type usageError struct {
	command string
	text    string
}

func (e *usageError) Error() string { return e.text }

// misuse is wrong usage of a command.
func misuse(c *cobra.Command, format string, args ...any) error {
	return &usageError{c.CommandPath(), fmt.Sprintf(format, args...)}
}

// arguments checks how many there are; most < 0 allows any number.
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return misuse(c, "%s needs %s", c.CommandPath(), what)
		case most >= 0 && len(args) > most:
			return misuse(c, "%s takes no %q: %s", c.CommandPath(), args[most], usageLine(c))
		}
		return nil
	}
}

func usageLine(c *cobra.Command) string { return "usage: " + c.UseLine() }

// complain writes an error to standard error, with what to do next.
func (p *program) complain(c *cobra.Command, err error) {
	var quiet *quietError
	var many config.Errors
	var usage *usageError
	switch {
	case errors.As(err, &quiet):
	case errors.As(err, &many):
		// What cannot be written to standard error has nowhere else to go.
		_ = many.Render(safeWriter{p.err})
		fmt.Fprintf(p.err, "docket: %s in the configuration\n", count(len(many), "error"))
	case errors.As(err, &usage):
		fmt.Fprintf(p.err, "docket: %s\nRun '%s --help' for how to use it.\n", cleanLines(usage.text), usage.command)
	case errors.Is(err, context.Canceled):
		fmt.Fprintf(p.err, "docket: %s was interrupted; what was taken in is kept, run it again to go on\n", c.CommandPath())
	default:
		fmt.Fprintf(p.err, "docket: %s\n", cleanLines(plainText(err)))
	}
}

// plainText is an error's text without the word of its kind in front, which tells a person nothing more.
func plainText(err error) string {
	text := err.Error()
	for _, kind := range []error{api.ErrNotFound, api.ErrRefused, api.ErrInvalid} {
		text = strings.TrimPrefix(text, kind.Error()+": ")
	}
	return text
}

// path is the configuration's path, and whether somebody named it.
func (p *program) path() (path string, named bool) {
	if p.flags.config != "" {
		return p.flags.config, true
	}
	if word, ok := p.getenv("DOCKET_CONFIG"); ok && word != "" {
		return word, true
	}
	return defaultConfig, false
}

// configError is a configuration that cannot be read at all.
type configError struct{ error }

func (e *configError) Unwrap() error { return e.error }

// readConfig loads the configuration. With an error of its content it may come
// with what could be read of it.
func (p *program) readConfig() (*config.Config, error) { return p.readConfigBy(p.load) }

func (p *program) readConfigBy(load func(string, func(string) (string, bool)) (*config.Config, error)) (*config.Config, error) {
	path, named := p.path()
	cfg, err := load(path, p.getenv)
	var content config.Errors
	switch {
	case err == nil || errors.As(err, &content):
		return cfg, err
	case errors.Is(err, fs.ErrNotExist) && !named:
		return nil, &configError{fmt.Errorf("there is no %s here: `docket init` writes one to start with, --config names another", path)}
	case errors.Is(err, fs.ErrNotExist):
		return nil, &configError{fmt.Errorf("%w: name a file or folder that is there, or write one with `docket init --config %s`", err, path)}
	}
	return nil, &configError{err}
}

// config is the configuration, loaded once.
func (p *program) config() (*config.Config, error) {
	if p.loaded != nil {
		return p.loaded, nil
	}
	cfg, err := p.readConfig()
	if err != nil {
		return nil, err
	}
	p.loaded = cfg
	return cfg, nil
}

// location is the configuration's time zone: UTC where a server is named and no configuration is here.
func (p *program) location() (*time.Location, error) {
	cfg, err := p.readConfigBy(p.blind)
	if err != nil {
		cfg, err = p.config() // for all that is wrong
	}
	var missing *configError
	switch {
	case err == nil:
		return cfg.Location(), nil
	case p.flags.server != "" && errors.As(err, &missing):
		return time.UTC, nil
	}
	return nil, err
}

// logger writes to standard error. level is what is logged where nobody says.
func (p *program) logger(c *cobra.Command, level slog.Level) (*slog.Logger, error) {
	if word := p.flags.logLevel; word != "" {
		if err := level.UnmarshalText([]byte(word)); err != nil {
			return nil, misuse(c, "--log-level %s: use debug, info, warn or error", word)
		}
	}
	o := &slog.HandlerOptions{Level: level}
	switch p.flags.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(p.err, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(p.err, o)), nil
	}
	return nil, misuse(c, "--log-format %s: use text or json", p.flags.logFormat)
}
