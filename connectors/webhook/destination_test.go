package webhook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docket-hub/docket/internal/app"
)

const event = `{"version":"0","id":"e-1","detail-type":"Access Analyzer Finding","source":"aws.access-analyzer","account":"111122223333","time":"2026-02-01T00:00:05Z","region":"eu-west-1",` +
	`"resources":["arn:aws:access-analyzer:eu-west-1:111122223333:analyzer/main"],"detail":{"id":"aa-1","status":"ACTIVE","resourceType":"AWS::S3::Bucket","resource":"arn:aws:s3:::photos",` +
	`"accountId":"111122223333","region":"eu-west-1","principal":{"AWS":"*"},"isPublic":true,"updatedAt":"2026-02-01T00:00:00Z"}}`

// daemon runs docket with one webhook source until the test ends, and gives the address of its ingest.
func daemon(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "docket.yaml")
	t.Setenv("DESTINATION_TOKEN", "key-of-the-connection")
	text := `installation: test
data_dir: ./data
server: {listen: "127.0.0.1:0", auth: {tokens: [{name: eventbridge, role: ingest, token: {env: DESTINATION_TOKEN}}]}}
sources: [{name: events, type: webhook}]
teams: [{name: security}]
route: {team: security, sinks: [disk]}
sinks: [{name: disk, type: file, path: ./tickets}]
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := app.Load(path, os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan string, 1), make(chan error, 1)
	go func() { done <- app.Run(ctx, cfg, app.RunOptions{Ready: func(addr string) { ready <- addr }}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run() = %v; want nil", err)
		}
	})
	select {
	case addr := <-ready:
		return "http://" + addr + "/api/v1/ingest/events"
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
	return ""
}

// TestAPIDestination posts as an API destination of EventBridge does, whose connection has the authorization
// API_KEY with the name Authorization and the value "Bearer TOKEN" (EventBridge user guide, "Connections for API
// destinations" and "API destinations as targets"): it tries again after 429, 5xx, 401, 407 and 409, and after
// no answer within 5s; any other 4xx ends there.
func TestAPIDestination(t *testing.T) {
	url := daemon(t)
	type answer struct {
		Accepted int               `json:"accepted"`
		Rejected []json.RawMessage `json:"rejected"`
		Notes    []string          `json:"notes"`
	}
	tests := []struct {
		name, key, value, body string
		status, accepted       int
		rejected, notes        int
	}{
		{"a finding", "Authorization", "Bearer key-of-the-connection", event, http.StatusAccepted, 1, 0, 0},
		{"the same again", "Authorization", "Bearer key-of-the-connection", event, http.StatusAccepted, 1, 0, 0},
		{"an event without findings", "Authorization", "Bearer key-of-the-connection", strings.Replace(event, "Access Analyzer Finding", "Access Preview State Change", 1), http.StatusAccepted, 0, 0, 1},
		{"a finding that cannot be read", "Authorization", "Bearer key-of-the-connection", strings.Replace(event, `"resource":"arn:aws:s3:::photos",`, "", 1), http.StatusAccepted, 0, 1, 0},
		{"no event", "Authorization", "Bearer key-of-the-connection", `{"hello":"world"}`, http.StatusBadRequest, 0, 0, 0},
		{"another key", "Authorization", "Bearer key-of-somebody", event, http.StatusUnauthorized, 0, 0, 0},
		{"a header that docket does not know", "X-Api-Key", "key-of-the-connection", event, http.StatusUnauthorized, 0, 0, 0},
		{"user and password", "Authorization", "Basic ZG9ja2V0OmtleS1vZi10aGUtY29ubmVjdGlvbg==", event, http.StatusUnauthorized, 0, 0, 0},
	}
	for _, tt := range tests {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
		req.Header.Set("User-Agent", "Amazon/EventBridge/ApiDestinations")
		req.Header.Set("Range", "bytes=0-1048575")
		req.Header.Set(tt.key, tt.value)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		var a answer
		if tt.status == http.StatusAccepted {
			if err := json.Unmarshal(body, &a); err != nil {
				t.Errorf("answer to %s = %s: %v", tt.name, body, err)
			}
		}
		if got, want := fmt.Sprint(resp.StatusCode, a.Accepted, len(a.Rejected), len(a.Notes)), fmt.Sprint(tt.status, tt.accepted, tt.rejected, tt.notes); got != want {
			t.Errorf("POST of %s = %s (%s); want status, accepted, rejected, notes %s", tt.name, got, body, want)
		}
	}
}
