package config

import (
	"time"

	"github.com/docket-hub/docket/config/secret"
	"github.com/docket-hub/docket/pipeline"
)

// The struct tags of this package, which the configuration of a connector may
// use too: yaml:"key" names the key (",omitempty" leaves a false out of Show, ",rest"
// takes what no other field takes, "-" hides a field), and rule holds words separated by spaces: required; zero (a
// duration may be 0, else it must be positive); single (one value may stand for a
// list of one); oneof=a|b; min=N; max=N; over=N.

// Config is everything that a user can write outside the blocks of sources and
// sinks. Load makes it; after that it is only read, by any number of goroutines.
type Config struct {
	NATS         *NATS         `yaml:"nats"` // nil: an embedded server under DataDir
	Installation string        `yaml:"installation"`
	DataDir      string        `yaml:"data_dir"` // as written; see Path
	Stream       Stream        `yaml:"stream"`
	Retention    Retention     `yaml:"retention"`
	Server       Server        `yaml:"server"`
	AWS          AWS           `yaml:"aws"`
	Sources      []Source      `yaml:"sources"`
	Risk         Risk          `yaml:"risk"`
	Teams        []Team        `yaml:"teams"`
	Admins       []string      `yaml:"admins"`
	Ack          Ack           `yaml:"ack"`
	Route        Route         `yaml:"route"`
	Sinks        []Sink        `yaml:"sinks"`
	Limits       Limits        `yaml:"limits"`
	Close        Close         `yaml:"close"`
	TimeZone     string        `yaml:"time_zone"`
	Approval     bool          `yaml:"suppressions_need_approval"`
	Suppressions []Suppression `yaml:"suppressions"`

	// Dir is the folder that relative paths start from.
	Dir string `yaml:"-"`

	doc  *document
	zone *time.Location
}

// NATS is an external JetStream.
type NATS struct {
	URL      string       `yaml:"url" rule:"required"` // one or several, separated by commas
	Creds    secret.Value `yaml:"creds"`               // the text of a .creds file
	Replicas int          `yaml:"replicas" rule:"min=1 max=5"`
}

// Stream is how much of what was read is kept.
type Stream struct {
	Keep     time.Duration `yaml:"keep"`
	MaxBytes Size          `yaml:"max_bytes" rule:"min=1"`
}

// Retention is how long closed things stay in state.
type Retention struct {
	Resolved time.Duration `yaml:"resolved"`
	Audit    time.Duration `yaml:"audit"`
}

// Server is the HTTP side.
type Server struct {
	Listen      string `yaml:"listen"`
	ExternalURL string `yaml:"external_url"` // without a slash at its end; "" where there is none
	Auth        Auth   `yaml:"auth"`
}

// Auth is who may use the HTTP side.
type Auth struct {
	Tokens []Token `yaml:"tokens"`
	OIDC   *OIDC   `yaml:"oidc"` // nil: no log-in by OpenID Connect
}

// Token is one named bearer token.
type Token struct {
	Name  string       `yaml:"name" rule:"required"`
	Role  string       `yaml:"role" rule:"required oneof=viewer|responder|ingest|admin"`
	Token secret.Value `yaml:"token" rule:"required"`
}

// OIDC is the log-in by OpenID Connect. Roles maps a role to the groups that have it.
type OIDC struct {
	Issuer       string              `yaml:"issuer" rule:"required"`
	ClientID     string              `yaml:"client_id" rule:"required"`
	ClientSecret secret.Value        `yaml:"client_secret"`
	Roles        map[string][]string `yaml:"roles"`
}

// AWS holds the defaults of every AWS source: the accounts of an organization or a list of accounts.
type AWS struct {
	Organization *Organization `yaml:"organization"`
	Accounts     []Account     `yaml:"accounts"`
	Regions      []string      `yaml:"regions" rule:"single"` // ["all"] for all
	ExternalID   string        `yaml:"external_id"`           // sent with every role that is taken
	SessionName  string        `yaml:"session_name"`          // of the sessions of those roles
}

// Organization finds the accounts by itself.
type Organization struct {
	RoleName       string   `yaml:"role_name" rule:"required"`
	ManagementRole string   `yaml:"management_role"`
	Exclude        []string `yaml:"exclude"`
}

// Account is one AWS account.
type Account struct {
	ID         string            `yaml:"id" rule:"required"`
	RoleARN    string            `yaml:"role_arn"`    // "": the account whose credentials docket has
	ExternalID string            `yaml:"external_id"` // "": that of aws
	Name       string            `yaml:"name"`
	Tags       map[string]string `yaml:"tags"`
}

// Source is the part of a source's entry that every type has. Zero durations
// leave the choice to the connector.
type Source struct {
	Name        string            `yaml:"name" rule:"required"`
	Type        string            `yaml:"type" rule:"required"`
	Interval    time.Duration     `yaml:"interval"`
	FullEvery   time.Duration     `yaml:"full_every"`
	MinSeverity pipeline.Severity `yaml:"min_severity"`
	Formerly    []string          `yaml:"formerly"`
	Retired     bool              `yaml:"retired,omitempty"`
	// WriteBack has the source's product told what became of its findings. Only for a type that can.
	WriteBack bool  `yaml:"write_back,omitempty"`
	Block     Block `yaml:",rest"`
}

// Sink is the part of a sink's entry that every type has.
type Sink struct {
	Name     string   `yaml:"name" rule:"required"`
	Type     string   `yaml:"type" rule:"required"`
	Formerly []string `yaml:"formerly"`
	Retired  bool     `yaml:"retired,omitempty"`
	// Concurrency is how many calls of the sink may run at a time; 0 for the default, see Calls.
	Concurrency int    `yaml:"concurrency" rule:"min=1 max=256"`
	Rate        *Rate  `yaml:"rate"` // nil: no bound
	Unsure      Unsure `yaml:"unsure"`
	// Poll is how often the tracker is asked what people changed; 0: as docket says. Only for a sink that can tell.
	Poll  time.Duration `yaml:"poll,omitempty"`
	Block Block         `yaml:",rest"`
}

// Rate bounds how often a sink is called.
type Rate struct {
	PerSecond float64 `yaml:"per_second" rule:"required over=0 max=10000"`
	Burst     int     `yaml:"burst" rule:"min=1"` // calls at once after a quiet time; 0: PerSecond rounded up
}

// Unsure says how a lost answer is searched for. Load enforces
// Grace >= Deadline + Pause + Late, Settle x Looks >= Grace + Lag and Lease > Deadline.
type Unsure struct {
	Deadline time.Duration `yaml:"deadline"` // of one call, from the check of the claim to giving up
	Pause    time.Duration `yaml:"pause" rule:"zero"`
	Late     time.Duration `yaml:"late" rule:"zero"`
	Grace    time.Duration `yaml:"grace"`
	Lag      time.Duration `yaml:"lag" rule:"zero"`
	Settle   time.Duration `yaml:"settle"`
	Looks    int           `yaml:"looks" rule:"min=1"`
	Lease    time.Duration `yaml:"lease"`
}

// Risk is how a finding gets its priority.
type Risk struct {
	Severity   map[pipeline.Severity]int `yaml:"severity"`
	Factors    []Factor                  `yaml:"factors"`
	Weights    map[string]int            `yaml:"weights"`
	Thresholds map[pipeline.Priority]int `yaml:"thresholds"` // the least score of P1 to P4
	Rules      []RiskRule                `yaml:"rules"`
	SLA        SLA                       `yaml:"sla"`
	Feeds      Feeds                     `yaml:"feeds"`
}

// Feeds are what is known of CVEs outside the sources. Each is nil where it is not configured.
type Feeds struct {
	KEV  *KEVFeed  `yaml:"kev"`
	EPSS *EPSSFeed `yaml:"epss"`
}

// KEVFeed is CISA's catalogue of known exploited vulnerabilities as a file or, fetched, from an address.
type KEVFeed struct {
	File     string        `yaml:"file"` // as written; see Path
	URL      string        `yaml:"url"`
	MaxAge   time.Duration `yaml:"max_age"`  // an older copy counts as stale, by the date in it
	Interval time.Duration `yaml:"interval"` // between two questions whether the address has a newer one
}

// EPSSFeed is the scores of FIRST's Exploit Prediction Scoring System, likewise.
type EPSSFeed struct {
	File     string        `yaml:"file"`
	URL      string        `yaml:"url"`
	MaxAge   time.Duration `yaml:"max_age"`
	Interval time.Duration `yaml:"interval"`
	Likely   float64       `yaml:"likely" rule:"over=0 max=1"` // the score from which a vulnerability is likely_exploited
}

// Factor is a risk factor of the user's own.
type Factor struct {
	Name   string `yaml:"name" rule:"required"`
	When   string `yaml:"when" rule:"required"` // CEL over finding
	Points int    `yaml:"points" rule:"required"`
}

// RiskRule decides a priority before the score does.
type RiskRule struct {
	When     string            `yaml:"when" rule:"required"` // CEL over finding
	Priority pipeline.Priority `yaml:"priority" rule:"required"`
}

// SLA is the time each priority has. Zero: no date for that priority.
type SLA struct {
	Start string        `yaml:"start" rule:"oneof=first_observed|first_seen|ticketed"`
	P1    time.Duration `yaml:"P1" rule:"zero"`
	P2    time.Duration `yaml:"P2" rule:"zero"`
	P3    time.Duration `yaml:"P3" rule:"zero"`
	P4    time.Duration `yaml:"P4" rule:"zero"`
	P5    time.Duration `yaml:"P5" rule:"zero"`
}

// Of is the time that p has; 0 for no date.
func (s SLA) Of(p pipeline.Priority) time.Duration {
	times := [...]time.Duration{pipeline.P1: s.P1, pipeline.P2: s.P2, pipeline.P3: s.P3, pipeline.P4: s.P4, pipeline.P5: s.P5}
	if int(p) >= len(times) {
		return 0
	}
	return times[p]
}

// Team is an owner. Sinks holds its settings by the sink's name.
type Team struct {
	Name         string                    `yaml:"name" rule:"required"`
	SlackChannel string                    `yaml:"slack_channel"`
	Members      []Member                  `yaml:"members"`
	Sinks        map[string]map[string]any `yaml:"sinks"`
}

// Member is a person of a team as each system knows them. In the file a plain
// text stands for {slack: text}.
type Member struct {
	Slack        string `yaml:"slack"`
	Email        string `yaml:"email"`
	Jira         string `yaml:"jira"`
	ServiceNow   string `yaml:"servicenow"`
	Freshservice string `yaml:"freshservice"`
}

func (m *Member) setScalar(text string) { m.Slack = text }

// Ack is how long an ack lasts: by itself, at most, and how long before its end a reminder comes.
type Ack struct {
	For    time.Duration `yaml:"for"`
	Max    time.Duration `yaml:"max"`
	Remind time.Duration `yaml:"remind" rule:"zero"`
}

// Route is a node of the routing tree. A nil or zero setting is inherited from
// the parent; the root has all of them. Sinks and GroupBy distinguish nil
// (inherited) from empty (none).
type Route struct {
	Match        map[string][]string `yaml:"match" rule:"single"`
	When         string              `yaml:"when"` // CEL over finding
	Team         string              `yaml:"team"`
	Sinks        []string            `yaml:"sinks"`
	GroupBy      []string            `yaml:"group_by"`
	For          *time.Duration      `yaml:"for" rule:"zero"`
	TicketsFrom  pipeline.Priority   `yaml:"tickets_from"`
	ReopenWindow *time.Duration      `yaml:"reopen_window" rule:"zero"`
	RecheckAfter *time.Duration      `yaml:"recheck_after" rule:"zero"`
	Flap         Flap                `yaml:"flap"`
	Assignee     []string            `yaml:"assignee"`
	// Templates are texts of tickets by sink name, laid over those of the team and of the sink.
	Templates map[string]map[string]any `yaml:"templates"`
	Continue  bool                      `yaml:"continue,omitempty"`
	Routes    []Route                   `yaml:"routes"`
}

// Flap says when a case that keeps coming back counts as recurring. A zero part is inherited.
type Flap struct {
	Times  int           `yaml:"times" rule:"min=2"`
	Within time.Duration `yaml:"within"`
	Quiet  time.Duration `yaml:"quiet"`
}

// Limits hold storms back, per team.
type Limits struct {
	MaxNewTicketsPerHour int    `yaml:"max_new_tickets_per_hour" rule:"min=1"`
	FirstRun             string `yaml:"first_run" rule:"oneof=go|hold"`
}

// Close is the guard against a scan that would close too much of a scope.
type Close struct {
	MaxRatio float64 `yaml:"max_ratio" rule:"over=0 max=1"`
	Min      int     `yaml:"min" rule:"min=0"`
}

// Suppression is an accepted exception.
type Suppression struct {
	Name   string `yaml:"name" rule:"required"`
	When   string `yaml:"when" rule:"required"` // CEL over finding
	Reason string `yaml:"reason" rule:"required"`
	By     string `yaml:"by"`
	Until  Date   `yaml:"until" rule:"required"`
}
