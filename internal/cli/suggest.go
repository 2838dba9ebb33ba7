package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// near lists the flags of a command that word is a slip of the hand away from.
func near(c *cobra.Command, word string) []string {
	var out []string
	look := func(f *pflag.Flag) {
		if !f.Hidden && (distance(word, f.Name) <= 2 || len(word) > 2 && strings.HasPrefix(f.Name, word)) {
			out = append(out, "--"+f.Name)
		}
	}
	c.LocalFlags().VisitAll(look)
	c.InheritedFlags().VisitAll(look)
	return out
}

// distance is how many characters must be put in, left out or replaced to make b of a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
