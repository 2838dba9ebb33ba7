// Package config is docket's configuration file: Load reads a file or a folder,
// checks everything that can be checked without connecting, and reports all that is
// wrong at once, each with its place, the source line and what to write instead.
//
// Config holds every key outside the blocks of sources and sinks. Such a Block stays
// undecoded, because this package knows no connector: the connector's factory
// decodes it into its own struct by the same strict rules (Block.Decode). Errors of
// later stages find their place by Config.ErrorAt and Block.Errorf, and Join puts
// the errors of all stages into one list.
//
// Secrets are references (see config/secret). No message, excerpt or output of this package
// holds a secret's value, nor anything that was written in a secret's place.
package config
