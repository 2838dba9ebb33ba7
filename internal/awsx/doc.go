// Package awsx is how docket reaches AWS: which accounts and regions there are to read, with
// which credentials, how fast, and what an error of AWS means.
//
// A Fleet is made once for a configuration. Its Targets are every account and region that a source
// reads, each with an aws.Config that an SDK client is made of; Home is the one place of a source that has only
// one. The credentials come from the SDK's standard chain (environment, shared files and profile, SSO, web
// identity, container and instance roles) and AWS_ENDPOINT_URL is honoured, see
// https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html. In another account docket takes
// one role, whose credentials are kept and renewed.
//
// Every call through such a config has a deadline, waits for its turn (lanes), slows down when AWS
// throttles it, and is tried again where that helps. What fails for one account or region is a pipeline.Gap and
// holds the others up in nothing. Class turns an error of the SDK into pipeline's classes.
//
// The package writes nothing to disk. The list of accounts is read again after a start, and until it was read nothing is
// polled, so nothing is lost. Their names, units and tags may be kept by the caller (Options.Keep), for findings that are pushed meanwhile.
package awsx
