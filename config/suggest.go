package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/docket-hub/docket/pipeline"
)

// words are the words that a type takes, where it is a closed list.
func words(t reflect.Type) []string {
	switch t {
	case reflect.TypeFor[pipeline.Priority]():
		return []string{"P1", "P2", "P3", "P4", "P5"}
	case reflect.TypeFor[pipeline.Severity]():
		return []string{"CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL"}
	}
	return nil
}

// suggestWord is "did you mean …?" with the nearest of known, or "" where none is near.
func suggestWord(word string, known []string) string {
	if best := nearest(word, known); best != "" {
		return fmt.Sprintf("did you mean %s?", best)
	}
	return ""
}

// nearest is the known word with the fewest typing mistakes to word: at most
// one in three characters. Case and the kind of dash count as nothing.
func nearest(word string, known []string) string {
	best, least := "", len([]rune(word))/3+1
	if len(word) > 64 {
		return ""
	}
	for _, k := range known {
		if n := distance(fold(word), fold(k)); n < least {
			best, least = k, n
		}
	}
	return best
}

func fold(word string) string {
	return strings.ToLower(strings.NewReplacer("-", "_", " ", "_").Replace(word))
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(x)][len(y)]
}
