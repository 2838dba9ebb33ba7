// Package crashtest kills the real binary at random and counts tickets. It
// holds tests only; `make crash` runs them at full length.
package crashtest
