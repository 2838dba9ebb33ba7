// Package archtest holds the tests that guard the shape of the repository as
// docs/architecture.md draws it: which package may import which, where the big libraries may be
// used, which folders there are, and what may not stand in any file. It has no other code.
package archtest
