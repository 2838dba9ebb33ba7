package app

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/pipeline"
)

func TestAccountsAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), accountsFile)
	var out logs
	if got := readAccounts(path, out.logger()); got != nil || out.String() != "" {
		t.Errorf("readAccounts(no file) = %v, log %q; want nothing and silence", got, out.String())
	}
	want := map[string]pipeline.Account{"111122223333": {ID: "111122223333", Name: "shop", OU: []string{"Root", "Prod"}, Tags: map[string]string{"team": "pay"}}}
	for range 2 { // the second replaces the first
		if err := writeAccounts(path, want); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(want, readAccounts(path, out.logger())); d != "" {
		t.Errorf("readAccounts(writeAccounts(x)) differs (-want +got):\n%s", d)
	}
	if list, err := os.ReadDir(filepath.Dir(path)); err != nil || len(list) != 1 {
		t.Errorf("the folder holds %v, %v; want the one file", list, err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := readAccounts(path, out.logger()); got != nil || out.String() == "" {
		t.Errorf("readAccounts(damaged) = %v, log %q; want nothing and a word about it", got, out.String())
	}
}
