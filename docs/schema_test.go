package docs_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

// TestConfigurationsBySchema: what the pages show as a configuration, or as a part of one, is right for editors, too.
func TestConfigurationsBySchema(t *testing.T) {
	file, err := os.Open("../config/docket.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	doc, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("docket.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("docket.json")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range allPages(t) {
		for _, b := range blocks(t, name) {
			if b.info != "yaml "+wholeConfig && b.info != "yaml "+partConfig {
				continue
			}
			n++
			var value any
			if err := yaml.Load([]byte(b.text), &value); err != nil {
				t.Errorf("%s: %v; want YAML", b.at(), err)
				continue
			}
			plain, err := json.Marshal(value) // dates become the texts that they are
			if err != nil {
				t.Fatal(err)
			}
			if value, err = jsonschema.UnmarshalJSON(bytes.NewReader(plain)); err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(value); err != nil {
				t.Errorf("%s = %v; want it to be right by the schema", b.at(), err)
			}
		}
	}
	if n < 20 {
		t.Errorf("the pages have %d configurations; want those that are there found", n)
	}
}
