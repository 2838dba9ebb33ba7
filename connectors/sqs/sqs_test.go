package sqs_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/connectors/sqs"
	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/pipeline"
)

const (
	home   = "111122223333"
	queue  = "222233334444" // whose account holds the queue
	region = "eu-west-1"
	role   = "arn:aws:iam::222233334444:role/docket-readonly"
)

// world is a queue in a stand-in for AWS, and docket's way to it.
type world struct {
	server *awstest.Server
	queue  *awstest.SQS
	url    string
	fleet  *awsx.Fleet
}

func newWorld(t *testing.T) *world {
	t.Helper()
	server, err := awstest.New(awstest.Options{Org: awstest.Org{Home: home, Accounts: []awstest.Account{{ID: home}, {ID: queue, Name: "security"}, {ID: "333344445555", Denied: true}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, line := range server.Env() {
		name, value, _ := strings.Cut(line, "=")
		t.Setenv(name, value)
	}
	w := &world{server: server, queue: awstest.NewSQS(time.Now)}
	server.Handle("sqs", w.queue.Handler())
	w.url = w.queue.Create(queue, region, "findings")
	if w.fleet, err = awsx.New(awsx.Settings{}, awsx.Options{}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) source(o sqs.Options) *sqs.Source {
	o.Home = w.fleet.Home
	return sqs.New(sqs.Config{QueueURL: w.url, RoleARN: role, Region: region}, o)
}

// event is the event of one vulnerability, by number.
func event(n int) string {
	return fmt.Sprintf(`{"version":"0","id":"e-%d","detail-type":"Inspector2 Finding","source":"aws.inspector2","account":"111122223333","time":"2026-02-01T00:00:05Z","region":"eu-west-1","resources":[],`+
		`"detail":{"findingArn":"arn:aws:inspector2:eu-west-1:111122223333:finding/%d","awsAccountId":"111122223333","title":"CVE-2026-%04d - openssl","severity":"HIGH","status":"ACTIVE","updatedAt":"2026-02-01T00:00:00Z",`+
		`"packageVulnerabilityDetails":{"vulnerabilityId":"CVE-2026-%04d","vulnerablePackages":[{"name":"openssl","version":"3","epoch":0}]},`+
		`"resources":[{"type":"AWS_EC2_INSTANCE","id":"i-%08x","region":"eu-west-1"}]}}`, n, n, n, n, n)
}

func events(n int) []string {
	var out []string
	for i := range n {
		out = append(out, event(i))
	}
	return out
}

// store is an emitter that keeps what it is given; do, unless nil, is asked before each call.
type store struct {
	mu      sync.Mutex
	looks   bool // only looks, as a plan
	do      func(call int) error
	calls   int
	records []pipeline.Record
	rejects []pipeline.Reject
	order   []string // scopes of records as they came, and of the ends of scans
}

func (s *store) Keeps() bool { return !s.looks }

func (s *store) next() error {
	s.mu.Lock()
	s.calls++
	n := s.calls
	s.mu.Unlock()
	if s.do != nil {
		return s.do(n)
	}
	return nil
}

func (s *store) Records(_ context.Context, r []pipeline.Record) (pipeline.Taken, error) {
	if err := s.next(); err != nil {
		return pipeline.Taken{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, r...)
	for _, x := range r {
		s.order = append(s.order, x.Scope)
	}
	return pipeline.Taken{Accepted: len(r)}, nil
}

func (s *store) Reject(_ context.Context, r pipeline.Reject) error {
	if err := s.next(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rejects = append(s.rejects, r)
	return nil
}

func (s *store) Scan(_ context.Context, x pipeline.Scan) error {
	s.order = append(s.order, fmt.Sprintf("end of %s: %d, %v", x.Scope, x.Count, x.Complete))
	return s.next()
}

func (s *store) Progress(context.Context, pipeline.Watermark) error { return nil }

// watched has a source polled as a daemon does, until the test ends; what it signals is told.
func watched(t *testing.T, s *sqs.Source) (changed chan struct{}) {
	t.Helper()
	changed = make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Watch(ctx, changed) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Watch() = %v; want nil", err)
		}
	})
	s.Signal()
	<-changed // it watches
	return changed
}

// hurried is a clock by which a minute passes between two looks, so that a daemon's turn is over after one round.
func hurried() func() time.Time {
	t := time.Now()
	return func() time.Time { t = t.Add(time.Minute); return t }
}

func (w *world) depth(t *testing.T, visible, inFlight int) {
	t.Helper()
	if v, f := w.queue.Depth(w.url); v != visible || f != inFlight {
		t.Errorf("queue holds %d visible and %d in flight; want %d and %d", v, f, visible, inFlight)
	}
}

func TestMain(m *testing.M) {
	if child() {
		return
	}
	goleak.VerifyTestMain(m)
}

func TestDrains(t *testing.T) {
	w := newWorld(t)
	w.queue.Send(w.url, events(137)...)
	w.queue.Send(w.url, `{"Type":"Notification","MessageId":"m","TopicArn":"arn:aws:sns:eu-west-1:1:t","Message":`+fmt.Sprintf("%q", event(137))+`}`,
		`{"version":"0","id":"x","detail-type":"Inspector2 Scan","source":"aws.inspector2","detail":{}}`)
	s := &store{}
	s.do = func(int) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		// The message about a scan holds no record, and may be gone before all records are here.
		if n := w.queue.Deleted(); n > len(s.records)+1 {
			t.Errorf("%d messages are deleted with %d stored; want none deleted before it is stored", n, len(s.records))
		}
		return nil
	}
	res, err := w.source(sqs.Options{}).Poll(t.Context(), pipeline.Request{Since: "before"}, s)
	if err != nil || res.Records != 138 || res.Rejected != 0 || len(s.records) != 138 || len(res.Notes) != 1 || !strings.Contains(res.Notes[0], "Inspector2 Scan") {
		t.Errorf("Poll() = %+v, %v with %d records; want 138 and a note", res, err, len(s.records))
	}
	if at, err := time.Parse(time.RFC3339, string(res.Watermark)); err != nil || time.Since(at) > time.Minute {
		t.Errorf("Watermark = %q; want when the newest message was sent", res.Watermark)
	}
	for i, r := range s.records {
		if r.Format != "inspector2" || !strings.HasPrefix(r.Origin, "queue findings, message 0000") {
			t.Fatalf("record %d = %s of %q; want the finding with its message", i, r.Format, r.Origin)
		}
	}
	w.depth(t, 0, 0)
	res, err = w.source(sqs.Options{}).Poll(t.Context(), pipeline.Request{Since: res.Watermark}, s)
	if err != nil || res.Records != 0 || res.Watermark == "" {
		t.Errorf("Poll() of an empty queue = %+v, %v; want nothing, and the watermark kept", res, err)
	}
}

// TestFIPS drains a queue where Go refuses what FIPS 140-3 does not approve, which a process says at its start.
func TestFIPS(t *testing.T) {
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDrains$")
	c.Env = append(os.Environ(), "GODEBUG=fips140=only")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("TestDrains under GODEBUG=fips140=only = %v; want no error\n%s", err, out[max(0, len(out)-4000):])
	}
}

// TestLooksOnly: a plan asks nothing of the queue.
func TestLooksOnly(t *testing.T) {
	w := newWorld(t)
	w.queue.Send(w.url, events(3)...)
	for name, emit := range map[string]pipeline.Emitter{"says that it only looks": &store{looks: true}, "does not say": struct{ pipeline.Emitter }{&store{}}} {
		res, err := w.source(sqs.Options{}).Poll(t.Context(), pipeline.Request{Full: true}, emit)
		if err != nil || res.Records != 0 || len(res.Notes) != 1 {
			t.Errorf("Poll() for an emitter that %s = %+v, %v; want a note alone", name, res, err)
		}
	}
	if n := w.server.Calls(awstest.Match{}); n != 0 {
		t.Errorf("AWS was called %d times; want never", n)
	}
	w.depth(t, 3, 0)
}

func TestPoison(t *testing.T) {
	w := newWorld(t)
	good := event(1)
	w.queue.Send(w.url, "not JSON at all", "{}", "[]", good[:len(good)-20], `{"hello":"world"}`, good, "]",
		strings.Repeat("x", 3<<20), `{"findings":[`+good[strings.Index(good, `{"findingArn"`):len(good)-1]+`,{"what":1}]}`)
	s := &store{}
	res, err := w.source(sqs.Options{}).Poll(t.Context(), pipeline.Request{}, s)
	var reasons []string
	for _, r := range s.rejects {
		if len(r.Data) > pipeline.RejectBytes || !strings.HasPrefix(r.Origin, "queue findings, message ") {
			t.Errorf("reject = %d bytes of %q; want at most %d, and the message", len(r.Data), r.Origin, pipeline.RejectBytes)
		}
		reasons = append(reasons, r.Reason)
	}
	want := []string{"no findings format that is known here: line 1 has text that is no JSON object, \"not JSON at all\"", "no findings format that is known here: line 1 has an object", "the document ends inside this record",
		"no findings format that is known here: line 1 has an object with the keys hello", "no findings format that is known here: line 1 has text that is no JSON object, \"]", "no findings format that is known here: line 1 has text that is no JSON object, \"xxx", "no known findings format: an object with the keys what"}
	missing := slices.DeleteFunc(slices.Clone(want), func(begin string) bool {
		i := slices.IndexFunc(reasons, func(r string) bool { return strings.HasPrefix(r, begin) })
		if i >= 0 {
			reasons = slices.Delete(reasons, i, i+1)
		}
		return i >= 0
	})
	if err != nil || len(s.records) != 2 || res.Rejected != len(want) || len(missing) > 0 {
		t.Errorf("Poll() = %+v, %v, %d records; missing rejects %q of %q", res, err, len(s.records), missing, reasons)
	}
	w.depth(t, 0, 0)
}

// TestScans: a scanner's report in a message is a whole scan of its target, as it is in a file.
func TestScans(t *testing.T) {
	report := func(results int) string {
		one := `{"ruleId":"r","message":{"text":"m"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.go"},"region":{"startLine":1}}}]}`
		return `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"Semgrep OSS"}},"versionControlProvenance":[{"repositoryUri":"https://github.com/example/app"}],` +
			`"invocations":[{"executionSuccessful":true,"endTimeUtc":"2026-02-01T00:00:00Z"}],"results":[` + strings.TrimSuffix(strings.Repeat(one+",", results), ",") + `]}]}`
	}
	w := newWorld(t)
	w.queue.Send(w.url, report(2), event(1), report(0), report(1))
	s := &store{}
	if _, err := w.source(sqs.Options{}).Poll(t.Context(), pipeline.Request{}, s); err != nil {
		t.Fatal(err)
	}
	scope := s.records[0].Scope
	want := []string{scope, scope, "end of " + scope + ": 2, true", "", "end of " + scope + ": 0, true", scope, "end of " + scope + ": 1, true"}
	if scope == "" || !slices.Equal(s.order, want) {
		t.Errorf("order = %q; want each end right behind the records of its scan, %q", s.order, want)
	}
	w.depth(t, 0, 0)
}

// TestFullStream: what cannot be stored goes back to the queue, and a daemon holds on to it for as long as that helps.
func TestFullStream(t *testing.T) {
	t.Run("one run gives back", func(t *testing.T) {
		w := newWorld(t)
		w.queue.Send(w.url, events(12)...)
		s := &store{do: func(int) error { return fmt.Errorf("publish: %w", pipeline.ErrFull) }}
		if _, err := w.source(sqs.Options{}).Poll(t.Context(), pipeline.Request{}, s); !errors.Is(err, pipeline.ErrFull) {
			t.Errorf("Poll() = %v; want ErrFull", err)
		}
		w.depth(t, 12, 0)
		if w.queue.Deleted() != 0 {
			t.Errorf("%d messages are deleted; want none", w.queue.Deleted())
		}
	})
	t.Run("a daemon holds", func(t *testing.T) {
		w := newWorld(t)
		w.queue.Send(w.url, events(3)...)
		src := w.source(sqs.Options{Hidden: time.Second, Now: hurried()})
		watched(t, src)
		extended := func() int { return w.server.Calls(awstest.Match{Operation: "ChangeMessageVisibilityBatch"}) }
		s := &store{}
		s.do = func(call int) error {
			w.depth(t, 0, 3) // hidden from others for as long as they are held
			if extended() < 4 {
				return pipeline.ErrFull
			}
			return nil
		}
		if _, err := src.Poll(t.Context(), pipeline.Request{}, s); err != nil || len(s.records) != 3 || s.calls < 2 {
			t.Errorf("Poll() = %v with %d records after %d tries; want all three after more than one", err, len(s.records), s.calls)
		}
		w.depth(t, 0, 0)
	})
}

// TestStopped: docket stops while it holds messages. What is stored is deleted all the same, what is not goes back.
func TestStopped(t *testing.T) {
	for _, stored := range []bool{true, false} {
		w := newWorld(t)
		w.queue.Send(w.url, events(5)...)
		ctx, cancel := context.WithCancel(t.Context())
		s := &store{do: func(int) error {
			cancel()
			if stored {
				return nil
			}
			return context.Canceled
		}}
		if _, err := w.source(sqs.Options{}).Poll(ctx, pipeline.Request{}, s); !errors.Is(err, context.Canceled) {
			t.Errorf("Poll() = %v; want the end of its context", err)
		}
		if left := 5 - len(s.records); stored != (left == 0) {
			t.Errorf("%d records are stored; want all or none", len(s.records))
		} else {
			w.depth(t, left, 0)
		}
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		name  string
		set   func(*world) (roleARN string)
		class error
		text  string
	}{
		{"denied", func(w *world) string {
			w.server.Fault(awstest.Match{Operation: "ReceiveMessage"}, awstest.Denied())
			return role
		}, pipeline.ErrForbidden, "receiving from queue findings: SQS ReceiveMessage in account 222233334444, eu-west-1: AccessDeniedException"},
		{"another account's queue", func(*world) string { return "" }, pipeline.ErrForbidden, "is not authorized to perform: sqs:ReceiveMessage"},
		{"a role that lets nobody in", func(*world) string { return "arn:aws:iam::333344445555:role/docket-readonly" }, pipeline.ErrForbidden, "taking the role arn:aws:iam::333344445555:role/docket-readonly"},
		{"credentials that nobody knows", func(w *world) string {
			w.server.Fault(awstest.Match{Service: "sts"}, awstest.Fault{Status: http.StatusForbidden, Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid."})
			return role
		}, pipeline.ErrUnauthorized, "AWS does not take these credentials"},
		{"no such queue", func(w *world) string { w.url += "x"; return role }, nil, "NonExistentQueue: The specified queue does not exist."},
		{"a log-in page", func(w *world) string {
			w.server.Fault(awstest.Match{Service: "sqs"}, awstest.Page())
			return role
		}, nil, "is not one of AWS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.queue.Send(w.url, event(1))
			arn := tt.set(w)
			s := &store{}
			src := sqs.New(sqs.Config{QueueURL: w.url, RoleARN: arn, Region: region}, sqs.Options{Home: w.fleet.Home})
			res, err := src.Poll(t.Context(), pipeline.Request{Since: "w"}, s)
			if err == nil || !strings.Contains(err.Error(), tt.text) || tt.class != nil && !errors.Is(err, tt.class) || res.Watermark != "w" || len(s.records) != 0 {
				t.Errorf("Poll() = %+v, %v (%d records); want %v with %q, and the watermark where it was", res, err, len(s.records), tt.class, tt.text)
			}
		})
	}
}

// TestThrottled: SQS asks for fewer calls, and one of those beside each other fails for good: what the others brought is stored.
func TestThrottled(t *testing.T) {
	w := newWorld(t)
	w.queue.Send(w.url, events(60)...)
	w.server.Fault(awstest.Match{Operation: "ReceiveMessage", Nth: 2}, awstest.Throttled())
	w.server.Fault(awstest.Match{Operation: "ReceiveMessage", Nth: 4}, awstest.Denied())
	w.server.Fault(awstest.Match{Operation: "DeleteMessageBatch", Nth: 1}, awstest.SlowDown())
	s := &store{}
	res, err := w.source(sqs.Options{}).Poll(t.Context(), pipeline.Request{}, s)
	if !errors.Is(err, pipeline.ErrForbidden) || res.Records != len(s.records) || len(s.records) != w.queue.Deleted() || len(s.records) < 20 {
		t.Errorf("Poll() = %+v, %v; want the refusal, and %d stored messages deleted (%d are)", res, err, len(s.records), w.queue.Deleted())
	}
	w.depth(t, 60-len(s.records), 0)
	if _, err := w.source(sqs.Options{}).Poll(t.Context(), pipeline.Request{}, s); err != nil || len(s.records) != 60 {
		t.Errorf("Poll() again = %v with %d records; want all 60", err, len(s.records))
	}
	w.depth(t, 0, 0)
}

// TestNotDeleted: a message that cannot be deleted is said, and comes again.
func TestNotDeleted(t *testing.T) {
	w := newWorld(t)
	w.queue.Send(w.url, event(1))
	w.server.Fault(awstest.Match{Operation: "DeleteMessageBatch", Nth: 1}, awstest.Denied())
	w.server.Fault(awstest.Match{Operation: "DeleteMessageBatch", Nth: 2}, awstest.Fault{Status: http.StatusOK,
		Body: `{"Successful":[],"Failed":[{"Id":"0","Code":"InternalError","Message":"try again","SenderFault":false}]}`})
	for _, text := range []string{"deleting from queue findings what is stored here: SQS DeleteMessageBatch", "1 of 1 messages were refused: InternalError: try again", ""} {
		s := &store{}
		_, err := w.source(sqs.Options{}).Poll(t.Context(), pipeline.Request{}, s)
		if len(s.records) != 1 || (err == nil) != (text == "") || err != nil && !strings.Contains(err.Error(), text) {
			t.Errorf("Poll() = %v with %d records; want one and %q", err, len(s.records), text)
		}
		w.queue.Expire(w.url)
	}
	w.depth(t, 0, 0)
}

// TestWatch: a daemon's next poll begins when one ended well, and waits its interval behind one that failed.
func TestWatch(t *testing.T) {
	w := newWorld(t)
	src := w.source(sqs.Options{})
	changed := watched(t, src)
	w.server.Fault(awstest.Match{Operation: "ReceiveMessage"}, awstest.Denied())
	if _, err := src.Poll(t.Context(), pipeline.Request{}, &store{}); err == nil {
		t.Error("Poll() = nil; want the refusal")
	}
	select {
	case <-changed:
		t.Error("a poll that failed asks for the next one")
	default:
	}
	w.server.Heal()
	late := w.source(sqs.Options{Now: hurried()})
	changed = watched(t, late)
	w.queue.Send(w.url, events(30)...)
	s := &store{}
	if _, err := late.Poll(t.Context(), pipeline.Request{}, s); err != nil || len(s.records) == 0 || len(s.records) == 30 {
		t.Errorf("Poll() of a daemon whose turn is over = %v with %d records; want some, and an end", err, len(s.records))
	}
	<-changed
}

// awsCall matches every call of the queue.
var awsCall = awstest.Match{Service: "sqs"}

type block struct{ set func(*sqs.Config) }

func (b block) Decode(into any) error { b.set(into.(*sqs.Config)); return nil }
func (b block) Errorf(path, form string, args ...any) error {
	return fmt.Errorf(path+": "+form, args...)
}
func (b block) Path(p string) string { return p }

func TestConfig(t *testing.T) {
	fleet, err := awsx.New(awsx.Settings{}, awsx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		c    sqs.Config
		want string // region, or what the error begins with
	}{
		{"of today", sqs.Config{QueueURL: "https://sqs.eu-west-1.amazonaws.com/111122223333/findings"}, "eu-west-1"},
		{"with a role", sqs.Config{QueueURL: "https://sqs.us-gov-west-1.amazonaws.com/1/f.fifo", RoleARN: "arn:aws-us-gov:iam::111122223333:role/team/docket"}, "us-gov-west-1"},
		{"FIPS", sqs.Config{QueueURL: "https://sqs-fips.us-east-2.amazonaws.com/1/f"}, "us-east-2"},
		{"dual stack", sqs.Config{QueueURL: "https://sqs.ap-southeast-3.api.aws/1/f"}, "ap-southeast-3"},
		{"China", sqs.Config{QueueURL: "https://sqs.cn-north-1.amazonaws.com.cn/1/f"}, "cn-north-1"},
		{"older", sqs.Config{QueueURL: "https://eu-central-1.queue.amazonaws.com/1/f"}, "eu-central-1"},
		{"oldest", sqs.Config{QueueURL: "https://queue.amazonaws.com/1/f"}, "us-east-1"},
		{"interface endpoint", sqs.Config{QueueURL: "https://vpce-0a1b2c3d-xyz.sqs.eu-west-1.vpce.amazonaws.com/1/f"}, "eu-west-1"},
		{"elsewhere, with a region", sqs.Config{QueueURL: "http://localhost:4566/1/f", Region: "eu-west-1"}, "eu-west-1"},
		{"elsewhere", sqs.Config{QueueURL: "http://localhost:4566/1/f"}, "queue_url: names no region"},
		{"nothing", sqs.Config{}, "queue_url: is missing"},
		{"an ARN", sqs.Config{QueueURL: "arn:aws:sqs:eu-west-1:111122223333:findings"}, "queue_url: is no queue's URL"},
		{"no path", sqs.Config{QueueURL: "https://sqs.eu-west-1.amazonaws.com/"}, "queue_url: is no queue's URL"},
		{"a user for a role", sqs.Config{QueueURL: "https://sqs.eu-west-1.amazonaws.com/1/f", RoleARN: "arn:aws:iam::111122223333:user/x"}, "role_arn: is no role's ARN"},
	}
	for _, tt := range tests {
		got := tt.c
		_, err := sqs.Factory().Source(connectors.Env{Name: "q", AWS: fleet}, block{func(c *sqs.Config) { *c = tt.c }})
		if err != nil {
			if !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("Source(%s) = %v; want %q", tt.name, err, tt.want)
			}
			continue
		}
		if got.Region = sqs.RegionOf(tt.c); got.Region != tt.want {
			t.Errorf("region of %s = %q; want %q", tt.name, got.Region, tt.want)
		}
	}
}
