package stream

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// externalServer listens on a free port of this machine with the settings of a
// server that nobody tuned.
func externalServer(t *testing.T) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(), JetStreamMaxStore: 1 << 40,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server did not start")
	}
	return s
}

func TestExternalServer(t *testing.T) {
	var log bytes.Buffer
	s := open(t, Options{URL: externalServer(t).ClientURL(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	if !strings.Contains(log.String(), "sync_interval") {
		t.Errorf("log = %q; want the advice on sync_interval", log.String())
	}
	publish(t, s, "a", "b")
	if _, payloads := readAll(t, s, 1); len(payloads) != 2 || payloads[1] != "b" {
		t.Errorf("payloads = %q; want a, b", payloads)
	}
	if err := s.PublishActions(t.Context(), actionsOf("jira", 3)); err != nil {
		t.Fatal(err)
	}
	c, err := s.Actions(t.Context(), "jira")
	if err != nil {
		t.Fatal(err)
	}
	if got := fetch(t, c, 3); len(got) != 3 {
		t.Errorf("Fetch = %d actions; want 3", len(got))
	}
	if limit := s.MaxPayload(); limit >= 1<<20 {
		t.Errorf("MaxPayload = %d; want less than the server's own limit of 1 MiB", limit)
	}
	if err := s.PublishFindings(t.Context(), noise(s.MaxPayload())); err != nil {
		t.Errorf("PublishFindings(largest) = %v; want no error", err)
	}
	if err := s.PublishFindings(t.Context(), noise(s.MaxPayload()+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("PublishFindings(too large) = %v; want ErrTooLarge", err)
	}
}

func TestOpenErrorsNameNoSecret(t *testing.T) {
	server := externalServer(t)
	url := strings.Replace(server.ClientURL(), "nats://", "nats://user:hunter2@", 1)
	server.Shutdown()
	server.WaitForShutdown()
	_, err := Open(t.Context(), Options{URL: url})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Open(no server there) = %v; want an error without the password", err)
	}
}

func TestOpenNeedsAWritableDirectory(t *testing.T) {
	if s, err := Open(t.Context(), Options{Dir: "/dev/null/stream"}); err == nil {
		shut(t, s)
		t.Error("Open(/dev/null/stream) = nil; want an error")
	}
}
