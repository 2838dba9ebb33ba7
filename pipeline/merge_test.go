package pipeline

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func TestMerge(t *testing.T) {
	tests := []struct {
		name    string
		reports []Report
		want    Finding // only the fields that are compared below
	}{
		{
			"open while any report is, as severe as the open ones",
			[]Report{
				{Product: "Prowler", ID: "a", Status: StatusOpen, Severity: Low, RiskFactors: []string{"no_mfa"}},
				{Product: "Security Hub", ID: "b", Status: StatusResolved, Severity: Critical, RiskFactors: []string{"production"}},
			},
			Finding{Status: StatusOpen, Severity: Low, RiskFactors: []string{"no_mfa"}, Products: []string{"Prowler", "Security Hub"}},
		},
		{
			"resolved when all are",
			[]Report{
				{Product: "Prowler", ID: "a", Status: StatusResolved, Severity: Low},
				{Product: "Security Hub", ID: "b", Status: StatusResolved, Severity: High},
			},
			Finding{Status: StatusResolved, Severity: High, Products: []string{"Prowler", "Security Hub"}},
		},
		{
			"unproven between resolved and open",
			[]Report{
				{Product: "Prowler", ID: "a", Status: StatusResolved, Severity: Critical},
				{Product: "Security Hub", ID: "b", Status: StatusUnproven, Severity: Medium},
			},
			Finding{Status: StatusUnproven, Severity: Medium, Products: []string{"Prowler", "Security Hub"}},
		},
		{
			"words from the first in the fixed order of products, gaps from the others",
			[]Report{
				{Product: "Zed", ID: "z", Status: StatusOpen, Title: "zed's title", Description: "zed's words", Links: []string{"z"}},
				{Product: "Security Hub", ID: "b", Status: StatusOpen, Title: "hub's title"},
			},
			Finding{Status: StatusOpen, Title: "hub's title", Description: "zed's words", Links: []string{"z"}, Products: []string{"Security Hub", "Zed"}},
		},
		{
			"an open report's words before a resolved one's of a better product",
			[]Report{
				{Product: "Security Hub", ID: "b", Status: StatusResolved, Title: "hub's title"},
				{Product: "Prowler", ID: "a", Status: StatusOpen, Title: "prowler's title"},
			},
			Finding{Status: StatusOpen, Title: "prowler's title", Products: []string{"Prowler", "Security Hub"}},
		},
		{
			"the newest look, and the oldest first observation that is known",
			[]Report{
				{Product: "Prowler", ID: "a", Status: StatusOpen, ObservedAt: noon},
				{Product: "Security Hub", ID: "b", Status: StatusOpen, ObservedAt: noon.Add(time.Hour), FirstObserved: noon.Add(-time.Hour)},
			},
			Finding{Status: StatusOpen, ObservedAt: noon.Add(time.Hour), FirstObserved: noon.Add(-time.Hour), Products: []string{"Prowler", "Security Hub"}},
		},
		{
			"tags of the better product win, the others' are added",
			[]Report{
				{Product: "Prowler", ID: "a", Status: StatusOpen, Resource: Resource{Tags: map[string]string{"owner": "p", "env": "prod"}}},
				{Product: "Security Hub", ID: "b", Status: StatusOpen, Resource: Resource{Tags: map[string]string{"owner": "h"}}},
			},
			Finding{Status: StatusOpen, Resource: Resource{Tags: map[string]string{"owner": "h", "env": "prod"}}, Products: []string{"Prowler", "Security Hub"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			print := Fingerprint{1}
			tt.want.Fingerprint = print
			got := Merge(print, slices.Clone(tt.reports))
			back := slices.Clone(tt.reports)
			slices.Reverse(back)
			other := Merge(print, back)
			got.Reports, other.Reports = nil, nil
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("Merge(%s) = %+v; want %+v", tt.name, got, tt.want)
			}
			if !reflect.DeepEqual(other, got) {
				t.Errorf("Merge in the other order = %+v; want %+v", other, got)
			}
		})
	}
}

// TestMergeLeavesReportsAlone: the view is a copy where it is put together.
func TestMergeLeavesReportsAlone(t *testing.T) {
	reports := func() []Report {
		return []Report{
			{Product: "Prowler", ID: "a", Status: StatusOpen, Resource: Resource{Tags: map[string]string{"a": "1"}}, Compliance: []string{"b", "a"}},
			{Product: "Security Hub", ID: "b", Status: StatusOpen, Resource: Resource{Tags: map[string]string{"b": "2"}}, Compliance: []string{"c"}},
		}
	}
	got := reports()
	Merge(Fingerprint{}, got)
	if want := reports(); !reflect.DeepEqual(got, want) {
		t.Errorf("after Merge the reports are %+v; want %+v", got, want)
	}
}

func TestTicketKey(t *testing.T) {
	base := TicketKey("acme", "group", 1)
	if len(base) != len("docket-")+20 {
		t.Errorf("TicketKey(acme, group, 1) = %q; want docket- and 20 hex digits", base)
	}
	if again := TicketKey("acme", "group", 1); again != base {
		t.Errorf("TicketKey twice = %q, %q; want the same", base, again)
	}
	for _, other := range []string{TicketKey("acme", "group", 2), TicketKey("acm", "egroup", 1), TicketKey("other", "group", 1)} {
		if other == base {
			t.Errorf("TicketKey of something else = %q too", other)
		}
	}
}
