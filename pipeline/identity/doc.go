// Package identity gives a report its stable identity: the canonical region
// and resource, the canonical problem, and the fingerprint over account,
// region, resource and problem. Two reports of one problem on one resource get
// one fingerprint, whichever product says so and in whatever spelling.
//
// Severity, title, time, product and per-scan ids are never part of it.
//
// Which controls of different products are one problem is data: controls.tsv,
// read by Rows. Two controls share a row only where both pass and fail on the
// same fact about the same resource.
package identity
