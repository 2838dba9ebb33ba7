// Package guardduty reads the findings of Amazon GuardDuty, API version 2017-11-28
// (https://docs.aws.amazon.com/guardduty/latest/APIReference/), in every account and region that the
// configuration names.
//
// A place is the detector of an account in a region. The detector of an administrator account
// also lists what its members' detectors find, so members are read through it where docket reads both. A
// poll asks each place for what was updated since the one before; a full read asks for everything, and proves
// for each account of the place what is gone. A place that cannot be read is a gap and leaves the others alone.
package guardduty
