package guardduty

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/guardduty/types"

	"github.com/docket-hub/docket/connectors/format/formattest"
	"github.com/docket-hub/docket/pipeline"
)

// recorded answers every call with a recorded answer of the Python SDK, its members renamed as they are on the wire.
func recorded(t *testing.T, operation string) *guardduty.Client {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(formattest.Shared(t), "data/aws-api/test_account_guard_duty_filter.guardduty."+operation+"_1.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Status int                        `json:"status_code"`
		Data   map[string]json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	wire := map[string]json.RawMessage{}
	for name, value := range file.Data {
		wire[strings.ToLower(name[:1])+name[1:]] = value
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(file.Status)
		if err := json.NewEncoder(w).Encode(wire); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return guardduty.NewFromConfig(aws.Config{Region: "eu-west-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "")})
}

// TestRecordedAnswers reads the recorded answers of GuardDuty that the sample folder has.
func TestRecordedAnswers(t *testing.T) {
	id, err := detectorIn(t.Context(), recorded(t, "ListDetectors"))
	if err != nil || id != "06b01209ca77b0865dd973df0355fc1e" {
		t.Errorf("detectorIn(recorded) = %q, %v; want the recorded detector", id, err)
	}
	got, err := recorded(t, "GetDetector").GetDetector(t.Context(), &guardduty.GetDetectorInput{DetectorId: &id})
	if err != nil || got.Status != types.DetectorStatusEnabled || aws.ToString(got.CreatedAt) != "2017-12-05T00:29:11.374Z" {
		t.Errorf("GetDetector(recorded) = %+v, %v; want the recorded detector, enabled", got, err)
	}
}

// FuzzReadMark reads any watermark: what it makes of it is written and read again the same.
func FuzzReadMark(f *testing.F) {
	f.Add("")
	f.Add(`{"v":1,"places":{"1/r":{"at":1,"from":2,"full":3,"accounts":["1"]},"x":null}}`)
	f.Fuzz(func(t *testing.T, text string) {
		m := readMark(pipeline.Watermark(text))
		w, err := m.watermark()
		if err != nil {
			t.Fatal(err)
		}
		again, err := readMark(w).watermark()
		if err != nil || again != w {
			t.Errorf("readMark(%q) = %s, read again %s, %v; want the same", text, w, again, err)
		}
	})
}
