// Package file is the source and the sink of type "file".
//
// The Source reads findings from files named by patterns, or from standard
// input, and can watch the folders. The Sink writes one Markdown file a ticket into a folder; it
// needs no account anywhere. Neither knows a findings format: what takes a document apart is handed
// in (Splitter).
package file
