// Package expr runs the conditions that a person writes over one finding:
// CEL expressions (https://cel.dev) such as
//
//	finding.account.tags["tier"] == "0" && "known_exploited" in finding.risk_factors
//
// An Env compiles a text to a Program once; an unknown field, a wrong type or
// an expression that cannot end in time is an error there, with its line and
// column. A Subject holds one finding for any number of programs.
//
// The only variable is finding. Its fields are named as in the JSON of
// pipeline.Finding, and three are added: severity_rank (0 unknown, 1
// INFORMATIONAL to 5 CRITICAL, for < and >), tag (the resource's tags) and raw
// (the source's whole record, of which nothing is known before it is read). A tag that is
// missing reads as "", while has() and in still tell the truth; a field that is missing in raw is
// an error of that evaluation.
//
// It is the only package that imports CEL.
package expr
