package sqs_test

// child runs what a test asks of its own child process, and says whether it did.
func child() bool { return false }
