package all

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// notTypes are the folders beside the connectors that hold none.
var notTypes = []string{"all", "connectortest", "format", "testdata"}

func TestEveryFolderIsInTheList(t *testing.T) {
	set, err := Set()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() || slices.Contains(notTypes, e.Name()) {
			continue
		}
		if f, ok := set[e.Name()]; !ok || f.Source == nil && f.Sink == nil {
			t.Errorf("connectors/%s is not in the list of connectors/all", e.Name())
		}
		if _, err := os.Stat(filepath.Join("..", e.Name(), "README.md")); err != nil {
			t.Errorf("connectors/%s has no README.md", e.Name())
		}
	}
}
