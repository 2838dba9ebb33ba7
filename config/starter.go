package config

import _ "embed"

//go:embed starter.yaml
var starter string

// Starter is the commented configuration that docket init writes, and that a
// caller may use where there is no file.
func Starter() []byte { return []byte(starter) }
