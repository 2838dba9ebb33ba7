package secret

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Form is a way to name a secret: the key of its reference.
type Form string

// The forms. The two of AWS are known by their syntax only.
const (
	FormEnv               Form = "env"
	FormFile              Form = "file"
	FormAWSSecretsManager Form = "aws_secretsmanager"
	FormAWSSSM            Form = "aws_ssm"
)

// Forms are all forms, in the order in which messages name them.
func Forms() []Form { return []Form{FormEnv, FormFile, FormAWSSecretsManager, FormAWSSSM} }

// Ref names a secret: {env: NAME}, {file: PATH}, {aws_secretsmanager: "NAME#json-key"} or {aws_ssm: "/path"}.
type Ref struct {
	Form Form
	Name string
}

// String is the reference as it is written in YAML; "" for the zero Ref.
func (r Ref) String() string {
	if r.Form == "" {
		return ""
	}
	return fmt.Sprintf("{%s: %q}", r.Form, r.Name)
}

// ErrNotBuilt is the refusal of a form that this version knows by name only.
var ErrNotBuilt = errors.New("is not built yet in this version: use {env: NAME} or {file: PATH}")

// envName is what POSIX calls a name (Base Definitions 3.216, "Name"). Anything
// else in its place is most likely the secret itself.
var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Presentable reports whether the name may be shown: the name of an environment
// variable that cannot be one is taken for a literal secret in the wrong place.
func (r Ref) Presentable() bool {
	if r.Form == FormEnv {
		return envName.MatchString(r.Name)
	}
	return !strings.ContainsAny(r.Name, "\r\n")
}

// Resolve reads the secret: the environment variable by getenv, the file by
// readFile, whose trailing newlines are cut. A variable that is not set, a file
// that cannot be read and an empty secret are errors; no error holds the secret.
func (r Ref) Resolve(getenv func(string) (string, bool), readFile func(string) ([]byte, error)) (Value, error) {
	if !r.Presentable() {
		return Value{}, fmt.Errorf("what stands under %s is not a name of one: it names where the secret is, it does not hold it", r.Form)
	}
	switch r.Form {
	case FormEnv:
		text, ok := getenv(r.Name)
		if !ok {
			return Value{}, fmt.Errorf("environment variable %s is not set", r.Name)
		}
		if text == "" {
			return Value{}, fmt.Errorf("environment variable %s is empty", r.Name)
		}
		return New(text, r), nil
	case FormFile:
		data, err := readFile(r.Name)
		if err != nil {
			return Value{}, fmt.Errorf("reading the secret's file: %w", err)
		}
		text := strings.TrimRight(string(data), "\r\n")
		if text == "" {
			return Value{}, fmt.Errorf("the secret's file %s is empty", r.Name)
		}
		return New(text, r), nil
	case FormAWSSecretsManager, FormAWSSSM:
		return Value{}, fmt.Errorf("%s %w", r.Form, ErrNotBuilt)
	}
	return Value{}, fmt.Errorf("unknown form %q of a secret", r.Form)
}
