package secret

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

const planted = "hunter2-s3cr3t"

// holder keeps a secret where a formatter can and where it cannot call methods.
type holder struct {
	Shown  Value
	hidden Value
	List   []Value
	ByName map[string]Value
	Behind *Value
}

func newHolder() holder {
	v := New(planted, Ref{FormEnv, "TOKEN"})
	return holder{v, v, []Value{v}, map[string]Value{"a": v}, &v}
}

// leaks reports whether out holds the secret as text, hexadecimal or decimal bytes.
func leaks(out string) bool {
	decimal := strings.Trim(fmt.Sprint([]byte(planted)), "[]")
	for _, form := range []string{planted, fmt.Sprintf("%x", planted), fmt.Sprintf("%X", planted), decimal, fmt.Sprintf("%q", planted)} {
		if strings.Contains(out, form) {
			return true
		}
	}
	return false
}

func TestNoVerbLeaks(t *testing.T) {
	h := newHolder()
	for _, verb := range "vTtbcdoOqxXUeEfFgGspw!z" {
		for _, flag := range []string{"", "+", "#", " ", "-20", "020", ".3"} {
			format := "%" + flag + string(verb)
			for name, v := range map[string]any{"value": h.Shown, "pointer": &h.Shown, "struct": h, "struct pointer": &h, "slice": h.List, "map": h.ByName, "hidden": h.hidden} {
				if out := fmt.Sprintf(format, v); leaks(out) {
					t.Errorf("Sprintf(%q, %s) = %s; want no secret", format, name, out)
				}
			}
		}
	}
	if got := fmt.Sprintf("%d %v %#v %s", h.Shown, h.Shown, h.Shown, h.Shown); got != strings.TrimSpace(strings.Repeat(Redacted+" ", 4)) {
		t.Errorf("Sprintf() = %s; want %s four times", got, Redacted)
	}
}

func TestNoEncodingLeaks(t *testing.T) {
	h := newHolder()
	var logged bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&logged, nil), slog.NewJSONHandler(&logged, nil)} {
		slog.New(handler).Info("starting", "secret", h.Shown, "holder", h, "pointer", &h, "list", h.List, slog.Group("g", "s", h.Shown))
	}
	asJSON, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Dump(h)
	if err != nil {
		t.Fatal(err)
	}
	keyed, err := json.Marshal(map[Value]int{h.Shown: 1})
	if err != nil {
		t.Fatal(err)
	}
	wrapped := fmt.Errorf("calling with %v: %w", h, errors.New("refused"))
	for name, out := range map[string]string{"slog": logged.String(), "JSON": string(asJSON), "YAML": string(asYAML),
		"JSON keys": string(keyed), "errors": wrapped.Error(), "String": h.Shown.String(), "GoString": h.Shown.GoString()} {
		if leaks(out) || !strings.Contains(out, "redacted") {
			t.Errorf("%s = %s; want %s and no secret", name, out, Redacted)
		}
	}
}

func TestValue(t *testing.T) {
	v, same, other := New("a", Ref{FormEnv, "A"}), New("a", Ref{FormFile, "b"}), New("b", Ref{})
	if v.Reveal() != "a" || v.Ref() != (Ref{FormEnv, "A"}) || v.IsZero() {
		t.Errorf("New() = %q, %v; want the text and the reference", v.Reveal(), v.Ref())
	}
	if !v.Equal(same) || v.Equal(other) || v.Equal(Value{}) || !(Value{}).Equal(Value{}) || (Value{}).Equal(New("", Ref{})) {
		t.Error("Equal() = wrong; want it to compare texts, and none with none")
	}
	if (Value{}).Reveal() != "" || !(Value{}).IsZero() || (Value{}).Ref().String() != "" {
		t.Error("the zero Value holds something")
	}
}

func TestResolve(t *testing.T) {
	getenv := func(name string) (string, bool) {
		vars := map[string]string{"TOKEN": planted, "EMPTY": ""}
		text, ok := vars[name]
		return text, ok
	}
	readFile := func(path string) ([]byte, error) {
		files := map[string]string{"token": planted + "\r\n\n", "inner": "a\nb\n", "empty": "\n"}
		if text, ok := files[path]; ok {
			return []byte(text), nil
		}
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	fetch := func(r Ref) (string, error) {
		kept := map[Ref]string{
			{FormAWSSecretsManager, "plain"}: planted + "\n", {FormAWSSecretsManager, "null"}: "null", {FormAWSSSM, "/docket/token"}: planted,
		}
		json := `{"token": "` + planted + `", "pin": 1234567890123456789, "deep": {"token": "` + planted + `"}, "empty": ""}`
		kept[Ref{FormAWSSecretsManager, "json"}] = json
		kept[Ref{FormAWSSecretsManager, "arn:aws:secretsmanager:eu-west-1:111122223333:secret:json-AbCdEf"}] = json
		if text, ok := kept[r]; ok {
			return text, nil
		}
		return "", errors.New("no such secret")
	}
	cases := []struct {
		name string
		ref  Ref
		want string
		err  string
	}{
		{"environment", Ref{FormEnv, "TOKEN"}, planted, ""},
		{"file, newlines cut", Ref{FormFile, "token"}, planted, ""},
		{"file of two lines", Ref{FormFile, "inner"}, "a\nb", ""},
		{"variable not set", Ref{FormEnv, "OTHER"}, "", "OTHER is not set"},
		{"variable empty", Ref{FormEnv, "EMPTY"}, "", "EMPTY is empty"},
		{"file absent", Ref{FormFile, "nowhere"}, "", "does not exist"},
		{"file empty", Ref{FormFile, "empty"}, "", "is empty"},
		{"a literal instead of a name", Ref{FormEnv, planted + "!"}, "", "not a name"},
		{"Secrets Manager", Ref{FormAWSSecretsManager, "plain"}, planted, ""},
		{"Secrets Manager by ARN", Ref{FormAWSSecretsManager, "arn:aws:secretsmanager:eu-west-1:111122223333:secret:json-AbCdEf#token"}, planted, ""},
		{"a key of a secret", Ref{FormAWSSecretsManager, "json#token"}, planted, ""},
		{"a number in a secret", Ref{FormAWSSecretsManager, "json#pin"}, "1234567890123456789", ""},
		{"a key that is not there", Ref{FormAWSSecretsManager, "json#other"}, "", "the secret json has no key other"},
		{"a key of something else", Ref{FormAWSSecretsManager, "json#deep"}, "", "neither a text nor a number"},
		{"a key of an empty text", Ref{FormAWSSecretsManager, "json#empty"}, "", "json#empty is empty"},
		{"a key of a secret that is no JSON", Ref{FormAWSSecretsManager, "plain#token"}, "", "leave #token out"},
		{"a key of JSON null", Ref{FormAWSSecretsManager, "null#token"}, "", "no JSON object"},
		{"no key behind the sign", Ref{FormAWSSecretsManager, "json#"}, "", "NAME#key"},
		{"no name before it", Ref{FormAWSSecretsManager, "#token"}, "", "not a name"},
		{"a literal instead of a secret's name", Ref{FormAWSSecretsManager, planted + " "}, "", "not a name"},
		{"a secret that cannot be fetched", Ref{FormAWSSecretsManager, "gone"}, "", "fetching the secret gone: no such secret"},
		{"Parameter Store", Ref{FormAWSSSM, "/docket/token"}, planted, ""},
		{"a parameter that cannot be fetched", Ref{FormAWSSSM, "/gone"}, "", "fetching the secret /gone: no such secret"},
		{"a literal instead of a parameter's name", Ref{FormAWSSSM, planted + "#"}, "", "not a name"},
		{"unknown form", Ref{"vault", "a"}, "", "unknown form"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			got, err := tc.ref.Resolve(From{getenv, readFile, fetch})
			if got.Reveal() != tc.want || (err == nil) != (tc.err == "") {
				t.Fatalf("Resolve(%v) = %q, %v; want %q, %q", tc.ref, got.Reveal(), err, tc.want, tc.err)
			}
			if err != nil && (!strings.Contains(err.Error(), tc.err) || leaks(err.Error())) {
				t.Errorf("Resolve(%v) = %v; want %q and no secret", tc.ref, err, tc.err)
			}
		})
	}
	if _, err := (Ref{FormAWSSSM, "/docket/token"}).Resolve(From{Getenv: getenv, ReadFile: readFile}); err == nil || !strings.Contains(err.Error(), "cannot be fetched") {
		t.Errorf("Resolve() with nobody to fetch = %v; want a refusal", err)
	}
}
