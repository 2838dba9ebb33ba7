package jiratest

import (
	"slices"
	"time"
)

// Options say what kind of Jira stands there. The zero value is a Cloud site
// with the project SEC, the simple workflow and an index without lag.
type Options struct {
	DataCenter bool   // Data Center instead of Cloud
	BasePath   string // a context path in front of /rest, such as /jira; what Data Center calls the context
	// CloudID adds a second door at /ex/jira/<CloudID> as api.atlassian.com has it:
	// there, and only there, Cloud takes bearer tokens. Default "11111111-2222-3333-4444-555555555555".
	CloudID string
	// SiteURL is what serverInfo calls baseUrl, where people browse. Default: the server's own address.
	SiteURL string

	User  string // who signs in: an e-mail address on Cloud, a user name on Data Center
	Token string // API token, password, personal access token or OAuth token, all the same

	Now      func() time.Time // the clock; default time.Now
	IndexLag time.Duration    // how long a change takes to be found by a search
	TimeZone *time.Location   // of the user that signs in: JQL reads times in it; default UTC

	Users       []User    // default: the one that signs in, ada and bob
	Projects    []Project // default: one, SEC
	Resolutions []string  // default Done, Won't Do, Duplicate, Cannot Reproduce
	LinkTypes   []LinkType

	DescriptionLimit int // in UTF-16 units, as Java counts; default 32767
	// Stored turns a text that was sent into what is kept and counted: markup may
	// be rewritten on the way. Default: as it is.
	Stored          func(string) string
	CommentLimit    int   // per issue; default 5000
	AttachmentLimit int   // per issue; default 2000
	AttachmentBytes int64 // per file; default 10 MiB
	LinkLimit       int   // remote links per issue; default 2000

	MaxPage          int  // what one page of a list holds at most, lower than Jira's own limits; 0: those
	EmptyFirstPage   bool // a search of Cloud answers an empty first page with a token
	RateLimitHeaders bool // Data Center: the token bucket's headers on every answer

	NoBodies bool // the log of requests leaves their bodies out, for long runs
	Webhook  Webhook
	Seed     uint64 // of the rules that hit a share of the requests
	Rules    []Rule // as Inject
}

// User is somebody with an account. Cloud knows people by ID, Data Center by Name.
type User struct {
	ID        string // account id
	Name      string // user name
	Email     string
	Display   string
	HideEmail bool // the address is neither shown nor found
	Inactive  bool
}

// LinkType is a kind of link between two issues.
type LinkType struct{ Name, Inward, Outward string }

// IssueType is one of a project's types.
type IssueType struct {
	ID, Name string
	Subtask  bool
}

// Project is a project with its screens.
type Project struct {
	Key, Name string
	Types     []IssueType // default Task (10001), Bug (10002), Sub-task (10003)
	Workflow  Workflow    // default SimpleWorkflow
	// Priorities is the project's scheme, most urgent first. Default: Highest to Lowest.
	Priorities []string
	NoPriority bool     // the project has no such field, as team-managed ones may not
	OffScreen  []string // system fields that are on no screen: labels, duedate, assignee, …
	Required   []string // system fields that must be filled beside the summary
	Fields     []Field
	// ModifyReporter says that the user may set the reporter; without it the field is off screen.
	ModifyReporter bool
	// Assignable are the IDs (Cloud) or names (Data Center) of who can be assigned; default: every active user.
	Assignable []string
}

// The types of custom fields.
const (
	Text        = "textfield"       // one line, up to 255 characters
	TextArea    = "textarea"        // many lines
	Number      = "float"           // a number
	Select      = "select"          // {"value"} or {"id"}
	MultiSelect = "multiselect"     // a list of these
	Cascading   = "cascadingselect" // {"value","child":{"value"}}
	UserPicker  = "userpicker"      // a user reference
	Date        = "datepicker"      // 2006-01-02
	DateTime    = "datetime"        // 2006-01-02T15:04:05.000-0700
	LabelsField = "labels"          // a list of words
	URLField    = "url"             // an absolute http or https URL
	customType  = "com.atlassian.jira.plugin.system.customfieldtypes:"
)

// Field is a custom field on a project's screens.
type Field struct {
	ID       string // customfield_10044
	Name     string // Team
	Type     string // Select, Text, …
	Required bool
	Default  any      // the value, as sent, that an issue gets without one
	Options  []Option // of Select, MultiSelect and Cascading
	Types    []string // the names of the issue types that have it; default all
	OffEdit  bool     // only on the create screen
}

// Option is a choice of a select field. Without ID it gets one.
type Option struct {
	ID, Value string
	Children  []Option
}

func (o Options) withDefaults() Options {
	if o.CloudID == "" {
		o.CloudID = "11111111-2222-3333-4444-555555555555"
	}
	if o.User == "" {
		o.User = "docket@example.com"
		if o.DataCenter {
			o.User = "docket"
		}
	}
	if o.Token == "" {
		o.Token = "jira-token-1"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.TimeZone == nil {
		o.TimeZone = time.UTC
	}
	o.Users = slices.Clone(o.Users)
	if o.Users == nil {
		o.Users = []User{
			{ID: "557058:ada", Name: "ada", Email: "ada@example.com", Display: "Ada Byron"},
			{ID: "557058:bob", Name: "bob", Email: "bob@example.com", Display: "Bob Frost"},
		}
	}
	if !slices.ContainsFunc(o.Users, func(u User) bool { return u.Email == o.User || u.Name == o.User }) {
		self := User{ID: "557058:docket", Name: "docket", Email: "docket@example.com", Display: "docket"}
		if o.DataCenter {
			self.Name = o.User
		} else {
			self.Email = o.User
		}
		o.Users = append(o.Users, self)
	}
	if o.Projects == nil {
		o.Projects = []Project{{Key: "SEC"}}
	}
	if o.Resolutions == nil {
		o.Resolutions = []string{"Done", "Won't Do", "Duplicate", "Cannot Reproduce"}
	}
	if o.LinkTypes == nil {
		o.LinkTypes = []LinkType{{"Duplicate", "is duplicated by", "duplicates"}, {"Relates", "relates to", "relates to"}}
	}
	if o.Stored == nil {
		o.Stored = func(s string) string { return s }
	}
	positive(&o.DescriptionLimit, 32767)
	positive(&o.CommentLimit, 5000)
	positive(&o.AttachmentLimit, 2000)
	positive(&o.LinkLimit, 2000)
	if o.AttachmentBytes <= 0 {
		o.AttachmentBytes = 10 << 20
	}
	return o
}

// positive sets a number that was not given.
func positive(n *int, value int) {
	if *n <= 0 {
		*n = value
	}
}
