// Package ticket writes the text of a ticket from pipeline.Ticket, the same for
// every sink: Markdown makes the whole text, Comment one delivered change, ConsoleURL and
// Escape are for sinks that build their own.
//
// Everything that a source or a person wrote is data here: control characters,
// terminal sequences, invisible and direction-changing characters are taken out, Markdown and
// HTML are escaped, and long texts are cut in characters with a note that says so. The text
// depends on the ticket only: no clock, no map order.
package ticket
