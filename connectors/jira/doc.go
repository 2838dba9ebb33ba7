// Package jira is the sink of type "jira": tickets as issues of Jira Cloud or Jira Data Center.
//
// It speaks REST v2 on both (https://developer.atlassian.com/cloud/jira/platform/rest/v2/,
// https://docs.atlassian.com/software/jira/docs/api/REST/), where texts are strings of wiki markup; the search of
// Cloud is search/jql, since the older one is gone there.
//
// An issue carries the ticket key twice: as a label (or in a text field of the user's choice), which
// the search sees, and in the issue property docket.ticket, which is set in the same call that makes the
// issue. The property also remembers what docket last wrote, field by field, so that a value is known
// to be a person's even where docket's own state was lost. Clones of an issue share its label, but not its property.
package jira
