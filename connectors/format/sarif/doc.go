// Package sarif reads results of static analysis tools in the Static Analysis
// Results Interchange Format 2.1.0 (OASIS Standard, docs.oasis-open.org/sarif/sarif/v2.1.0).
//
// A result means little without the run round it, so reading goes in two
// steps. Run takes a run's parts as they come, looks at every result once (Look)
// and then composes, per result, one small object that holds the result, its rule,
// its tool and what the run says about target and time (Compose). Decode reads that object.
package sarif
