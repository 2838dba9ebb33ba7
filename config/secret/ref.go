package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// Form is a way to name a secret: the key of its reference.
type Form string

// The forms.
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

// envName is what POSIX calls a name (Base Definitions 3.216, "Name"). Anything
// else in its place is most likely the secret itself.
var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// What AWS allows in names and ARNs: Name in the API references of CreateSecret (Secrets Manager) and PutParameter (Systems
// Manager, where a version or label may follow a colon). The key behind # is the user's.
var (
	secretName    = regexp.MustCompile(`^[A-Za-z0-9/_+=.@!:-]+(#[^\r\n]*)?$`)
	parameterName = regexp.MustCompile(`^[A-Za-z0-9/_.:-]+$`)
)

// Presentable reports whether the name may be shown: a name that cannot be one of an environment
// variable or of a secret of AWS is taken for a literal secret in the wrong place.
func (r Ref) Presentable() bool {
	switch r.Form {
	case FormEnv:
		return envName.MatchString(r.Name)
	case FormAWSSecretsManager:
		return secretName.MatchString(r.Name)
	case FormAWSSSM:
		return parameterName.MatchString(r.Name)
	}
	return !strings.ContainsAny(r.Name, "\r\n")
}

// From is where references are resolved.
type From struct {
	Getenv   func(name string) (string, bool)
	ReadFile func(path string) ([]byte, error)
	// Fetch reads what AWS keeps under the name of the reference, which has no key of JSON behind it any more. nil: nothing can be
	// fetched. Its errors go to people and must not hold what was read.
	Fetch func(r Ref) (string, error)
}

// Resolve reads the secret: the environment variable, the file, the secret of AWS Secrets Manager or the parameter of AWS
// Systems Manager. Trailing newlines of a file and of what AWS keeps are cut. "NAME#key" of Secrets Manager is the member key of
// the JSON object that NAME holds. What is not there, cannot be read or is empty is an error; no error holds the secret.
func (r Ref) Resolve(from From) (Value, error) {
	if !r.Presentable() {
		return Value{}, fmt.Errorf("what stands under %s is not a name of one: it names where the secret is, it does not hold it", r.Form)
	}
	switch r.Form {
	case FormEnv:
		text, ok := from.Getenv(r.Name)
		if !ok {
			return Value{}, fmt.Errorf("environment variable %s is not set", r.Name)
		}
		if text == "" {
			return Value{}, fmt.Errorf("environment variable %s is empty", r.Name)
		}
		return New(text, r), nil
	case FormFile:
		data, err := from.ReadFile(r.Name)
		if err != nil {
			return Value{}, fmt.Errorf("reading the secret's file: %w", err)
		}
		text := strings.TrimRight(string(data), "\r\n")
		if text == "" {
			return Value{}, fmt.Errorf("the secret's file %s is empty", r.Name)
		}
		return New(text, r), nil
	case FormAWSSecretsManager, FormAWSSSM:
		text, err := r.fetch(from.Fetch)
		if err != nil {
			return Value{}, err
		}
		return New(text, r), nil
	}
	return Value{}, fmt.Errorf("unknown form %q of a secret", r.Form)
}

// fetch reads a secret of AWS, and takes a member out of it where the reference names one.
func (r Ref) fetch(get func(Ref) (string, error)) (string, error) {
	if get == nil {
		return "", fmt.Errorf("the secret %s cannot be fetched from here: use {env: NAME} or {file: PATH}", r.Name)
	}
	// Neither names nor ARNs of Secrets Manager have this sign: API reference of CreateSecret, Name.
	name, key, member := r.Name, "", false
	if r.Form == FormAWSSecretsManager {
		name, key, member = strings.Cut(r.Name, "#")
	}
	if name == "" || member && key == "" {
		return "", fmt.Errorf("write {%s: \"NAME#key\"}, or NAME alone for all of the secret", r.Form)
	}
	text, err := get(Ref{r.Form, name})
	if err != nil {
		return "", fmt.Errorf("fetching the secret %s: %w", name, err)
	}
	if member {
		if text, err = memberOf(text, key); err != nil {
			return "", fmt.Errorf("the secret %s %w", name, err)
		}
	}
	if text = strings.TrimRight(text, "\r\n"); text == "" {
		return "", fmt.Errorf("the secret %s is empty", r.Name)
	}
	return text, nil
}

// memberOf is the text or number of a member of a JSON object. Its errors quote nothing of the document.
func memberOf(text, key string) (string, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &object); err != nil || object == nil {
		return "", fmt.Errorf("is no JSON object, so it has no key %s: leave #%s out", key, key)
	}
	raw, ok := object[key]
	if !ok {
		return "", fmt.Errorf("has no key %s", key)
	}
	var value any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		return "", fmt.Errorf("has a key %s that cannot be read", key)
	}
	switch v := value.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	}
	return "", fmt.Errorf("has under the key %s neither a text nor a number", key)
}
