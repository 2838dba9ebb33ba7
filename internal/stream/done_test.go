package stream

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func TestDoneActionsPlan(t *testing.T) {
	for _, c := range []struct {
		name       string
		state      jetstream.StreamState
		done       []uint64
		age        time.Duration
		upTo       uint64
		stragglers []uint64
		more       bool
	}{
		{"nothing", jetstream.StreamState{}, nil, 0, 0, nil, false},
		{"all so far", jetstream.StreamState{FirstSeq: 1}, []uint64{3, 1, 2}, 0, 3, nil, false},
		{"behind one that stays", jetstream.StreamState{FirstSeq: 5}, []uint64{5, 7, 8}, 0, 5, nil, true},
		{"behind one that stays for long", jetstream.StreamState{FirstSeq: 5}, []uint64{5, 7, 8}, stragglerAge, 5, []uint64{7, 8}, false},
		{"over those of a former run", jetstream.StreamState{FirstSeq: 5, Deleted: []uint64{6, 7}}, []uint64{5, 8}, 0, 8, nil, false},
		{"below the first", jetstream.StreamState{FirstSeq: 5}, []uint64{2}, stragglerAge, 4, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDoneActions(c.state)
			for _, seq := range c.done {
				d.add(seq)
			}
			upTo, stragglers, more := d.plan(time.Now().Add(c.age))
			slices.Sort(stragglers)
			if upTo != c.upTo || !slices.Equal(stragglers, c.stragglers) || more != c.more {
				t.Errorf("plan = %d, %v, %v; want %d, %v, %v", upTo, stragglers, more, c.upTo, c.stragglers, c.more)
			}
			for _, seq := range stragglers {
				d.removedOne(seq)
			}
			d.removedUpTo(upTo)
			if again, one, _ := d.plan(time.Now().Add(c.age)); again != upTo || len(one) != 0 {
				t.Errorf("plan after removing = %d, %v; want %d and nothing again", again, one, upTo)
			}
		})
	}
}

func TestFinishedActionsAreRemovedAroundOneThatStays(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	if err := s.PublishActions(t.Context(), actionsOf("jira", 6)); err != nil {
		t.Fatal(err)
	}
	c, err := s.Actions(t.Context(), "jira")
	if err != nil {
		t.Fatal(err)
	}
	const stays = 2
	for i, d := range fetch(t, c, 6) {
		if i == stays {
			continue
		}
		if err := d.Done(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 6 {
		pending, err := s.PendingActions(t.Context(), "jira", fmt.Sprintf("DK-%d", i+1))
		if err != nil || pending != (i == stays) {
			t.Errorf("PendingActions(DK-%d) = %v, %v; want %v at once", i+1, pending, err, i == stays)
		}
	}
	shut(t, s)

	s = open(t, Options{Dir: dir})
	stats, err := s.Stats(t.Context())
	if err != nil || stats.Actions.Messages != 1 || stats.Actions.First != stays+1 {
		t.Errorf("Stats = %+v, %v; want only action %d", stats.Actions, err, stays+1)
	}
	if c, err = s.Actions(t.Context(), "jira"); err != nil {
		t.Fatal(err)
	}
	if err := fetch(t, c, 6)[0].Done(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() (bool, error) {
		stats, err := s.Stats(t.Context())
		return stats.Actions.Messages == 0, err
	}, "an empty queue")
}
