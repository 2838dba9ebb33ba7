// Package webhook is the type "webhook": a source that findings are pushed to over
// HTTP (POST /api/v1/ingest/NAME) in any format that docket reads, and which has nothing to
// poll; and a sink that posts each ticket as JSON to an address, signed.
package webhook
