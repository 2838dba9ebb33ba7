package triage

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// mapLife is a world that random inputs drive, under one equivalence map after the other.
type mapLife struct {
	*life
	maps int
}

func drawProblems(t *rapid.T) map[string]string {
	m := map[string]string{}
	for _, c := range []string{"EC2.1", "S3.1"} {
		m[c] = rapid.SampledFrom([]string{"P", "Q", "R"}).Draw(t, c)
	}
	return m
}

// change brings another map into force, perhaps after one that is given up on its way.
func (w *mapLife) change(t *rapid.T) {
	for _, whole := range []bool{false, true} {
		if !whole && rapid.Bool().Draw(t, "at once") {
			continue
		}
		w.maps++
		w.config.equiv, w.config.version = drawProblems(t), fmt.Sprint("m", w.maps)
		w.check(t, "another map", Input{Map: &MapChange{Version: w.config.version}})
		n := rapid.IntRange(1, 3).Draw(t, "step")
		for i := 0; w.state.Meta().Migration != (Migration{}) && (whole || i < rapid.IntRange(0, 8).Draw(t, "steps")); i++ {
			if i > 2000 {
				t.Fatalf("the migration does not end: %+v", w.state.Meta().Migration)
			}
			w.check(t, "a step", Input{Migrate: n})
		}
	}
	if bad := w.homes(); len(bad) > 0 {
		t.Fatalf("after a map:\n%s", strings.Join(bad, "\n"))
	}
}

// TestLifeUnderChangingMaps drives random inputs of every kind, under one map after the other, and looks at the whole state after each.
func TestLifeUnderChangingMaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := standard()
		k.equiv, k.version = map[string]string{}, "m0"
		w := &mapLife{life: &life{world: newWorld(k)}}
		w.check(t, "the first map", Input{Map: &MapChange{Version: "m0"}})
		actions := maps.Clone(w.actions())
		actions["config"] = func(t *rapid.T) {
			equiv, version := w.config.equiv, w.config.version
			w.drawConfig(t, func(k *config) { k.equiv, k.version, k.group = equiv, version, "control" })
		}
		actions["map"] = w.change
		actions[""] = func(t *rapid.T) {
			if bad := w.identities(); len(bad) > 0 {
				t.Fatalf("identities:\n%s", strings.Join(bad, "\n"))
			}
		}
		t.Repeat(actions)
	})
}
