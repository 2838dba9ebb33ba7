// Package lab is an organisation of ten accounts in three regions whose findings overlap on purpose: most problems are
// seen by two or three of Security Hub, GuardDuty, Trusted Advisor and EventBridge at once. It makes the same every time.
// A World holds the accounts, what each service says, and what docket has to make of it (Problems).
package lab
