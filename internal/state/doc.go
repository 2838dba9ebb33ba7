// Package state keeps what docket knows in one bbolt file.
//
// A Store is opened once per process. Commit applies a triage.Changeset in one
// transaction; View opens a Snapshot, which is a triage.View of one consistent
// moment. Findings are keyed by arrival number, so that new ones are appended;
// the way from a fingerprint to its number is an index in memory. An unchanged
// repeat costs no random write: its last-seen time goes into one packed row per
// commit, lies over the records in memory, and is folded into them in slices
// once enough has gathered.
//
// Caveats: one process may write, others may open the file only while nobody
// does. A Snapshot pins old pages, so it should be closed soon, and before the
// goroutine that holds it commits. Every stored value starts with a version byte.
package state
