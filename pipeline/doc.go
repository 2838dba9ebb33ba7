// Package pipeline is the domain of docket as values: what a source says
// (Report), what is known about one problem on one resource (Finding), the
// unit of work (Case), its record in a tracker (Ticket), and the ports that
// connectors implement (Source, Sink). It imports the standard library only;
// every other package may import it.
package pipeline
