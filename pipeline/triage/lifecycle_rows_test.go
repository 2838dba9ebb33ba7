package triage

import (
	"time"

	"github.com/docket-hub/docket/pipeline"
)

func exceptionRows() []situation {
	begin := step{inputs: open("r1"), verbs: "create DK-1", state: "DK-1 open P3 r1:open"}
	accepted := "DK-1 accepted P3 r1:suppressed"
	suppressed := step{after: hour, inputs: exempts(10 * day), verbs: "close DK-1", state: accepted, says: []string{"accepted by suppression old"}}
	return []situation{
		{"suppressed, others open", nil, []step{
			{inputs: open("r1", "r2"), verbs: "create DK-1", state: "DK-1 open P3 r1:open r2:open"},
			{after: hour, inputs: exempts(10 * day), verbs: "update DK-1", state: "DK-1 open P3 r1:suppressed r2:open"},
		}},
		{"suppression over by its date", nil, []step{begin, suppressed,
			{after: 3*day + time.Minute, verbs: "update DK-1", state: accepted, says: []string{"ends on 2026-03-12"}},
			{after: 7 * day, verbs: "reopen DK-1", state: "DK-1 open P3 r1:open", says: []string{"suppression old ended"}},
		}},
		{"suppression over by removal", nil, []step{begin, suppressed,
			{after: day, inputs: removal(), verbs: "reopen DK-1", state: "DK-1 open P3 r1:open"},
		}},
		{"suppression over by an edit", nil, []step{begin,
			{inputs: becomes(func(k *config) {
				k.exempt = []pipeline.Suppression{{Name: "c", When: "r1", Reason: "x", Until: start.Add(90 * day)}}
			}), verbs: "close DK-1", state: accepted},
			{after: day, inputs: becomes(func(k *config) {
				k.exempt = []pipeline.Suppression{{Name: "c", When: "r2", Reason: "x", Until: start.Add(90 * day)}}
			}), verbs: "reopen DK-1", state: "DK-1 open P3 r1:open"},
		}},
		{"a new resource while suppressed makes a new case", nil, []step{begin, suppressed,
			{after: day, inputs: open("r2"), verbs: "create DK-2", state: accepted + "; DK-2 open P3 r2:open after DK-1"},
			{after: day, inputs: removal(), verbs: "update DK-1, update DK-2",
				state: "DK-1 accepted P3 r1:left; DK-2 open P3 r1:open r2:open after DK-1", says: []string{"counts again in DK-2"}},
		}},
		{"suppressed before it was ever seen", nil, []step{
			{inputs: exempts(10 * day), state: ""},
			{inputs: open("r1"), state: ""},
			{after: hour, inputs: removal(), verbs: "create DK-1", state: "DK-1 open P3 r1:open"},
		}},
		{"resolved while suppressed", nil, []step{begin, suppressed,
			{after: day, inputs: fixed("r1"), verbs: "update DK-1", state: "DK-1 fixed P3 r1:resolved", says: []string{"Confirmed as fixed"}},
			{after: day, inputs: removal(), state: "DK-1 fixed P3 r1:resolved"},
			{after: day, inputs: open("r1"), verbs: "reopen DK-1", state: "DK-1 open P3 r1:open"},
		}},
		{"an accepted case outlives retention", nil, []step{begin,
			{inputs: exempts(300 * day), verbs: "close DK-1", state: accepted},
			{after: 200 * day, state: accepted},
			{after: 93*day + hour, verbs: "update DK-1", state: accepted},
			{after: 7 * day, verbs: "reopen DK-1", state: "DK-1 open P3 r1:open"},
		}},
	}
}

func ticketRows() []situation {
	begin := step{inputs: open("r1"), verbs: "create DK-1", state: "DK-1 open P3 r1:open"}
	limited := func(k *config) { k.limits.PerHour = 1; k.group = "resource" }
	return []situation{
		{"digest filling and draining", limited, []step{
			{inputs: open("r1"), verbs: "create DK-1", state: "DK-1 open P3 r1:open"},
			{inputs: open("r2", "r3 HIGH"), verbs: "create DK-4",
				state: "DK-1 open P3 r1:open; DK-2 open P3 r2:open held:limit; DK-3 open P2 r3:open held:limit; DK-4 open P2 digest of 2"},
			{inputs: open("r4 CRITICAL"), verbs: "create DK-5",
				state: "DK-1 open P3 r1:open; DK-2 open P3 r2:open held:limit; DK-3 open P2 r3:open held:limit; DK-4 open P2 digest of 2; DK-5 open P1 r4:open"},
			{after: hour, verbs: "create DK-3, update DK-4",
				state: "DK-1 open P3 r1:open; DK-2 open P3 r2:open held:limit; DK-3 open P2 r3:open; DK-4 open P3 digest of 1; DK-5 open P1 r4:open"},
			{after: hour, verbs: "create DK-2, close DK-4",
				state: "DK-1 open P3 r1:open; DK-2 open P3 r2:open; DK-3 open P2 r3:open; DK-4 empty P3 digest of 0; DK-5 open P1 r4:open"},
			{inputs: open("r5"), verbs: "create DK-7",
				state: "DK-1 open P3 r1:open; DK-2 open P3 r2:open; DK-3 open P2 r3:open; DK-4 empty P3 digest of 0; DK-5 open P1 r4:open; " +
					"DK-6 open P3 r5:open held:limit; DK-7 open P3 digest of 1 after DK-4"},
		}},
		{"a held case rises to P1", limited, []step{
			begin,
			{inputs: open("r2"), verbs: "create DK-3", state: "DK-1 open P3 r1:open; DK-2 open P3 r2:open held:limit; DK-3 open P3 digest of 1"},
			{after: time.Minute, inputs: open("r2 CRITICAL"), verbs: "create DK-2, close DK-3", state: "DK-1 open P3 r1:open; DK-2 open P1 r2:open; DK-3 empty P3 digest of 0"},
		}},
		{"a held case is resolved", limited, []step{
			begin,
			{inputs: open("r2"), verbs: "create DK-3", state: "DK-1 open P3 r1:open; DK-2 open P3 r2:open held:limit; DK-3 open P3 digest of 1"},
			{after: time.Minute, inputs: fixed("r2"), verbs: "close DK-3", state: "DK-1 open P3 r1:open; DK-2 fixed P3 r2:resolved; DK-3 empty P3 digest of 0"},
		}},
		{"a ticket asked for by hand is outside limits", limited, []step{
			begin,
			{inputs: open("r2"), verbs: "create DK-3", state: "DK-1 open P3 r1:open; DK-2 open P3 r2:open held:limit; DK-3 open P3 digest of 1"},
			{inputs: does(pipeline.Interaction{Verb: pipeline.VerbTicket, Cases: []string{"DK-2"}}), verbs: "create DK-2, close DK-3",
				state: "DK-1 open P3 r1:open; DK-2 open P3 r2:open; DK-3 empty P3 digest of 0"},
		}},
		{"first_run: hold waits for an apply", func(k *config) { k.limits.HoldFirstRun = true }, []step{
			{inputs: open("r1"), state: "DK-1 open P3 r1:open held:first_run"},
			{after: day, inputs: open("r2"), state: "DK-1 open P3 r1:open r2:open held:first_run"},
			{inputs: func(*world) []Input {
				return []Input{{Approval: &Approval{Plan: "p", Groups: []string{"sec|1111/EC2.1"}}}}
			}, verbs: "create DK-1", state: "DK-1 open P3 r1:open r2:open"},
		}},
		{"for", func(k *config) { k.settings.For = 10 * time.Minute }, []step{
			{inputs: open("r1"), state: "DK-1 open P3 r1:open"},
			{after: 9 * time.Minute, inputs: open("r2"), state: "DK-1 open P3 r1:open r2:open"},
			{inputs: fixed("r1"), state: "DK-1 open P3 r1:resolved r2:open"},
			{after: time.Minute, state: "DK-1 open P3 r1:resolved r2:open"},
			{after: 9 * time.Minute, verbs: "create DK-1", state: "DK-1 open P3 r1:resolved r2:open", silence: true},
		}},
		{"for: gone before it is over", func(k *config) { k.settings.For = 10 * time.Minute }, []step{
			{inputs: open("r1"), state: "DK-1 open P3 r1:open"},
			{after: 5 * time.Minute, inputs: fixed("r1"), state: "DK-1 fixed P3 r1:resolved"},
			{after: hour, state: "DK-1 fixed P3 r1:resolved"},
		}},
		{"tickets_from, rising later", nil, []step{
			{inputs: open("r1 INFORMATIONAL"), state: "DK-1 open P5 r1:open"},
			{after: hour, inputs: open("r2 HIGH"), verbs: "create DK-1", state: "DK-1 open P2 r1:open r2:open", silence: true},
			{after: hour, inputs: fixed("r2 HIGH"), verbs: "update DK-1", state: "DK-1 open P2 r1:open r2:resolved"},
		}},
		{"a ticket deleted once is made again", nil, []step{begin,
			{after: hour, inputs: deleted(open("r2")), verbs: "gone DK-1, create DK-1", state: "DK-1 open P3 r1:open r2:open"},
			{after: hour, inputs: open("r3"), verbs: "update DK-1", state: "DK-1 open P3 r1:open r2:open r3:open"},
		}},
		{"a ticket deleted twice is disputed, until a retry", nil, []step{begin,
			{after: hour, inputs: deleted(open("r2")), verbs: "gone DK-1, create DK-1", state: "DK-1 open P3 r1:open r2:open"},
			{after: hour, inputs: deleted(open("r3")), verbs: "gone DK-1", state: "DK-1 open P3 r1:open r2:open r3:open disputed disk:gone"},
			{after: hour, inputs: open("r4"), state: "DK-1 open P3 r1:open r2:open r3:open r4:open disputed disk:gone"},
			{inputs: does(pipeline.Interaction{Verb: pipeline.VerbRetry}), verbs: "create DK-1", state: "DK-1 open P3 r1:open r2:open r3:open r4:open"},
		}},
		{"refused, dead, retried with the newest revision", nil, []step{
			{inputs: fails(pipeline.OutcomeRefused, "r1"), verbs: "refused DK-1", state: "DK-1 open P3 r1:open disk:dead"},
			{after: hour, inputs: open("r2"), state: "DK-1 open P3 r1:open r2:open disk:dead"},
			{inputs: func(w *world) []Input {
				delete(w.failures, "disk")
				retry := does(pipeline.Interaction{Verb: pipeline.VerbRetry})(w)
				return append(retry, retry...)
			}, verbs: "create DK-1", state: "DK-1 open P3 r1:open r2:open", silence: true},
		}},
		{"a dead letter is tried once more when its sink's settings change", func(k *config) { k.sinkHash = "a" }, []step{
			{inputs: fails(pipeline.OutcomeRefused, "r1"), verbs: "refused DK-1", state: "DK-1 open P3 r1:open disk:dead"},
			{inputs: becomes(func(k *config) { k.raised = 1 }), state: "DK-1 open P2 r1:open disk:dead"},
			{inputs: becomes(func(k *config) { k.sinkHash = "b" }), verbs: "refused DK-1", state: "DK-1 open P2 r1:open disk:dead"},
			{inputs: becomes(func(k *config) { k.raised = 0 }), state: "DK-1 open P2 r1:open disk:dead"},
		}},
		{"refused, dropped: nothing more is sent, whatever happens, until somebody retries", nil, []step{
			{inputs: fails(pipeline.OutcomeRefused, "r1"), verbs: "refused DK-1", state: "DK-1 open P3 r1:open disk:dead"},
			{inputs: func(w *world) []Input {
				delete(w.failures, "disk")
				drop := does(pipeline.Interaction{Verb: pipeline.VerbDrop})(w)
				return append(drop, drop...)
			}, state: "DK-1 open P3 r1:open disk:given up as dead"},
			{after: hour, inputs: open("r2"), state: "DK-1 open P3 r1:open r2:open disk:given up as dead"},
			{inputs: becomes(func(k *config) { k.sinkHash = "b" }), state: "DK-1 open P3 r1:open r2:open disk:given up as dead"},
			{inputs: does(pipeline.Interaction{Verb: pipeline.VerbRetry}), verbs: "create DK-1", state: "DK-1 open P3 r1:open r2:open"},
		}},
		{"unknown, dropped: a retry asks again what became of it", nil, []step{
			{inputs: fails(pipeline.OutcomeUnknown, "r1"), verbs: "unknown DK-1", state: "DK-1 open P3 r1:open disk:parked"},
			{inputs: does(pipeline.Interaction{Verb: pipeline.VerbRetry}), state: "DK-1 open P3 r1:open disk:parked"},
			{inputs: func(w *world) []Input {
				delete(w.failures, "disk")
				return does(pipeline.Interaction{Verb: pipeline.VerbDrop})(w)
			}, state: "DK-1 open P3 r1:open disk:given up as parked"},
			{after: hour, inputs: open("r2"), state: "DK-1 open P3 r1:open r2:open disk:given up as parked"},
			{inputs: does(pipeline.Interaction{Verb: pipeline.VerbRetry}), state: "DK-1 open P3 r1:open r2:open disk:parked"},
			{inputs: does(pipeline.Interaction{Verb: pipeline.VerbResolveParked}), verbs: "create DK-1", state: "DK-1 open P3 r1:open r2:open"},
		}},
		{"unknown, parked, resolved: it does not exist", nil, []step{
			{inputs: fails(pipeline.OutcomeUnknown, "r1"), verbs: "unknown DK-1", state: "DK-1 open P3 r1:open disk:parked"},
			{after: hour, inputs: open("r2"), state: "DK-1 open P3 r1:open r2:open disk:parked"},
			{inputs: func(w *world) []Input {
				delete(w.failures, "disk")
				return does(pipeline.Interaction{Verb: pipeline.VerbResolveParked, Sink: "disk"})(w)
			}, verbs: "create DK-1", state: "DK-1 open P3 r1:open r2:open"},
		}},
		{"unknown, parked, resolved: it is that record", nil, []step{
			{inputs: fails(pipeline.OutcomeUnknown, "r1"), verbs: "unknown DK-1", state: "DK-1 open P3 r1:open disk:parked"},
			{inputs: func(w *world) []Input {
				delete(w.failures, "disk")
				ref := pipeline.Ref{ID: "disk/" + pipeline.TicketKey("test", "sec|1111/EC2.1", 1)}
				w.tickets[ref.ID] = &ticketRow{ref: ref, last: pipeline.Ticket{Case: "DK-1", Open: true}, seen: map[string]bool{}}
				return does(pipeline.Interaction{Verb: pipeline.VerbResolveParked, Sink: "disk", Ref: ref})(w)
			}, verbs: "update DK-1", state: "DK-1 open P3 r1:open"},
		}},
	}
}

func peopleRows() []situation {
	begin := step{inputs: open("r1"), verbs: "create DK-1", state: "DK-1 open P3 r1:open"}
	closes := does(pipeline.Interaction{Verb: pipeline.VerbClose})
	closed := "DK-1 person P3 r1:open"
	threat := func(w *world) []Input { return []Input{w.report(say{resource: "r1", threat: true})} }
	return []situation{
		{"a person closes it: reopened once after recheck_after, then disputed", nil, []step{begin,
			{after: hour, inputs: closes, verbs: "close DK-1", state: closed},
			{after: hour, inputs: open("r1"), state: closed, silence: true},
			{after: 22 * hour, state: closed},
			{after: hour, verbs: "reopen DK-1", state: "DK-1 open P3 r1:open", says: []string{"ann@example.com closed it, and a source that looked again"}},
			{after: hour, inputs: closes, verbs: "close DK-1", state: closed},
			{after: hour, inputs: open("r1"), verbs: "update DK-1", state: closed + " disputed", says: []string{"docket suppress add"}},
			{after: 3 * day, inputs: open("r1"), state: closed + " disputed"},
		}},
		{"a person closes it and nobody looks again", nil, []step{begin,
			{after: hour, inputs: closes, verbs: "close DK-1", state: closed},
			{after: 300 * day, state: closed},
		}},
		{"a person closes it and it is fixed", nil, []step{begin,
			{after: hour, inputs: closes, verbs: "close DK-1", state: closed},
			{after: hour, inputs: fixed("r1"), verbs: "update DK-1", state: "DK-1 fixed P3 r1:resolved", says: []string{"Confirmed as fixed"}},
			{after: 2 * day, inputs: open("r1"), verbs: "reopen DK-1", state: "DK-1 open P3 r1:open"},
		}},
		{"a person closes it and another product says that it is fixed", nil, []step{begin,
			{after: hour, inputs: closes, verbs: "close DK-1", state: closed},
			{after: 30 * hour, inputs: func(w *world) []Input {
				return []Input{w.report(say{product: "Prowler", id: "p", resource: "r1", status: pipeline.StatusResolved})}
			}, verbs: "update DK-1", state: closed},
			{after: day, state: closed},
		}},
		{"closed as wont_fix: disputed, then suppressed with an end", nil, []step{begin,
			{after: hour, inputs: does(pipeline.Interaction{Verb: pipeline.VerbClose, WontFix: true}), verbs: "close DK-1", state: closed},
			{after: 30 * hour, inputs: open("r1"), verbs: "update DK-1", state: closed + " disputed"},
			{after: hour, inputs: exempts(day), verbs: "update DK-1", state: "DK-1 accepted P3 r1:suppressed"},
			{after: day, verbs: "reopen DK-1", state: "DK-1 open P3 r1:open"},
		}},
		{"a closed threat stays closed until it happens again", nil, []step{
			{inputs: threat, verbs: "create DK-1", state: "DK-1 open P3 r1:open"},
			{after: hour, inputs: closes, verbs: "close DK-1", state: closed},
			{after: 3 * day, inputs: func(w *world) []Input {
				return []Input{w.report(say{resource: "r1", threat: true, observed: start})}
			}, state: closed},
			{after: hour, inputs: threat, verbs: "reopen DK-1", state: "DK-1 open P3 r1:open", says: []string{"happened again"}},
			{after: hour, inputs: closes, verbs: "close DK-1", state: closed},
			{after: hour, inputs: threat, verbs: "reopen DK-1", state: "DK-1 open P3 r1:open"},
		}},
		{"closed by a person, a new resource, reopened: one ticket for the group", nil, []step{begin,
			{after: hour, inputs: closes, verbs: "close DK-1", state: closed},
			{after: hour, inputs: open("r2"), verbs: "create DK-2", state: closed + "; DK-2 open P3 r2:open after DK-1"},
			{after: day, inputs: open("r1"), verbs: "update DK-1, update DK-2", state: "DK-1 moved P3 r1:left; DK-2 open P3 r1:open r2:open after DK-1"},
		}},
		{"a person reopens what a person closed", nil, []step{begin,
			{after: hour, inputs: closes, verbs: "close DK-1", state: closed},
			{after: hour, inputs: does(pipeline.Interaction{Verb: pipeline.VerbReopen}), verbs: "reopen DK-1", state: "DK-1 open P3 r1:open"},
		}},
		{"an ack ends with its date, and with a rise", nil, []step{begin,
			{inputs: does(pipeline.Interaction{Verb: pipeline.VerbAck}), verbs: "update DK-1", state: "DK-1 open P3 r1:open acked", says: []string{"Taken by ann@example.com"}},
			{after: 7 * day, verbs: "update DK-1", state: "DK-1 open P3 r1:open"},
			{inputs: does(pipeline.Interaction{Verb: pipeline.VerbAck}), verbs: "update DK-1", state: "DK-1 open P3 r1:open acked"},
			{after: hour, inputs: open("r2"), verbs: "update DK-1", state: "DK-1 open P3 r1:open r2:open acked"},
			{after: hour, inputs: open("r1 HIGH"), verbs: "update DK-1", state: "DK-1 open P2 r1:open r2:open"},
		}},
		{"snooze", nil, []step{begin,
			{inputs: does(pipeline.Interaction{Verb: pipeline.VerbSnooze, Until: start.Add(day)}), state: "DK-1 open P3 r1:open snoozed"},
			{after: day, state: "DK-1 open P3 r1:open"},
		}},
		{"the same interaction twice", nil, []step{begin,
			{inputs: func(w *world) []Input {
				in := does(pipeline.Interaction{ID: "x", Verb: pipeline.VerbComment, Text: "hello"})(w)
				return append(in, in...)
			}, verbs: "update DK-1", state: "DK-1 open P3 r1:open", says: []string{"hello"}},
			{inputs: does(pipeline.Interaction{ID: "x", Verb: pipeline.VerbComment, Text: "hello"}), state: "DK-1 open P3 r1:open"},
		}},
	}
}

func ruleRows() []situation {
	begin := step{inputs: open("r1", "r2"), verbs: "create DK-1", state: "DK-1 open P3 r1:open r2:open"}
	regrouped := becomes(func(k *config) { k.group = "resource" })
	return []situation{
		{"the same rules again write nothing to tickets", nil, []step{begin,
			{after: hour, inputs: becomes(func(*config) {}), state: "DK-1 open P3 r1:open r2:open", silence: true},
		}},
		{"group_by changed with open cases: nothing moves by itself", nil, []step{begin,
			{after: hour, inputs: regrouped, state: "DK-1 open P3 r1:open r2:open"},
			{after: hour, inputs: open("r1", "r2", "r3"), verbs: "create DK-2", state: "DK-1 open P3 r1:open r2:open; DK-2 open P3 r3:open"},
		}},
		{"group_by changed: cases move does it", nil, []step{begin,
			{after: hour, inputs: regrouped, state: "DK-1 open P3 r1:open r2:open"},
			{after: hour, inputs: does(pipeline.Interaction{Verb: pipeline.VerbMove}), verbs: "close DK-1, create DK-2, create DK-3",
				state: "DK-1 moved P3 r1:left r2:left; DK-2 open P3 r1:open after DK-1; DK-3 open P3 r2:open after DK-1", says: []string{"2 findings moved to DK-3"}},
			{after: hour, inputs: fixed("r1"), verbs: "close DK-2",
				state: "DK-1 moved P3 r1:left r2:left; DK-2 fixed P3 r1:resolved after DK-1; DK-3 open P3 r2:open after DK-1"},
		}},
		{"priorities changed: they follow at once, down after a quiet day", nil, []step{begin,
			{after: hour, inputs: becomes(func(k *config) { k.raised = 1 }), verbs: "update DK-1", state: "DK-1 open P2 r1:open r2:open", says: []string{"rises from P3 to P2"}},
			{after: hour, inputs: becomes(func(k *config) { k.raised = 0 }), verbs: "update DK-1", state: "DK-1 open P2 r1:open r2:open"},
			{after: day, verbs: "update DK-1", state: "DK-1 open P3 r1:open r2:open"},
		}},
		{"a renamed sink", nil, []step{begin,
			{inputs: becomes(func(k *config) {
				k.sinks, k.renamed = []string{"files"}, map[string]string{"disk": "files"}
			}), state: "DK-1 open P3 r1:open r2:open files"},
		}},
		{"a removed sink, and back", nil, []step{begin,
			{inputs: becomes(func(k *config) { k.active = []string{} }), state: "DK-1 open P3 r1:open r2:open disk:parked"},
			{after: hour, inputs: open("r3"), state: "DK-1 open P3 r1:open r2:open r3:open disk:parked"},
			{inputs: becomes(func(k *config) { k.active = nil }), verbs: "update DK-1", state: "DK-1 open P3 r1:open r2:open r3:open"},
		}},
		{"a route without sinks makes a case without a ticket", func(k *config) { k.sinks = nil }, []step{
			{inputs: open("r1"), state: "DK-1 open P3 r1:open"},
			{after: hour, inputs: fixed("r1"), state: "DK-1 fixed P3 r1:resolved"},
		}},
	}
}
