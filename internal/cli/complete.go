package cli

import (
	"cmp"
	"context"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/app"
)

const (
	// completeWithin is how long docket or the state may take to answer when somebody presses the tab key; what
	// is not known by then is not offered.
	completeWithin = 300 * time.Millisecond
	// completeMost is how many words are offered at most.
	completeMost = 200
	// completeRunes is how long what is said of a word may be, in characters.
	completeRunes = 60
)

// A finder gives words that may stand somewhere. Those that do not begin with prefix
// are left out behind it; it may use prefix to look for less.
type finder func(ctx context.Context, p *program, prefix string) ([]cobra.Completion, error)

// completeAll says for each command and flag what the shell may offer. Commands and
// flags that are not named here take files, or nothing where they take no arguments.
func (p *program) completeAll(c *cobra.Command) {
	if find := argumentsOf(c); find != nil {
		c.ValidArgsFunction = p.completer(find, false)
	} else if c.HasSubCommands() || c.Args != nil && c.Args(c, []string{"x"}) != nil {
		c.ValidArgsFunction = cobra.NoFileCompletions
	}
	for name, find := range flagsOf(c) {
		flag := cmp.Or(c.Flags().Lookup(name), c.PersistentFlags().Lookup(name))
		if flag != nil {
			// It fails only for a flag that is not there, or that was given twice.
			_ = c.RegisterFlagCompletionFunc(name, p.completer(find, flag.Value.Type() == "stringSlice"))
		}
	}
	for _, child := range c.Commands() {
		p.completeAll(child)
	}
}

// argumentsOf is what the arguments of a command name; nil for none and for files.
func argumentsOf(c *cobra.Command) finder {
	switch path := strings.TrimPrefix(c.CommandPath(), "docket "); path {
	case "cases ack", "cases unack", "cases snooze", "cases assign", "cases close", "cases comment", "cases move", "cases ticket":
		return cases("open")
	case "cases reopen":
		return cases("closed")
	case "cases show", "explain", "sinks preview":
		return cases()
	case "deadletters show", "deadletters retry", "deadletters drop", "deadletters resolve":
		return deadLetters
	case "sources run", "sources reset":
		return sourceNames
	case "sinks test":
		return sinkNames
	case "suppress remove":
		return suppressionNames
	}
	return nil
}

// flagsOf are the flags of a command whose values are known. Where a flag of that name is not the
// command's own, nothing comes of it.
func flagsOf(c *cobra.Command) map[string]finder {
	flags := map[string]finder{
		"team": teamNames, "sink": sinkNames, "risk-factor": factorNames, "case": cases("open"),
		"priority": words("P1", "P2", "P3", "P4", "P5"),
		"severity": words("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNKNOWN"),
		"output":   words("table", "json"),
		"from":     words("docket", "jiralert", "alertmanager", "aws-securityhub-jira"),
	}
	if c.HasParent() {
		switch c.Parent().Name() {
		case "findings":
			flags["state"] = words(findingStates()...)
		case "cases":
			flags["state"] = words(caseStates()...)
		}
	} else {
		flags["log-format"], flags["log-level"] = words("text", "json"), words("debug", "info", "warn", "error")
		flags["server"] = nothing
	}
	for _, free := range []string{"as", "message", "for", "until", "to", "since", "account", "region", "source", "repository", "cursor", "limit",
		"name", "when", "reason", "finding", "ticket", "wait", "min-coverage"} {
		flags[free] = nothing
	}
	return flags
}

// The states that a filter knows.
func findingStates() []string {
	return []string{"open", "resolved", "unproven", "suppressed", "unwatched"}
}

func caseStates() []string {
	return []string{"open", "closed", "held", "waiting", "disputed", "recurring", "acked", "digest", "dead", "parked", "gone"}
}

// completer asks find. Whatever goes wrong, nothing is offered and nothing said: it would stand in the middle of
// what somebody types. With many set the word is a list with commas, of which the last is completed.
func (p *program) completer(find finder, many bool) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		ctx := c.Context()
		if ctx == nil {
			ctx = context.Background()
		}
		quiet := *p
		quiet.out, quiet.err, quiet.flags.logLevel = io.Discard, io.Discard, "error"
		before, prefix := "", typed
		if at := strings.LastIndexByte(typed, ','); many && at >= 0 {
			before, prefix = typed[:at+1], typed[at+1:]
		}
		var out []cobra.Completion
		if words, err := find(ctx, &quiet, prefix); err == nil {
			out = offered(words, before, prefix, args)
		}
		return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// offered are the words that begin with prefix and do not stand there already.
func offered(words []cobra.Completion, before, prefix string, args []string) []cobra.Completion {
	var out []cobra.Completion
	for _, w := range words {
		word, about, _ := strings.Cut(w, "\t")
		if !strings.HasPrefix(word, prefix) || slices.Contains(args, word) || slices.Contains(strings.Split(before, ","), word) {
			continue
		}
		if len(out) == completeMost {
			break
		}
		if before+word == "" || strings.ContainsFunc(word, unicode.IsControl) {
			continue
		}
		out = append(out, cobra.CompletionWithDesc(before+word, cut(clean(about), completeRunes)))
	}
	return out
}

func nothing(context.Context, *program, string) ([]cobra.Completion, error) { return nil, nil }

func words(list ...string) finder {
	return func(context.Context, *program, string) ([]cobra.Completion, error) { return list, nil }
}

// names reads the configuration, also one that somebody is in the middle of writing, and without its secrets.
func names(p *program, of func(*config.Config) []cobra.Completion) ([]cobra.Completion, error) {
	cfg, err := p.readConfigBy(p.blind)
	if cfg == nil {
		return nil, err
	}
	return of(cfg), nil
}

func teamNames(_ context.Context, p *program, _ string) ([]cobra.Completion, error) {
	return names(p, func(cfg *config.Config) (out []cobra.Completion) {
		for _, t := range cfg.Teams {
			out = append(out, t.Name)
		}
		return out
	})
}

func factorNames(_ context.Context, p *program, _ string) ([]cobra.Completion, error) {
	return names(p, app.FactorNames)
}

func sourceNames(ctx context.Context, p *program, _ string) ([]cobra.Completion, error) {
	return connected(ctx, p, api.Service.Sources, func(r *api.SourceRow) entry { return entry{r.Name, r.Type, false} },
		func(cfg *config.Config) []entry {
			return each(cfg.Sources, func(s *config.Source) entry { return entry{s.Name, s.Type, s.Retired} })
		})
}

func sinkNames(ctx context.Context, p *program, _ string) ([]cobra.Completion, error) {
	return connected(ctx, p, api.Service.Sinks, func(r *api.SinkRow) entry { return entry{r.Name, r.Type, false} },
		func(cfg *config.Config) []entry {
			return each(cfg.Sinks, func(s *config.Sink) entry { return entry{s.Name, s.Type, s.Retired} })
		})
}

// entry is a source or a sink.
type entry struct {
	name, kind string
	retired    bool // it is not offered
}

func each[T any](list []T, of func(*T) entry) []entry {
	out := make([]entry, len(list))
	for i := range list {
		out[i] = of(&list[i])
	}
	return out
}

// connected finds the sources or sinks of the server that the command line names, else those of the configuration.
func connected[R any](ctx context.Context, p *program, ask func(api.Service, context.Context) ([]R, error), of func(*R) entry,
	configured func(*config.Config) []entry) ([]cobra.Completion, error) {
	offer := func(list []entry) (out []cobra.Completion) {
		for _, e := range list {
			if !e.retired {
				out = append(out, cobra.CompletionWithDesc(e.name, e.kind))
			}
		}
		return out
	}
	if p.flags.server == "" {
		return names(p, func(cfg *config.Config) []cobra.Completion { return offer(configured(cfg)) })
	}
	return fromService(ctx, p, func(ctx context.Context, svc api.Service) ([]cobra.Completion, error) {
		rows, err := ask(svc, ctx)
		return offer(each(rows, of)), err
	})
}

// fromService asks what commands ask, a daemon where one runs, else the state, for as long as a press of a key may take. What
// is under way then ends with the program: it only reads.
func fromService(ctx context.Context, p *program, of func(context.Context, api.Service) ([]cobra.Completion, error)) ([]cobra.Completion, error) {
	limit := p.patience
	if limit <= 0 {
		limit = completeWithin
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	type answer struct {
		words []cobra.Completion
		err   error
	}
	found := make(chan answer, 1)
	go func() {
		asking := &cobra.Command{}
		asking.SetContext(ctx)
		svc, err := p.service(ctx, asking)
		if err != nil {
			found <- answer{err: err}
			return
		}
		words, err := of(ctx, svc)
		found <- answer{words, err}
	}()
	select {
	case a := <-found:
		return a.words, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func suppressionNames(ctx context.Context, p *program, _ string) ([]cobra.Completion, error) {
	return fromService(ctx, p, func(ctx context.Context, svc api.Service) (out []cobra.Completion, err error) {
		rows, err := svc.Suppressions(ctx)
		for _, r := range rows {
			if r.Ended.IsZero() {
				out = append(out, cobra.CompletionWithDesc(r.Name, r.Reason))
			}
		}
		return out, err
	})
}

func deadLetters(ctx context.Context, p *program, _ string) ([]cobra.Completion, error) {
	return fromService(ctx, p, func(ctx context.Context, svc api.Service) (out []cobra.Completion, err error) {
		rows, err := svc.DeadLetters(ctx, api.DeadLetterFilter{})
		for _, r := range rows {
			out = append(out, cobra.CompletionWithDesc(r.Case, r.Sink+": "+r.Reason))
		}
		return slices.CompactFunc(out, func(a, b string) bool {
			x, _, _ := strings.Cut(a, "\t")
			y, _, _ := strings.Cut(b, "\t")
			return x == y
		}), err
	})
}

// cases finds cases by their id, the newest first; with states, only those in one of them.
func cases(states ...string) finder {
	return func(ctx context.Context, p *program, prefix string) ([]cobra.Completion, error) {
		return fromService(ctx, p, func(ctx context.Context, svc api.Service) (out []cobra.Completion, err error) {
			f := filter{all: true}
			f.State = states
			_, err = f.pages(func(ask api.Filter) (int, string, error) {
				got, err := svc.Cases(ctx, ask)
				for i := range got.Cases {
					if r := &got.Cases[i]; strings.HasPrefix(r.Case, prefix) {
						out = append(out, cobra.CompletionWithDesc(r.Case, r.Priority.String()+" "+r.Team+": "+r.Title))
					}
				}
				return len(got.Cases), got.Next, err
			})
			slices.Reverse(out)
			return out, err
		})
	}
}

// completionCommand writes the shells' scripts.
func (p *program) completionCommand() *cobra.Command {
	script := func(shell, how string, write func(root *cobra.Command) error) *cobra.Command {
		return &cobra.Command{
			Use: shell, Short: "Print the completion script of " + shell,
			Long: "Completion " + shell + " prints what makes " + shell + " complete docket's commands, flags and names.\n\n" + how,
			Args: arguments(0, 0, ""),
			RunE: func(c *cobra.Command, _ []string) error { return write(c.Root()) },
		}
	}
	return group("completion", "Print what makes a shell complete commands and names",
		`Completion prints a script for a shell. With it the tab key completes commands, flags and
names: sources, sinks, teams and risk factors of the configuration, open cases, dead letters and exceptions of
the running docket or, where none runs, of the state. What either does not answer within 0.3 seconds is not offered.

  docket completion bash > docket.bash && source docket.bash`,
		script("bash", `  source <(docket completion bash)                                    # now
  docket completion bash > /etc/bash_completion.d/docket              # always; needs the package bash-completion`,
			func(root *cobra.Command) error { return root.GenBashCompletionV2(p.out, true) }),
		script("zsh", `  source <(docket completion zsh)                                     # now
  docket completion zsh > "${fpath[1]}/_docket"                       # always`,
			func(root *cobra.Command) error { return root.GenZshCompletion(p.out) }),
		script("fish", `  docket completion fish | source                                     # now
  docket completion fish > ~/.config/fish/completions/docket.fish     # always`,
			func(root *cobra.Command) error { return root.GenFishCompletion(p.out, true) }),
		script("powershell", `  docket completion powershell | Out-String | Invoke-Expression       # now; in $PROFILE always`,
			func(root *cobra.Command) error { return root.GenPowerShellCompletionWithDesc(p.out) }))
}
