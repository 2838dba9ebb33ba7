package sqs_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/connectors/all"
	"github.com/docket-hub/docket/connectors/format/formattest"
	"github.com/docket-hub/docket/connectors/sqs"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/app"
	"github.com/docket-hub/docket/pipeline"
)

// The environment of a child process: the folder of its site, and where it stands still until it is killed.
const (
	childFolder = "DOCKET_TEST_SQS_FOLDER"
	childStops  = "DOCKET_TEST_SQS_STOPS"
)

// keeping has a source polled with an emitter that stores what it is given.
type keeping struct {
	*sqs.Source
	stops string
}

func (k keeping) Poll(ctx context.Context, req pipeline.Request, emit pipeline.Emitter) (pipeline.Result, error) {
	return k.Source.Poll(ctx, req, keeper{emit, k.stops})
}

type keeper struct {
	pipeline.Emitter
	stops string
}

func (keeper) Keeps() bool { return true }

func (k keeper) Records(ctx context.Context, r []pipeline.Record) (pipeline.Taken, error) {
	if k.stops == "received" {
		standStill()
	}
	taken, err := k.Emitter.Records(ctx, r)
	if k.stops == "stored" && err == nil {
		standStill()
	}
	return taken, err
}

func standStill() {
	fmt.Println("here")
	select {}
}

// keepers is every type of the program, with sources of queues that are polled to keep.
func keepers(stops string) (connectors.Set, error) {
	set, err := all.Set()
	if err != nil {
		return nil, err
	}
	set[sqs.Type] = connectors.Factory{Type: sqs.Type, Source: func(env connectors.Env, block connectors.Block) (connectors.Source, error) {
		s, err := sqs.Factory().Source(env, block)
		if err == nil {
			s.Source = keeping{s.Source.(*sqs.Source), stops}
		}
		return s, err
	}}
	return set, nil
}

// newSite is a folder with a configuration that reads the queue and writes one ticket per finding.
func newSite(t *testing.T, w *world) string {
	t.Helper()
	dir := t.TempDir()
	text := fmt.Sprintf(`installation: test
data_dir: ./data
sources: [{name: events, type: sqs, queue_url: %q, role_arn: %q}]
teams: [{name: security}]
route: {team: security, sinks: [disk], group_by: [account, region, resource, control]}
sinks: [{name: disk, type: file, path: ./tickets}]
limits: {max_new_tickets_per_hour: 100000}
server: {listen: "127.0.0.1:0"}
`, w.url, role)
	if err := os.WriteFile(filepath.Join(dir, "docket.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func load(dir string) (*config.Config, error) {
	return app.Load(filepath.Join(dir, "docket.yaml"), os.LookupEnv)
}

// runOnce is `docket run --once`.
func runOnce(dir, stops string) (api.Summary, error) {
	cfg, err := load(dir)
	if err != nil {
		return api.Summary{}, err
	}
	set, err := keepers(stops)
	if err != nil {
		return api.Summary{}, err
	}
	return app.RunOnce(context.Background(), cfg, app.RunOptions{Set: set}, time.Minute, func(string, int, int) {})
}

// child runs docket in this process when a test asks for it, and says whether it did.
func child() bool {
	dir := os.Getenv(childFolder)
	if dir == "" {
		return false
	}
	_, err := runOnce(dir, os.Getenv(childStops))
	fmt.Println("ended:", err)
	return true
}

func tickets(t *testing.T, dir string) int {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "tickets", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// TestKilled kills docket when it has received messages and not stored them, and when it has stored them and not
// deleted them. They come again; nothing is lost, and no finding gets a second ticket.
func TestKilled(t *testing.T) {
	for _, stops := range []string{"received", "stored"} {
		t.Run(stops, func(t *testing.T) {
			const count = 23
			w := newWorld(t)
			w.queue.Send(w.url, events(count)...)
			dir := newSite(t, w)
			cmd := exec.Command(os.Args[0], "-test.run=^$")
			cmd.Env = append(os.Environ(), childFolder+"="+dir, childStops+"="+stops)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			if killed := cmd.Process.Kill(); killed != nil {
				t.Error(killed)
			}
			_ = cmd.Wait() // it says that it was killed
			if err != nil || line != "here\n" {
				t.Fatalf("the child said %q, %v; want that it stands still", line, err)
			}
			if _, inFlight := w.queue.Depth(w.url); inFlight == 0 || w.queue.Deleted() != 0 {
				t.Fatalf("%d messages are in flight and %d deleted; want some and none", inFlight, w.queue.Deleted())
			}
			w.queue.Expire(w.url)
			if sum, err := runOnce(dir, ""); err != nil || tickets(t, dir) != count {
				t.Errorf("RunOnce() behind the kill = %+v, %v with %d tickets; want %d", sum, err, tickets(t, dir), count)
			}
			w.depth(t, 0, 0)
			w.queue.Send(w.url, events(count)...) // as SQS may deliver a message twice
			if sum, err := runOnce(dir, ""); err != nil || sum.New != 0 || sum.TicketsCreated != 0 || tickets(t, dir) != count {
				t.Errorf("RunOnce() of the same messages = %+v, %v with %d tickets; want nothing new", sum, err, tickets(t, dir))
			}
			w.depth(t, 0, 0)
		})
	}
}

// TestFolds: the same vulnerability comes from Inspector and from Security Hub, in either order, and is one ticket, which
// closes when both say that it is gone.
func TestFolds(t *testing.T) {
	asff := func(state string, minute int) string {
		return fmt.Sprintf(`{"version":"0","id":"h","detail-type":"Security Hub Findings - Imported","source":"aws.securityhub","account":"111122223333","time":"2026-02-01T00:00:05Z","region":"eu-west-1","resources":[],`+
			`"detail":{"findings":[{"SchemaVersion":"2018-10-08","Id":"arn:aws:inspector2:eu-west-1:111122223333:finding/1","ProductArn":"arn:aws:securityhub:eu-west-1::product/aws/inspector","GeneratorId":"AWSInspector","AwsAccountId":"111122223333",`+
			`"Title":"CVE-2026-0001 - openssl","Severity":{"Label":"HIGH"},"CreatedAt":"2026-02-01T00:00:00Z","UpdatedAt":"2026-02-01T00:%02d:00Z","RecordState":%q,"Workflow":{"Status":"NEW"},`+
			`"Resources":[{"Type":"AwsEc2Instance","Id":"arn:aws:ec2:eu-west-1:111122223333:instance/i-00000001","Region":"eu-west-1"}],"Vulnerabilities":[{"Id":"CVE-2026-0001","VulnerablePackages":[{"Name":"openssl","Version":"3"}]}]}]}}`, minute, state)
	}
	for name, order := range map[string][]string{"Inspector first": {event(1), asff("ACTIVE", 1)}, "Security Hub first": {asff("ACTIVE", 0), event(1)}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			dir := newSite(t, w)
			for i, message := range order {
				w.queue.Send(w.url, message)
				if sum, err := runOnce(dir, ""); err != nil || sum.TicketsCreated != 1-i || tickets(t, dir) != 1 {
					t.Errorf("RunOnce() of message %d = %+v, %v with %d tickets; want one ticket in all", i, sum, err, tickets(t, dir))
				}
			}
			closed := strings.Replace(strings.Replace(event(1), `"ACTIVE"`, `"CLOSED"`, 1), "2026-02-01T00:00:00Z", "2026-02-01T00:05:00Z", 1)
			w.queue.Send(w.url, closed, asff("ARCHIVED", 6))
			if sum, err := runOnce(dir, ""); err != nil || sum.TicketsClosed != 1 {
				t.Errorf("RunOnce() of its end = %+v, %v; want the ticket closed", sum, err)
			}
		})
	}
}

// TestEveryEvent: each event that docket reads goes all the way, and one about credentials in the open is P1.
func TestEveryEvent(t *testing.T) {
	text, err := os.ReadFile("../format/testdata/events.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.queue.Send(w.url, strings.Split(strings.TrimSpace(string(text)), "\n")...)
	for _, s := range formattest.Samples(t, "eventbridge") {
		text, err := os.ReadFile(s.Path)
		if err != nil {
			t.Fatal(err)
		}
		w.queue.Send(w.url, string(text))
	}
	dir := newSite(t, w)
	sum, err := runOnce(dir, "")
	if err != nil || sum.Read != 12+4 || sum.Rejected != 0 {
		t.Errorf("RunOnce() = %+v, %v; want 12 findings of ours and 4 of the samples", sum, err)
	}
	w.depth(t, 0, 0)
	urgent := 0
	list, err := filepath.Glob(filepath.Join(dir, "tickets", "*.md"))
	for _, path := range list {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		ticket := string(text)
		if strings.Contains(ticket, "AWS Health: credentials exposed") && strings.Contains(ticket, "P1") && strings.Contains(ticket, "exposed") {
			urgent++
		}
	}
	if err != nil || urgent != 1 {
		t.Errorf("%d of %d tickets are P1 for credentials in the open, %v; want one", urgent, len(list), err)
	}
}

// TestPlan shows what arrived so far and leaves the queue alone.
func TestPlan(t *testing.T) {
	w := newWorld(t)
	w.queue.Send(w.url, events(3)...)
	cfg, err := load(newSite(t, w))
	if err != nil {
		t.Fatal(err)
	}
	p, err := app.Offline(cfg, app.RunOptions{}).Plan(t.Context(), func(string, int, int) {})
	if err != nil || len(p.Actions) != 0 || len(p.Notes) != 1 {
		t.Errorf("Plan() = %d actions, notes %q, %v; want no action and a note", len(p.Actions), p.Notes, err)
	}
	if n := w.server.Calls(awsCall); n != 0 {
		t.Errorf("the queue was called %d times; want never", n)
	}
	w.depth(t, 3, 0)
}

// TestDaemon: a running docket waits at the queue, whatever its interval, and a reload or a stop does not wait for that.
func TestDaemon(t *testing.T) {
	w := newWorld(t)
	dir := newSite(t, w)
	cfg, err := load(dir)
	if err != nil {
		t.Fatal(err)
	}
	set, err := keepers("")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	w.queue.Send(w.url, events(11)...)
	go func() { done <- app.Run(ctx, cfg, app.RunOptions{Set: set}) }()
	wait := func(what string, n int) {
		t.Helper()
		for late := time.Now().Add(30 * time.Second); tickets(t, dir) < n; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(late) {
				t.Fatalf("%d tickets are made of %s; want %d", tickets(t, dir), what, n)
			}
		}
	}
	wait("what was in the queue", 11)
	w.queue.Send(w.url, event(11))
	wait("what came while it ran", 12)
	began := time.Now()
	cancel()
	if err := <-done; err != nil || time.Since(began) > 10*time.Second {
		t.Errorf("Run() = %v after %s; want an end at once", err, time.Since(began))
	}
	w.depth(t, 0, 0)
}
