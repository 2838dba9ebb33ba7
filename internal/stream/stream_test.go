package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/docket-hub/docket/pipeline"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDirEnv); dir != "" {
		publishUntilKilled(dir)
	}
	goleak.VerifyTestMain(m)
}

// open opens a stream in dir and closes it at the end of the test.
func open(t testing.TB, opts Options) *Stream {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	s, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	t.Cleanup(func() { shut(t, s) })
	return s
}

// shut closes s once; a second call, of the clean-up, does nothing.
func shut(t testing.TB, s *Stream) {
	t.Helper()
	select {
	case <-s.free.closing:
		return
	default:
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Errorf("Close = %v; want no error", err)
	}
}

func publish(t testing.TB, s *Stream, payloads ...string) {
	t.Helper()
	for _, p := range payloads {
		if err := s.PublishFindings(t.Context(), []byte(p)); err != nil {
			t.Fatalf("PublishFindings(%.20q) = %v; want no error", p, err)
		}
	}
}

// readAll reads FINDINGS from a sequence to its end.
func readAll(t testing.TB, s *Stream, from uint64) (seqs []uint64, payloads []string) {
	t.Helper()
	r, err := s.Findings(from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		messages, err := r.Next(t.Context(), 3, 0)
		if err != nil {
			t.Fatalf("Next = %v; want no error", err)
		}
		if len(messages) == 0 {
			return seqs, payloads
		}
		for _, m := range messages {
			seqs = append(seqs, m.Seq)
			for _, p := range m.Payloads {
				payloads = append(payloads, string(p))
			}
		}
	}
}

func TestServerFlushesAlways(t *testing.T) {
	s := open(t, Options{})
	if c := s.server.JetStreamConfig(); !c.SyncAlways {
		t.Errorf("JetStreamConfig().SyncAlways = false; want true: acknowledged messages must be on disk")
	}
	if a := s.server.Addr(); a != nil {
		t.Errorf("Addr() = %v; want no open port", a)
	}
	for _, name := range []string{findingsName, inputsName, actionsName} {
		info, err := s.handles[name].Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c := info.Config
		if c.Storage != jetstream.FileStorage || c.Discard != jetstream.DiscardNew || c.MaxAge != 0 {
			t.Errorf("%s: storage %v, discard %v, age %v; want files, new, none", name, c.Storage, c.Discard, c.MaxAge)
		}
	}
}

func TestFilesAreTheOwners(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "stream")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := open(t, Options{Dir: dir})
	publish(t, s, "a")
	if err := s.PublishActions(t.Context(), actionsOf("jira", 2*batchMin)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Actions(t.Context(), "jira"); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		} else {
			files++
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %s = %o; want %o", strings.TrimPrefix(path, dir), got, want)
		}
		return nil
	})
	if err != nil || files == 0 {
		t.Errorf("WalkDir = %d files, %v; want some and no error", files, err)
	}
}

func TestReadInSequenceAcrossRestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	publish(t, s, "a", "b", "c", "d", "e")
	seqs, payloads := readAll(t, s, 1)
	if want := []uint64{1, 2, 3, 4, 5}; !slices.Equal(seqs, want) {
		t.Errorf("sequences = %v; want %v", seqs, want)
	}
	if want := []string{"a", "b", "c", "d", "e"}; !slices.Equal(payloads, want) {
		t.Errorf("payloads = %q; want %q", payloads, want)
	}
	shut(t, s)

	s = open(t, Options{Dir: dir, FindingsPosition: 3})
	publish(t, s, "f")
	seqs, payloads = readAll(t, s, 4)
	if want := []uint64{4, 5, 6}; !slices.Equal(seqs, want) {
		t.Errorf("sequences behind position 3 = %v; want %v", seqs, want)
	}
	if want := []string{"d", "e", "f"}; !slices.Equal(payloads, want) {
		t.Errorf("payloads behind position 3 = %q; want %q", payloads, want)
	}
	if last, err := s.FindingsLastSeq(t.Context()); err != nil || last != 6 {
		t.Errorf("FindingsLastSeq = %d, %v; want 6", last, err)
	}
}

func TestNextWakesAtOnce(t *testing.T) {
	s := open(t, Options{})
	r, err := s.Inputs(1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	published := make(chan error, 1)
	go func() { published <- s.PublishInput(context.Background(), []byte("x"), "") }()
	start := time.Now()
	messages, err := r.Next(t.Context(), 10, time.Minute)
	if err != nil || len(messages) != 1 || string(messages[0].Payloads[0]) != "x" {
		t.Errorf("Next = %v, %v; want the one message", messages, err)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("Next took %v; want it woken long before its wait of a minute", took)
	}
	if err := <-published; err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("stopping")
	cancel(cause)
	if _, err := r.Next(ctx, 10, time.Minute); !errors.Is(err, cause) {
		t.Errorf("Next(ended context) = %v; want %v", err, cause)
	}
}

func TestStreamEndsBeforePosition(t *testing.T) {
	var log bytes.Buffer
	s := open(t, Options{FindingsPosition: 40, InputsPosition: 0, Log: slog.New(slog.NewTextHandler(&log, nil))})
	publish(t, s, "new")
	seqs, _ := readAll(t, s, 41)
	if !slices.Equal(seqs, []uint64{41}) {
		t.Errorf("sequences = %v; want 41: lower ones would be dropped as done", seqs)
	}
	if !strings.Contains(log.String(), "position=40") {
		t.Errorf("log = %q; want the lost stream named", log.String())
	}
}

// TestFreedBeyondPosition: a reader whose messages were all freed, which an older copy of the state is, comes
// to the end of the stream and goes on from there.
func TestFreedBeyondPosition(t *testing.T) {
	s := open(t, Options{})
	publish(t, s, "a", "b", "c")
	if err := s.purge(t.Context(), findingsName, 3); err != nil {
		t.Fatal(err)
	}
	r, err := s.Findings(2)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := r.Next(t.Context(), 10, 0)
	if err != nil || len(got) != 1 || got[0].Seq != 3 || len(got[0].Payloads) != 0 {
		t.Errorf("Next() = %v, %v; want an empty message at 3", got, err)
	}
	publish(t, s, "d")
	got, err = r.Next(t.Context(), 10, time.Minute)
	if err != nil || len(got) != 1 || got[0].Seq != 4 || len(got[0].Payloads) != 1 {
		t.Errorf("Next() = %v, %v; want what came after at 4", got, err)
	}
}

func TestGap(t *testing.T) {
	s := open(t, Options{})
	publish(t, s, "a", "b", "c", "d")
	// Deleted by a person: on the stream's own list.
	if err := s.handles[findingsName].DeleteMsg(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if seqs, _ := readAll(t, s, 1); !slices.Equal(seqs, []uint64{1, 3, 4}) {
		t.Errorf("sequences = %v; want 1, 3, 4", seqs)
	}
	// Purged: below the first.
	if err := s.purge(t.Context(), findingsName, 3); err != nil {
		t.Fatal(err)
	}
	if seqs, _ := readAll(t, s, 1); !slices.Equal(seqs, []uint64{4}) {
		t.Errorf("sequences = %v; want 4", seqs)
	}
	// Missing for no reason: 4 is stored and so not on the list of deleted ones.
	r := &Reader{s: s, name: findingsName}
	if err := r.proveDeleted(t.Context(), 4, 5); !errors.Is(err, ErrGap) {
		t.Errorf("proveDeleted(4) = %v; want ErrGap", err)
	}
}

func TestStartLeavesSettingsAlone(t *testing.T) {
	dir := t.TempDir()
	settings := filepath.Join(dir, "jetstream", "$G", "streams", findingsName, "meta.inf")
	var before, after fs.FileInfo
	var err error
	for i, opts := range []Options{{MaxBytes: 1 << 20}, {MaxBytes: 1 << 20}, {MaxBytes: 2 << 20}} {
		opts.Dir = dir
		s := open(t, opts)
		info, ierr := s.handles[findingsName].Info(t.Context())
		if ierr != nil || info.Config.MaxBytes != opts.MaxBytes {
			t.Errorf("start %d: Info = %+v, %v; want max bytes %d", i, info, ierr, opts.MaxBytes)
		}
		shut(t, s)
		if after, err = os.Stat(settings); err != nil {
			t.Fatal(err)
		}
		if i == 1 && !after.ModTime().Equal(before.ModTime()) {
			t.Error("a start with the same options wrote the stream's settings anew")
		}
		before = after
	}
}

func TestInputRepeatIsStoredOnce(t *testing.T) {
	s := open(t, Options{})
	for _, id := range []string{"o/1", "o/1", "o/2", "", ""} {
		if err := s.PublishInput(t.Context(), []byte(id), id); err != nil {
			t.Fatal(err)
		}
	}
	if last, err := s.InputsLastSeq(t.Context()); err != nil || last != 4 {
		t.Errorf("InputsLastSeq = %d, %v; want 4", last, err)
	}
}

func TestTooLarge(t *testing.T) {
	s := open(t, Options{})
	if s.MaxPayload() < pipeline.MaxRecordBytes+1<<10 {
		t.Errorf("MaxPayload = %d; want room for a record of %d", s.MaxPayload(), pipeline.MaxRecordBytes)
	}
	if err := s.PublishFindings(t.Context(), noise(s.MaxPayload())); err != nil {
		t.Errorf("PublishFindings(largest) = %v; want no error", err)
	}
	err := s.PublishFindings(t.Context(), make([]byte, s.MaxPayload()+1))
	if !errors.Is(err, ErrTooLarge) || !pipeline.IsPermanent(err) {
		t.Errorf("PublishFindings(too large) = %v; want ErrTooLarge, permanent", err)
	}
	publish(t, s, "small")
	if seqs, _ := readAll(t, s, 1); !slices.Equal(seqs, []uint64{1, 2}) {
		t.Errorf("sequences = %v; want 1, 2: a large message is read like any other", seqs)
	}
}

func TestManyPublishersShareMessages(t *testing.T) {
	s := open(t, Options{})
	const callers, each = 32, 8
	var group sync.WaitGroup
	errs := make(chan error, callers*each)
	for c := range callers {
		group.Go(func() {
			for i := range each {
				errs <- s.PublishFindings(context.Background(), fmt.Appendf(nil, "%d/%d", c, i))
			}
		})
	}
	group.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Fatalf("PublishFindings = %v; want no error", err)
		}
	}
	_, payloads := readAll(t, s, 1)
	last := make(map[string]int)
	for _, p := range payloads {
		var c, i int
		if _, err := fmt.Sscanf(p, "%d/%d", &c, &i); err != nil {
			t.Fatal(err)
		}
		if key := fmt.Sprint(c); last[key] != i {
			t.Errorf("payload %s came when %d was due; want each caller's in order", p, last[key])
		} else {
			last[key]++
		}
	}
	if len(payloads) != callers*each {
		t.Errorf("%d payloads; want %d", len(payloads), callers*each)
	}
	seq, err := s.FindingsLastSeq(t.Context())
	if err != nil || seq >= callers*each/2 {
		t.Errorf("FindingsLastSeq = %d, %v; want far fewer messages than the %d payloads", seq, err, callers*each)
	}
}

// noise is bytes that do not compress.
func noise(n int) []byte {
	b := make([]byte, n)
	// ChaCha8's Read never fails.
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

func TestClosedStreamRefuses(t *testing.T) {
	s := open(t, Options{})
	shut(t, s)
	if err := s.PublishFindings(t.Context(), []byte("x")); !errors.Is(err, ErrClosed) {
		t.Errorf("PublishFindings = %v; want ErrClosed", err)
	}
}

func TestUnpack(t *testing.T) {
	var p packer
	for _, want := range [][]string{{"one", "two"}, {""}, {strings.Repeat("long ", 1000), "b", "c"}} {
		for _, payload := range want {
			p.add([]byte(payload))
		}
		got, err := unpack(p.pack())
		if err != nil {
			t.Fatalf("unpack(%.20q) = %v; want no error", want, err)
		}
		for i := range want {
			if len(got) != len(want) || string(got[i]) != want[i] {
				t.Errorf("unpack = %.20q; want %.20q", got, want)
			}
		}
	}
}

func TestUnpackRefusesDamage(t *testing.T) {
	var p packer
	p.add([]byte("one"))
	good := p.pack()
	block := func(b ...byte) []byte { return append([]byte{packVersion}, s2.Encode(nil, b)...) }
	for name, b := range map[string][]byte{
		"empty":         {},
		"other version": append([]byte{2}, good[1:]...),
		"cut short":     good[:len(good)-1],
		"too large":     {packVersion, 0xff, 0xff, 0xff, 0xff, 0x0f},
		"length beyond": block(4, 'a', 'b', 'c'),
		"bad length":    block(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
	} {
		if got, err := unpack(b); err == nil {
			t.Errorf("unpack(%s) = %q; want an error", name, got)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	var p packer
	p.add([]byte("one"))
	p.add([]byte("two"))
	f.Add(bytes.Clone(p.pack()))
	f.Fuzz(func(t *testing.T, b []byte) {
		payloads, err := unpack(b)
		if err != nil {
			return
		}
		var again packer
		for _, payload := range payloads {
			again.add(payload)
		}
		if got, err := unpack(again.pack()); err != nil || len(got) != len(payloads) {
			t.Errorf("unpack(pack) = %d payloads, %v; want %d", len(got), err, len(payloads))
		}
	})
}

func TestNothingIsWrittenWhenIdle(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	publish(t, s, "a")
	r, err := s.Findings(2)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	before := modTimes(t, dir)
	if m, err := r.Next(t.Context(), 1, 500*time.Millisecond); err != nil || len(m) != 0 {
		t.Fatalf("Next = %v, %v; want nothing", m, err)
	}
	if after := modTimes(t, dir); !slices.Equal(before, after) {
		t.Errorf("files changed while idle:\n%v\n%v", before, after)
	}
}

func modTimes(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		out = append(out, fmt.Sprint(path, info.Size(), info.ModTime().UnixNano()))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
