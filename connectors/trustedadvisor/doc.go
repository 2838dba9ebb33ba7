// Package trustedadvisor is the source of that type: what AWS Trusted Advisor's checks list in every account.
//
// It reads one of two APIs, as `api` says: AWS Support, version 2013-04-15 (support: checks, refresh, results), or AWS
// Trusted Advisor, version 2022-09-15 (trustedadvisor: checks, recommendations, their resources). Both answer in one region for all
// regions of the account. The records are those of connectors/format/trustedadvisor, the same from either.
//
// See https://docs.aws.amazon.com/awssupport/latest/APIReference/Welcome.html and
// https://docs.aws.amazon.com/trustedadvisor/latest/APIReference/Welcome.html.
package trustedadvisor
