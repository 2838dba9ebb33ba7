package loose

import (
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

func TestLoose(t *testing.T) {
	type record struct {
		Page Text  `json:"page"`
		Meta Texts `json:"meta"`
		Next Text  `json:"next"`
	}
	tests := []struct {
		name, text string
		want       record
	}{
		{"as they should be", `{"page":"1","meta":{"a":"b"},"next":"n"}`, record{"1", Texts{"a": "b"}, "n"}},
		{"numbers", `{"page":12,"meta":{"a":1.5},"next":"n"}`, record{"12", Texts{"a": "1.5"}, "n"}},
		{"another kind", `{"page":{"x":[1]},"meta":["a"],"next":"n"}`, record{Next: "n"}},
		{"another kind within", `{"meta":{"a":null,"b":{"c":"d"},"e":"f"},"next":"n"}`, record{Meta: Texts{"e": "f"}, Next: "n"}},
		{"nothing", `{"meta":{}}`, record{}},
	}
	for _, tt := range tests {
		var got record
		if err := json.Unmarshal([]byte(tt.text), &got); err != nil {
			t.Errorf("Unmarshal(%s) = %v; want no error", tt.name, err)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("Unmarshal(%s) (-want +got):\n%s", tt.name, d)
		}
	}
}
