// Package securityhub reads findings from AWS Security Hub: those of Security Hub CSPM in the AWS Security Finding
// Format (GetFindings, API version 2018-10-08), or those of its second generation in OCSF (GetFindingsV2).
// https://docs.aws.amazon.com/securityhub/1.0/APIReference/
//
// A poll asks for what was updated since the last one. A full read asks for everything, in the order of the updates, so
// that a read that was cut off goes on where it was; only one that reached its end in one go proves what is gone. What an
// answer holds goes on as the service wrote it: members that this program does not know survive.
package securityhub
