// Package cli is docket's command line: it reads arguments, asks the service
// that the running daemon or the state file offers, and prints for people or as JSON.
// Data goes to standard output, everything else to standard error.
//
// The exit status is 0 when all went well, 1 when something failed, 2 for bad
// usage or a bad configuration, 3 (only plan --detailed-exitcode) when there is
// something to do.
package cli
