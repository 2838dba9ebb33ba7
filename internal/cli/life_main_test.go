package cli

import (
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets scripts call the real program as `docket`. DOCKET_TEST_SKEW moves its clock.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"docket": func() {
		w := product()
		if word := os.Getenv("DOCKET_TEST_SKEW"); word != "" {
			d, err := time.ParseDuration(word)
			if err != nil {
				panic(err)
			}
			w.skew = d
		}
		os.Exit(run(os.Args[1:], newStreams(os.Stdin, os.Stdout, os.Stderr, os.LookupEnv), os.LookupEnv, w))
	}})
}
