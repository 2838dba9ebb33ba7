// Package risk works out how urgent a finding is: the risk factors that a report
// carries (Derive), the points they give, the score, the priority, and the
// explanation of all of it (Model.Assess). It decides nothing else and reads no clock.
//
// docs/risk.md is written from the tables of this package by its test.
package risk
