// Package bench measures docket as its users run it: the real binary as a
// daemon, driven over HTTP from outside, with the CPU time of that process alone.
// Rates are shown as a share of what the machine and the bare libraries do in the same
// minute (package limits), because absolute figures vary tenfold with the hour.
//
// The load is a fixed mix of findings, the same for the same seed. The tool in
// cmd/bench writes the results into docs/performance.md.
package bench
