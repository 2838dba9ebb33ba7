//go:build planted

package planted

import "os"

// On reports whether the defect is the one that DOCKET_PLANTED names.
func On(name string) bool { return os.Getenv("DOCKET_PLANTED") == name }
