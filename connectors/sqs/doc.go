// Package sqs is the source type "sqs": findings that EventBridge pushes into a
// queue of Amazon SQS as they happen, in any format that docket reads (SQS API reference, version
// 2012-11-05; EventBridge user guide, "Amazon SQS queues as targets").
//
// What is taken from the queue is deleted there once it is stored here, and not before. A message that
// arrives a second time, as SQS may deliver it, changes nothing: its findings are known by then.
package sqs
