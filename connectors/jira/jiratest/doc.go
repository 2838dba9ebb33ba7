// Package jiratest is a stand-in for Jira: a stateful HTTP server that knows
// projects, workflows, screens and an index that lags, and that refuses what Jira
// refuses. Only tests import it.
//
// It speaks the REST API of Jira Cloud (version 2, and version 3 with its document
// format) and of Jira Data Center (version 2). What it answers follows Atlassian's
// published description of the API and its documentation; where both are silent it takes
// the strict side. Messages inside errors are those that people have reported, but
// only the status and the keys of "errors" are stable, there as here.
//
// [New] starts a server for one test, [Start] one that outlives a test, for
// programs that run as processes of their own. What a person does in Jira's pages are
// methods ([Server.Edit], [Server.Transition], [Server.Delete], …), what goes wrong on the way are
// rules ([Server.Inject]), and what happened is read back with [Server.Creates],
// [Server.Issue] and [Server.Requests].
package jiratest
