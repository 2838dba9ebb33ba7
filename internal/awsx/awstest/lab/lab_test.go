package lab_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/internal/awsx/awstest/lab"
)

// TestWorldIsTheSame: two worlds of one instant say the same, word for word.
func TestWorldIsTheSame(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	a, b := lab.New(at), lab.New(at)
	for _, account := range a.Org.Accounts {
		for _, region := range a.Org.Regions {
			if x, y := a.Hub(account.ID, region), b.Hub(account.ID, region); !slices.EqualFunc(x, y, func(x, y json.RawMessage) bool { return bytes.Equal(x, y) }) {
				t.Errorf("Hub(%s, %s) differs between two worlds", account.ID, region)
			}
		}
	}
	if !slices.Equal(a.Problems, b.Problems) || len(a.Problems) != 10*2+10*3*5 {
		t.Errorf("%d and %d problems; want 170, the same", len(a.Problems), len(b.Problems))
	}
}

// TestEveryPairOfServicesOverlaps: of the four services each shares problems with another, and none reports all.
func TestEveryPairOfServicesOverlaps(t *testing.T) {
	w := lab.New(time.Now())
	shared, total := map[string]int{}, map[string]int{}
	for _, p := range w.Problems {
		for _, s := range p.Kind.Seen() {
			total[s]++
			if len(p.Kind.Seen()) > 1 {
				shared[s]++
			}
		}
	}
	for _, s := range []string{lab.SecurityHub, lab.GuardDuty, lab.TrustedAdvisor, lab.EventBridge} {
		if shared[s] == 0 || total[s] == len(w.Problems) {
			t.Errorf("%s reports %d of %d problems, %d of them with another; want some, not all", s, total[s], len(w.Problems), shared[s])
		}
	}
}

func TestLab(t *testing.T) {
	l, err := lab.Start(lab.New(time.Now().Add(-time.Hour)), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Errorf("Close() = %v; want nil", err)
		}
	}()
	// In a region: 2 of each account and 4 of the region in Security Hub, one in GuardDuty, 4 events. Trusted Advisor: 2 and 3 an account.
	if got, want := l.Reports(), 30*(6+1+4)+10*5; got != want {
		t.Errorf("Reports() = %d; want %d", got, want)
	}
	first, err := l.Fix()
	if err != nil || !strings.HasPrefix(first, "fixed: SSH open to the world") {
		t.Errorf("Fix() = %q, %v; want one that is fixed", first, err)
	}
	if second, err := l.Fix(); err != nil || second == first {
		t.Errorf("Fix() again = %q, %v; want another one", second, err)
	}
	if err := l.Add(10); err != nil {
		t.Errorf("Add(10) = %v; want nil", err)
	}
}
