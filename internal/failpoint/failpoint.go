// Package failpoint ends the process at a named place, so that the reliability
// suites can prove what a crash there costs. Built without the tag "failpoint", as
// every released program is, Hit is empty and leaves nothing behind.
//
// With the tag, DOCKET_FAILPOINT="name:n" makes the n-th Hit of that name (n from 1)
// send SIGKILL to the process itself: nothing is flushed, closed or answered after it.
//
// A place is named in Sites, and internal/crashtest has a scenario that reaches it.
package failpoint

// Site is one place that Hit is called at.
type Site struct {
	Name string
	At   string // where a process that dies here stands
}

// Sites are all places, in the order of a finding's way through docket. Each
// name has exactly one call of Hit.
func Sites() []Site {
	return []Site{
		{"ingest/answer", "a sender's findings are stored, it has no answer"},
		{"findings/publish", "findings read, not stored"},
		{"findings/published", "findings stored, their source does not know"},
		{"watermark/write", "a poll is over, its watermark not written"},
		{"watermark/written", "the watermark is written"},

		{"triage/read", "inputs read, not decided"},
		{"triage/decided", "inputs decided, not committed"},
		{"state/commit", "a commit is written, not flushed"},
		{"triage/committed", "inputs committed, their actions not published"},
		{"input/publish", "an input made, not stored"},
		{"input/published", "an input stored, whoever gave it does not know"},

		{"act/stored", "what a person asked for stored, not applied: an exception, a brake, a retry"},

		{"relay/publish", "actions read from the outbox, not published"},
		{"relay/published", "actions published, their rows still listed"},
		{"relay/removed", "the rows are listed no more; the next commit removes them"},

		{"deliver/received", "an action received, no claim taken"},
		{"deliver/claimed", "the claim taken, nothing sent"},
		{"claims/flushed", "a claim on disk, its writer does not know"},
		{"deliver/checked", "the last check is over, the sink not called"},
		{"file/write", "a ticket file flushed under its temporary name"},
		{"file/written", "a ticket file in place, its folder not flushed"},
		{"deliver/unsure", "a write without an answer, nothing looked up yet"},
		{"deliver/looked", "looked up, not acted on"},
		{"http/send", "a request made, not sent"},
		{"http/answered", "a request answered, its body not read"},
		{"http/read", "an answer read, not judged"},
		{"jira/created", "an issue made, not read back"},
		{"jira/edited", "an issue edited, its status not moved"},
		{"jira/stepped", "an issue moved by one status of several"},
		{"jira/commented", "a comment written, the outcome not known"},
		{"jira/attached", "a long text attached, the outcome not known"},
		{"deliver/answered", "the sink answered, the answer not judged"},
		{"deliver/finish", "the result known, not in the claim"},
		{"deliver/finished", "the result in the claim, its outcome not published"},
		{"deliver/reported", "the outcome published, the action still queued"},
		{"deliver/done", "the action off the queue"},

		{"hook/received", "a tracker's webhook received, the ticket that it names not read"},
		{"watch/read", "a ticket read as a person left it, not stored"},
		{"watch/polled", "a tracker asked for changes, its watermark not written"},

		{"stream/free", "messages done with, not removed"},
		{"stream/freed", "messages removed"},
		{"audit/purge", "old lines of the story found, not removed"},
		{"audit/purged", "old lines of the story removed"},

		{"reload/stopped", "a reload stopped the old sinks"},
		{"reload/swapped", "the new configuration in force, its sinks not started"},
		{"claims/lost", "the claims are lost, not made again"},
		{"claims/rebuilt", "the claims are made again"},
		{"apply/checked", "a plan checked, its approval not given"},
		{"apply/approved", "a plan approved, its findings not replayed"},
		{"apply/replayed", "a plan's findings replayed, its tickets not made"},
		{"backup/begun", "the head of a backup written, its state not"},
		{"restore/copied", "a backup unpacked beside the state, not checked"},
		{"restore/swap", "a backup checked, the state not replaced"},
		{"restore/kept", "the state has a second name, and still the first"},
		{"restore/swapped", "the state replaced by that of a backup"},
		{"compact/swap", "the state copied without its free pages, not replaced"},
		{"compact/swapped", "the state replaced by its copy"},
		{"map/begun", "another equivalence map noted in state, no finding looked at"},
		{"map/step", "some findings under the other equivalence map, the rest not"},
		{"stop/begun", "a stop began"},
		{"stop/drained", "a stop ended the work, nothing is closed"},
		{"state/close", "a stop closed everything but the state"},
	}
}
