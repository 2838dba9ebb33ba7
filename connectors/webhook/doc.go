// Package webhook is the source of type "webhook": findings are pushed to it
// over HTTP (POST /api/v1/ingest/NAME) in any format that docket reads. It has nothing to poll.
package webhook
