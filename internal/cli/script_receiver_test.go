package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// receiver is what a sink of type webhook posts to. It answers what the script's file
// "answer" says, as "STATUS BODY", and 204 without one.
type receiver struct {
	mu     sync.Mutex
	events map[string]int // by event, those that were answered with a 2xx
}

// startReceiver (receiver) starts one; its address is $HOOK.
func startReceiver(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: receiver")
	}
	r := ts.Value(receiverKey{}).(*receiver)
	answer := ts.MkAbs("answer")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		var doc struct {
			Event string `json:"event"`
		}
		if err != nil || json.Unmarshal(body, &doc) != nil {
			http.Error(w, "no document", http.StatusBadRequest)
			return
		}
		status, text := http.StatusNoContent, ""
		if b, err := os.ReadFile(answer); err == nil {
			if _, err := fmt.Sscanf(string(b), "%d", &status); err != nil {
				http.Error(w, "the script's answer has no status", http.StatusBadRequest)
				return
			}
			_, text, _ = strings.Cut(strings.TrimSpace(string(b)), " ")
		}
		if status < 300 {
			r.mu.Lock()
			r.events[doc.Event]++
			r.mu.Unlock()
		}
		w.WriteHeader(status)
		if text != "" {
			fmt.Fprintln(w, text)
		}
	}))
	ts.Defer(srv.Close)
	ts.Setenv("HOOK", srv.URL)
}

// receiverKey is where a script keeps its receiver.
type receiverKey struct{}

func newReceiver() *receiver { return &receiver{events: map[string]int{}} }

// checkReceived (received EVENT=N...) waits until the receiver has taken exactly these.
func checkReceived(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: received [event=n]...")
	}
	r := ts.Value(receiverKey{}).(*receiver)
	now := func() []string {
		r.mu.Lock()
		defer r.mu.Unlock()
		out := []string{}
		for event, n := range r.events {
			out = append(out, fmt.Sprintf("%s=%d", event, n))
		}
		slices.Sort(out)
		return out
	}
	slices.Sort(args)
	for deadline := time.Now().Add(startWithin); !slices.Equal(now(), args); pause() {
		if time.Now().After(deadline) {
			ts.Fatalf("received after %s = %v; want %v", startWithin, now(), args)
		}
	}
}

// awaitOutput (await TEXT COMMAND...) runs docket with the arguments until its standard output holds the text.
func awaitOutput(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: await text docket-arguments")
	}
	for deadline := time.Now().Add(startWithin); ; pause() {
		err := ts.Exec("docket", args[1:]...)
		out := ts.ReadFile("stdout")
		if err == nil && strings.Contains(out, args[0]) {
			return
		}
		if time.Now().After(deadline) {
			ts.Check(errors.Join(err, fmt.Errorf("after %s its output is %q; want %q in it", startWithin, out, args[0])))
		}
	}
}
