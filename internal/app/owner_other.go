//go:build !(linux || darwin || freebsd)

package app

import "log/slog"

func warnOfRoot(string, *slog.Logger) {}
