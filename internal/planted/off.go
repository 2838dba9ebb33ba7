//go:build !planted

package planted

// On is false in this build.
func On(string) bool { return false }
