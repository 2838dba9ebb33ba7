// Package format turns findings documents into records and records into
// reports. Split finds the format by content, takes the wrapping off and hands
// the records on one by one in bounded memory; Decode turns one record into a
// pipeline.Report. The formats are the AWS Security Finding Format (asff), the
// Open Cybersecurity Schema Framework (ocsf), SARIF 2.1.0 (sarif), GuardDuty's own (guardduty), docket's
// own JSON (docket), rows of Trusted Advisor (trustedadvisor) and the AWS services' own (inspector2, macie, and what only EventBridge
// carries), each with its decoder in a folder of that name.
//
// A record that cannot be read is rejected by itself, with its position and
// what was read of it; the records beside it go on.
package format
