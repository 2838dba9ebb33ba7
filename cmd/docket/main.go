// Command docket turns security findings into the right ticket, once.
package main

import (
	"os"

	"github.com/docket-hub/docket/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.LookupEnv))
}
