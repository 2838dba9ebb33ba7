// Package limits measures what the machine and the bare libraries can do at
// most, without any code of docket: a rate of docket means something only as
// a share of such a limit of the same minute on the same disk.
//
// It is the one package beside internal/stream that imports NATS: the limit is that
// of NATS by itself, so it must not go through docket's own use of it.
package limits

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// RawAppend appends n blocks of size bytes to a new file in dir, flushes after
// each, and returns blocks per second. The file is removed again.
func RawAppend(dir string, size, n int) (rate float64, err error) {
	err = appending(dir, size, func(flush func() error) error {
		start := time.Now()
		for range n {
			if err := flush(); err != nil {
				return err
			}
		}
		rate = perSecond(n, start)
		return nil
	})
	return rate, err
}

// PacedAppend appends and flushes a block of size bytes at a fixed pace until
// ctx ends, beside whatever else the machine does, and returns how long after its time each was
// durable: one that has to wait for the flush before it counts the wait.
func PacedAppend(ctx context.Context, dir string, size int, every time.Duration) (took []time.Duration, err error) {
	err = appending(dir, size, func(flush func() error) error {
		for due := time.Now(); ; due = due.Add(every) {
			select {
			case <-time.After(time.Until(due)):
			case <-ctx.Done():
				return nil
			}
			if err := flush(); err != nil {
				return err
			}
			took = append(took, time.Since(due))
		}
	})
	return took, err
}

// appending gives do a function that appends a block to a new file in dir and flushes it.
func appending(dir string, size int, do func(flush func() error) error) (err error) {
	f, err := os.CreateTemp(dir, "append-*")
	if err == nil {
		block := bytes.Repeat([]byte("x"), size)
		err = do(func() error {
			if _, err := f.Write(block); err != nil {
				return err
			}
			return f.Sync()
		})
		err = errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	if err != nil {
		return fmt.Errorf("measure appends: %w", err)
	}
	return nil
}

// PackedJetStream publishes the findings, pack of them a message, to an embedded
// JetStream that flushes every message, and returns findings per second. Two
// publishers take turns, so that the server always has the next message at hand.
// The store is a new directory in dir, removed again.
func PackedJetStream(ctx context.Context, dir string, findings [][]byte, pack int) (_ float64, err error) {
	dir, err = os.MkdirTemp(dir, "jetstream-*")
	if err != nil {
		return 0, fmt.Errorf("measure JetStream: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := server.NewServer(&server.Options{
		DontListen: true, NoSigs: true, NoLog: true, JetStream: true, SyncAlways: true,
		StoreDir: filepath.Join(dir, "store"), JetStreamMaxStore: math.MaxInt64 / 2, JetStreamMaxMemory: 1 << 20, MaxPayload: 8 << 20,
	})
	if err != nil {
		return 0, fmt.Errorf("measure JetStream: %w", err)
	}
	s.Start()
	defer func() {
		s.Shutdown()
		s.WaitForShutdown()
	}()
	if !s.ReadyForConnections(time.Minute) {
		return 0, errors.New("measure JetStream: the server did not start")
	}
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		return 0, fmt.Errorf("measure JetStream: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return 0, fmt.Errorf("measure JetStream: %w", err)
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "LIMIT", Subjects: []string{"limit"}}); err != nil {
		return 0, fmt.Errorf("measure JetStream: %w", err)
	}
	messages := (len(findings) + pack - 1) / pack
	start := time.Now()
	err = inParallel(2, messages, func(i int) error {
		_, err := js.Publish(ctx, "limit", bytes.Join(findings[i*pack:min((i+1)*pack, len(findings))], []byte("\n")))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("measure JetStream: %w", err)
	}
	return perSecond(len(findings), start), nil
}

// BareHTTP posts n bodies over loopback from as many clients, each on one kept
// connection, to a server that reads and answers 202, and returns requests per second.
func BareHTTP(ctx context.Context, body []byte, clients, n int) (_ float64, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("measure HTTP: %w", err)
	}
	srv := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// A body that cannot be read shows as the client's error.
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusAccepted)
		}),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(listener) }()
	defer func() {
		err = errors.Join(err, srv.Close())
		if e := <-served; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
	}()
	return HTTPCalls(ctx, "http://"+listener.Addr().String(), body, clients, n)
}

// HTTPCalls posts n bodies to url from as many clients, each on one kept connection, and returns requests per second.
func HTTPCalls(ctx context.Context, url string, body []byte, clients, n int) (float64, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: clients, MaxConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	start := time.Now()
	err := inParallel(clients, n, func(int) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, res.Body)
		return errors.Join(err, res.Body.Close())
	})
	if err != nil {
		return 0, fmt.Errorf("measure HTTP: %w", err)
	}
	return perSecond(n, start), nil
}

// inParallel calls do with 0 to n-1 from as many goroutines as workers and
// returns the first error.
func inParallel(workers, n int, do func(i int) error) error {
	var next atomic.Int64
	var group sync.WaitGroup
	errs := make(chan error, workers)
	for range workers {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	group.Wait()
	close(errs)
	return <-errs
}

func perSecond(n int, start time.Time) float64 { return float64(n) / time.Since(start).Seconds() }
