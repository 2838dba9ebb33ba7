//go:build !linux

package app

// forgetStart does nothing where only Linux's meaning of it is known to be safe.
func forgetStart() {}
