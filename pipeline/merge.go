package pipeline

import (
	"cmp"
	"slices"
)

// productRank is the fixed order in which reports give a finding its words:
// the first that has them wins, whatever arrived first.
var productRank = map[string]int{
	"Security Hub": 1, "GuardDuty": 2, "Inspector": 3, "Macie": 4, "IAM Access Analyzer": 5,
	"docket": 6, "Trusted Advisor": 7, "Prowler": 8,
}

func rankOf(r *Report) int {
	if n, ok := productRank[r.Product]; ok {
		return n
	}
	return len(productRank) + 1
}

// compareReports orders reports for words: open ones first, then by product, then by id.
func compareReports(a, b *Report) int {
	if c := cmp.Compare(statusRank(a.Status), statusRank(b.Status)); c != 0 {
		return c
	}
	if c := cmp.Compare(rankOf(a), rankOf(b)); c != 0 {
		return c
	}
	if c := cmp.Compare(a.Product, b.Product); c != 0 {
		return c
	}
	return cmp.Compare(a.ID, b.ID)
}

// Leading is the index of the report that gives a finding its words. Reports must not be empty.
func Leading(reports []Report) int {
	first := 0
	for i := range reports {
		if compareReports(&reports[i], &reports[first]) < 0 {
			first = i
		}
	}
	return first
}

func statusRank(s Status) int {
	switch s {
	case StatusOpen:
		return 0
	case StatusUnproven:
		return 1
	}
	return 2
}

// Merge makes the one view of all reports of a finding. The order of reports does not matter. It
// is open while any report is, resolved when all are, unproven otherwise; severity and risk
// factors are those of the open reports (of all, when none is open). Reports must not be empty.
func Merge(print Fingerprint, reports []Report) Finding {
	order := make([]*Report, len(reports))
	for i := range reports {
		order[i] = &reports[i]
	}
	slices.SortFunc(order, compareReports)
	first := order[0]
	f := Finding{
		Fingerprint: print, Kind: first.Kind, Account: first.Account, Region: first.Region,
		Resource: first.Resource, Repository: first.Repository, Control: first.Control,
		Problem: first.Problem, Title: first.Title, Status: first.Status,
		StatusReason: first.StatusReason, Raw: first.Raw, RemediationGroup: first.RemediationGroup,
	}
	for _, r := range order {
		mergeWords(&f, r)
		f.Products = addSorted(f.Products, r.Product)
		if r.ObservedAt.After(f.ObservedAt) {
			f.ObservedAt = r.ObservedAt
		}
		if t := r.FirstObserved; !t.IsZero() && (f.FirstObserved.IsZero() || t.Before(f.FirstObserved)) {
			f.FirstObserved = t
		}
		// Only the reports that share the first's standing speak of how bad it is.
		if statusRank(r.Status) == statusRank(first.Status) {
			f.Severity = max(f.Severity, r.Severity)
			for _, x := range r.RiskFactors {
				f.RiskFactors = addSorted(f.RiskFactors, x)
			}
		}
	}
	f.Reports = reports
	return f
}

// mergeWords fills what the better ranked reports left empty.
func mergeWords(f *Finding, r *Report) {
	f.Title = cmp.Or(f.Title, r.Title)
	f.Description = cmp.Or(f.Description, r.Description)
	f.Control = cmp.Or(f.Control, r.Control)
	f.Repository = cmp.Or(f.Repository, r.Repository)
	if f.Remediation == (Remediation{}) {
		f.Remediation = r.Remediation
	}
	if len(f.Links) == 0 {
		f.Links = r.Links
	}
	if f.Vuln == nil {
		f.Vuln = r.Vuln
	}
	if f.Code == nil {
		f.Code = r.Code
	}
	for _, c := range r.Compliance {
		f.Compliance = addSorted(f.Compliance, c)
	}
	for _, t := range r.Tags {
		f.Tags = addSorted(f.Tags, t)
	}
	f.Account.Name = cmp.Or(f.Account.Name, r.Account.Name)
	if len(f.Account.OU) == 0 {
		f.Account.OU = r.Account.OU
	}
	f.Account.Tags = addTags(f.Account.Tags, r.Account.Tags)
	f.Resource.Tags = addTags(f.Resource.Tags, r.Resource.Tags)
	f.Resource.Name = cmp.Or(f.Resource.Name, r.Resource.Name)
	f.Resource.Type = cmp.Or(f.Resource.Type, r.Resource.Type)
}

// addTags lays the better ranked tags over the further ones, without changing either map.
func addTags(have, more map[string]string) map[string]string {
	if len(more) == 0 {
		return have
	}
	if len(have) == 0 {
		return more
	}
	all := make(map[string]string, len(have)+len(more))
	for k, v := range more {
		all[k] = v
	}
	for k, v := range have {
		all[k] = v
	}
	return all
}

func addSorted(list []string, word string) []string {
	if word == "" {
		return list
	}
	i, found := slices.BinarySearch(list, word)
	if found {
		return list
	}
	return slices.Insert(list, i, word)
}
