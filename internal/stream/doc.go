// Package stream carries findings, people's and workers' inputs, and actions on
// NATS JetStream: embedded in the process, or an external cluster. It is the
// only importer of NATS besides the measurement of its bare limits in
// internal/bench/limits.
//
// A Stream holds three JetStream streams. FINDINGS carries packed envelopes;
// INPUTS carries outcomes, interactions and configuration changes in room of its own,
// so that full findings never keep a worker from reporting; ACTIONS is the work
// queue of the sinks. FINDINGS and INPUTS are read strictly in sequence from a
// position that the reader keeps; being done with them only frees space.
//
// A publish returns once the message is flushed to disk. A flush is dear and its
// size hardly matters, so callers that publish at the same time share one message
// and one flush.
//
// The embedded server keeps its files in Options.Dir. Two processes must never
// open one directory: the lock of the state file beside it, taken first, sees to that.
package stream
