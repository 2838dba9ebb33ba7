package jiratest

import "slices"

// The keys of status categories.
const (
	CategoryNew        = "new"
	CategoryInProgress = "indeterminate"
	CategoryDone       = "done"
)

// Status is a step of a workflow.
type Status struct{ Name, Category string }

// ScreenField is a field on the screen of a transition.
type ScreenField struct {
	ID       string // resolution, or a custom field of the project
	Required bool
	Default  bool // Jira fills it when it is not sent
}

// Transition leads from one status to another. Its ID means something only in
// its own workflow and only in the statuses of From.
type Transition struct {
	ID, Name string
	From     []string // empty: from every status but its own target
	To       string
	Fields   []ScreenField
}

// Workflow is the statuses of a project and the ways between them. A new issue is in the first.
type Workflow struct {
	Statuses    []Status
	Transitions []Transition
	// Resolution is set by the workflow itself on the way into a status of the
	// category done, where nothing else was sent; empty: none is.
	Resolution string
	// KeepResolution leaves the resolution standing on the way back.
	KeepResolution bool
}

// SimpleWorkflow has three statuses, each reachable from the others, with ids of
// its own in each. It sets and clears the resolution by itself.
func SimpleWorkflow() Workflow {
	return Workflow{
		Statuses: []Status{{"To Do", CategoryNew}, {"In Progress", CategoryInProgress}, {"Done", CategoryDone}},
		Transitions: []Transition{
			{ID: "11", Name: "Start", From: []string{"To Do"}, To: "In Progress"},
			{ID: "12", Name: "Done", From: []string{"To Do"}, To: "Done"},
			{ID: "21", Name: "Stop", From: []string{"In Progress"}, To: "To Do"},
			{ID: "22", Name: "Done", From: []string{"In Progress"}, To: "Done"},
			{ID: "31", Name: "Reopen", From: []string{"Done"}, To: "To Do"},
			{ID: "32", Name: "Resume", From: []string{"Done"}, To: "In Progress"},
		},
		Resolution: "Done",
	}
}

// FourStepWorkflow goes Open, In Work, Verify, Shut; only the last step leads to
// the category done, and its screen asks for a resolution. Reopening leaves the resolution standing.
func FourStepWorkflow() Workflow {
	return Workflow{
		Statuses: []Status{{"Open", CategoryNew}, {"In Work", CategoryInProgress}, {"Verify", CategoryInProgress}, {"Shut", CategoryDone}},
		Transitions: []Transition{
			{ID: "701", Name: "Begin", From: []string{"Open"}, To: "In Work"},
			{ID: "702", Name: "Ready", From: []string{"In Work"}, To: "Verify"},
			{ID: "703", Name: "Back", From: []string{"Verify"}, To: "In Work"},
			{ID: "704", Name: "Shut", From: []string{"Verify"}, To: "Shut", Fields: []ScreenField{{ID: "resolution", Required: true}}},
			{ID: "705", Name: "Open again", From: []string{"Shut"}, To: "Open"},
		},
		KeepResolution: true,
	}
}

// EndlessWorkflow has no status of the category done.
func EndlessWorkflow() Workflow {
	return Workflow{
		Statuses: []Status{{"Backlog", CategoryNew}, {"Doing", CategoryInProgress}},
		Transitions: []Transition{
			{ID: "901", Name: "Do", From: []string{"Backlog"}, To: "Doing"},
			{ID: "902", Name: "Put back", From: []string{"Doing"}, To: "Backlog"},
		},
	}
}

// status looks a status up by its name.
func (w Workflow) status(name string) (Status, bool) {
	at := slices.IndexFunc(w.Statuses, func(s Status) bool { return s.Name == name })
	if at < 0 {
		return Status{}, false
	}
	return w.Statuses[at], true
}

// from lists the transitions that leave a status.
func (w Workflow) from(status string) []Transition {
	var out []Transition
	for _, t := range w.Transitions {
		if slices.Contains(t.From, status) || len(t.From) == 0 && t.To != status {
			out = append(out, t)
		}
	}
	return out
}

// into is what the workflow itself does to a resolution on the way into a status.
func (w Workflow) into(s Status, resolution string) string {
	switch {
	case s.Category != CategoryDone && !w.KeepResolution:
		return ""
	case s.Category == CategoryDone && resolution == "":
		return w.Resolution
	default:
		return resolution
	}
}
