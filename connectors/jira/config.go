package jira

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/docket-hub/docket/config/secret"
	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ticket"
)

// The deployments.
const (
	cloud      = "cloud"
	datacenter = "datacenter"
)

// Config is what a user writes for a sink of type jira.
type Config struct {
	URL              string                       `yaml:"url" rule:"required"`                      // of the site; or of the gateway, https://api.atlassian.com/ex/jira/<cloud id>
	Deployment       string                       `yaml:"deployment" rule:"oneof=cloud|datacenter"` // empty: the server is asked once
	Auth             Auth                         `yaml:"auth" rule:"required"`
	Project          string                       `yaml:"project"` // key; a team's settings may say another
	IssueType        string                       `yaml:"issue_type"`
	Priorities       map[pipeline.Priority]string `yaml:"priorities"` // names in the project's priority scheme; empty: Highest to Lowest where the scheme has them
	Fields           map[string]any               `yaml:"fields"`     // by field id: a value, or a template over .Case, .Ticket and .Reason
	Transitions      Transitions                  `yaml:"transitions"`
	Close            Close                        `yaml:"close"`
	WontFix          []string                     `yaml:"wont_fix"` // statuses and resolutions: a ticket that a person closed so is not reopened
	DueDate          bool                         `yaml:"due_date"`
	KeyField         string                       `yaml:"key_field"` // a text field that carries the ticket key instead of a label
	WebhookSecret    secret.Value                 `yaml:"webhook_secret"`
	Templates        ticket.Texts                 `yaml:"templates"`
	DescriptionLimit int                          `yaml:"description_limit" rule:"min=1000"` // characters
}

// Auth is how docket logs in: {email, token} and {user, password} are basic; a token alone is a
// bearer: a personal access token of Data Center, or an OAuth 2.0 token of Cloud.
type Auth struct {
	Email    string       `yaml:"email"`
	User     string       `yaml:"user"`
	Token    secret.Value `yaml:"token"`
	Password secret.Value `yaml:"password"`
}

// Transitions are names of statuses that an issue is brought to; empty: by the status's category.
type Transitions struct {
	Ack    string `yaml:"ack"` // empty: an ack moves nothing
	Close  string `yaml:"close"`
	Reopen string `yaml:"reopen"`
}

// Close are the resolutions that an issue is closed with.
type Close struct {
	Resolution string `yaml:"resolution"`
	Accepted   string `yaml:"accepted"`  // when the risk was accepted; empty: Resolution
	Duplicate  string `yaml:"duplicate"` // of a second issue under one ticket key
}

const (
	// summaryRunes is Jira's limit of a summary ("Summary can't exceed 255 characters.").
	summaryRunes = 255
	// defaultDescription leaves headroom below Jira's 32,767 characters: what is counted is what Jira
	// stores, and it stores more than it was sent (mozilla/jira-bugzilla-integration#1134).
	defaultDescription = 30_000
)

// DefaultConfig is what stands where the user wrote nothing.
func DefaultConfig() Config {
	return Config{
		IssueType: "Task", DueDate: true, DescriptionLimit: defaultDescription,
		Close:   Close{Resolution: "Done", Duplicate: "Duplicate"},
		WontFix: []string{"Won't Do", "Won't Fix", "Duplicate"},
	}
}

// Validate reports everything that is wrong with the settings.
func (c Config) Validate() error {
	var errs []error
	if u, err := url.Parse(c.URL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		errs = append(errs, errors.New("url: write the site's address, such as https://acme.atlassian.net, without user and query"))
	}
	a := c.Auth
	switch {
	case a.Email != "" && a.User != "":
		errs = append(errs, errors.New("auth: keep email (Cloud, with token) or user (Data Center, with password), not both"))
	case !a.Token.IsZero() && !a.Password.IsZero():
		errs = append(errs, errors.New("auth: keep token or password, not both"))
	case a.Email != "" && a.Token.IsZero():
		errs = append(errs, errors.New("auth.token: email goes with an API token"))
	case a.User != "" && a.Password.IsZero():
		errs = append(errs, errors.New("auth.password: user goes with a password; a personal access token stands alone"))
	case a.Token.IsZero() && a.Password.IsZero():
		errs = append(errs, errors.New("auth: write {email, token} for Cloud, {token} for a personal access token or OAuth, or {user, password}"))
	case !a.Password.IsZero() && a.User == "":
		errs = append(errs, errors.New("auth.user: password goes with user"))
	}
	if c.Project != "" && !isProjectKey(c.Project) {
		errs = append(errs, fmt.Errorf("project: %q is no project key (capital letters, digits and _)", c.Project))
	}
	if c.KeyField != "" && fieldNumber(c.KeyField) == "" {
		errs = append(errs, fmt.Errorf("key_field: %q is no field id such as customfield_10200", c.KeyField))
	}
	if err := connectors.CheckMACKey(c.WebhookSecret.Reveal()); err != nil {
		errs = append(errs, fmt.Errorf("webhook_secret: %w", err))
	}
	for name := range c.Fields {
		if why := reserved(name); why != "" {
			errs = append(errs, fmt.Errorf("fields.%s: %s", name, why))
		}
	}
	return errors.Join(errs...)
}

// reserved says by which other key a field is set, "" where it is free.
func reserved(field string) string {
	switch field {
	case "project", "priority", "duedate":
		return "is set by the key " + map[string]string{"project": "project", "priority": "priorities", "duedate": "due_date"}[field]
	case "issuetype":
		return "is set by the key issue_type"
	case "summary", "description":
		return "is set by the key templates"
	case "assignee":
		return "is set by the route's assignee"
	case "status", "resolution":
		return "is set by the keys transitions and close"
	}
	return ""
}

// isProjectKey is Jira's default pattern of a project key, at most 255 characters
// (jira.projectkey.pattern; administrators may change it to allow digits and _).
func isProjectKey(s string) bool {
	return s != "" && len(s) <= 255 && s[0] >= 'A' && s[0] <= 'Z' && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

// fieldNumber is the number of customfield_NNN, "" for anything else.
func fieldNumber(field string) string {
	n, ok := strings.CutPrefix(field, "customfield_")
	if !ok || n == "" || strings.Trim(n, "0123456789") != "" {
		return ""
	}
	return n
}
