// Package ingest takes records in: it normalises each to a report with its
// fingerprint, packs reports into envelopes and hands these to the stream.
//
// An Intake is the pipeline.Emitter of one read of one source. What it returned
// from is durable. A Memo spares it the records that are seen again with nothing new but their
// vendor's time stamps, and a Handover spares triage the decoding of those that are new.
package ingest
