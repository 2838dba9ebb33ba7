package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReplace(t *testing.T) {
	tests := []struct {
		name, text, want string
		fails            bool
	}{
		{"first table", "a\n" + begin + "\n" + end + "\nz\n", "a\n" + begin + "\n\nTABLE\n\n" + end + "\nz\n", false},
		{"another table", "a\n" + begin + "\n\nOLD\n\n" + end + "\nz\n", "a\n" + begin + "\n\nTABLE\n\n" + end + "\nz\n", false},
		{"no marks", "a\n", "a\n", true},
		{"no end", begin + "\n", begin + "\n", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "page.md")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := replace(path, "TABLE\n"); (err != nil) != tt.fails {
				t.Errorf("replace() = %v; want an error: %v", err, tt.fails)
			}
			got, err := os.ReadFile(path)
			if err != nil || string(got) != tt.want {
				t.Errorf("replace() left %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestRender(t *testing.T) {
	got := render([]row{{Suite: "R1", What: "kills", Runs: 3, Lost: 1, Seconds: 2.4, Failed: true}}, 7, "short", "abc")
	if want := "| R1 | kills | 3 | 1 | 0 | 7 | 2 | **failed** |\n"; !strings.HasSuffix(got, want) {
		t.Errorf("render() = %q; want it to end with %q", got, want)
	}
}
