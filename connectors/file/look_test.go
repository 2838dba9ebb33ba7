package file

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/pipeline"
)

func TestSinkList(t *testing.T) {
	s, dir := newSink(t)
	var got []pipeline.Listed
	collect := func(l pipeline.Listed) error {
		l.Ref.URL = ""
		got = append(got, l)
		return nil
	}
	if err := s.List(t.Context(), collect); err != nil || got != nil {
		t.Errorf("List() without a folder = %+v, %v; want nothing", got, err)
	}
	in := testTicket(3)
	in.Gen, in.Group = 2, []pipeline.GroupValue{{Name: "account", Value: "1111"}, {Name: "title", Value: "a; b = c"}}
	if _, err := s.Apply(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	text := read(t, filepath.Join(dir, testKey+".md"))
	for name, content := range map[string]string{"copy.md": text, "README.md": "# tickets\n", "notes.txt": "x", ".hidden.md": text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.List(t.Context(), collect); err != nil {
		t.Fatalf("List() = %v; want no error", err)
	}
	one := pipeline.Listed{
		Ref: pipeline.Ref{ID: "copy.md", Key: "DK-12"}, Key: testKey, Gen: 2, Case: "DK-12", Rev: 3, Open: true,
		Updated: noon, Title: "Bucket is public",
		Group: []pipeline.GroupValue{{Name: "account", Value: "1111"}, {Name: "title", Value: "a b = c"}},
	}
	two := one
	two.Ref.ID = testKey + ".md"
	if diff := cmp.Diff([]pipeline.Listed{one, two}, got); diff != "" {
		t.Errorf("List() differs (-want +got):\n%s", diff)
	}
	stop := errors.New("enough")
	if err := s.List(t.Context(), func(pipeline.Listed) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("List() = %v; want the error of fn", err)
	}
}

func TestSinkPreviewIsWhatApplyWrites(t *testing.T) {
	s, dir := newSink(t)
	s.now = func() time.Time { return noon }
	in := testTicket(1)
	got, err := s.Preview(t.Context(), in)
	if err != nil || got.Title != "Bucket is public" {
		t.Fatalf("Preview() = %q, %v; want the title", got.Title, err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("Preview() made the folder; want nothing changed")
	}
	if _, err := s.Apply(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	held := parse(read(t, filepath.Join(dir, testKey+".md")))
	shown := parse(got.Body)
	shown.head.Updated = held.head.Updated
	if shown.head != held.head {
		t.Errorf("Preview() front matter = %+v; want %+v", shown.head, held.head)
	}
}

func TestSinkRemove(t *testing.T) {
	s, dir := newSink(t)
	made, err := s.Apply(t.Context(), testTicket(1))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if err := s.Remove(t.Context(), made.Ref); err != nil {
			t.Errorf("Remove() %d = %v; want no error", i, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 0 {
		t.Errorf("Remove() left %v; want nothing", left)
	}
	for _, id := range []string{"../docket.yaml", "..md/../x.md", "docket.yaml", ""} {
		if err := s.Remove(t.Context(), pipeline.Ref{ID: id}); err == nil {
			t.Errorf("Remove(%q) = nil; want it refused", id)
		}
	}
}
