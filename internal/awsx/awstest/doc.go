// Package awstest is a stand-in for AWS on one address, for tests and the lab alone: real SDK clients
// speak to it over HTTP and get what AWS would answer, refusals included.
//
// A Server holds an organisation (Org) and answers for sts, organizations, account,
// secretsmanager and ssm from it. Every other service is a Handler of its own, added with Handle.
// The server reads service and region from the credential scope of the signature (Signature Version 4),
// the account from the access key, and the operation from what the protocol carries it in:
//
//   - awsJson1.0 (sqs) and awsJson1.1 (organizations, secretsmanager, ssm, support): X-Amz-Target
//   - query (sts): the form field Action; the answers are XML
//   - restJson1 (account, guardduty, securityhub, trustedadvisor): method and path
//   - rpc-v2-cbor: the path. No client that docket uses asks this way today; it is refused in its own form
//
// Source: the Smithy specifications of the AWS protocols (smithy.io/2.0/aws/protocols) and the serializers
// of the SDK's clients. The signature itself is not worked out again: its parts have to be there and well-formed.
package awstest
