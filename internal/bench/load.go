package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Sent is what came of a load.
type Sent struct {
	Accepted, Rejected int
	Busy               int // answers that asked to come again (429)
	Duration           time.Duration
}

// Rate is findings accepted a second.
func (s Sent) Rate() float64 { return float64(s.Accepted) / s.Duration.Seconds() }

// Send posts each list of bodies in its order, all lists at the same time, and
// returns when everything was answered as durable. An answer that differs from what a
// body holds is an error.
func (d *Daemon) Send(ctx context.Context, clients [][]Body) (Sent, error) {
	var (
		mu    sync.Mutex
		total Sent
		errs  []error
		group sync.WaitGroup
	)
	start := time.Now()
	for _, list := range clients {
		group.Go(func() {
			var mine Sent
			var err error
			for i := range list {
				if err = d.post(ctx, &list[i], &mine); err != nil {
					break
				}
			}
			mu.Lock()
			defer mu.Unlock()
			total.Accepted += mine.Accepted
			total.Rejected += mine.Rejected
			total.Busy += mine.Busy
			errs = append(errs, err)
		})
	}
	group.Wait()
	total.Duration = time.Since(start)
	return total, errors.Join(errs...)
}

// post sends one body, again for as long as the daemon asks for patience.
func (d *Daemon) post(ctx context.Context, b *Body, s *Sent) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/api/v1/ingest/load", bytes.NewReader(b.Data))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := d.http.Do(req)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(res.Body)
		if err := errors.Join(err, res.Body.Close()); err != nil {
			return err
		}
		switch res.StatusCode {
		case http.StatusAccepted:
			return b.check(text, s)
		case http.StatusTooManyRequests:
			s.Busy++
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		default:
			return fmt.Errorf("POST of %d records: %s: %.300s", len(b.Records), res.Status, text)
		}
	}
}

// check compares an answer with what the body holds.
func (b *Body) check(answer []byte, s *Sent) error {
	var got struct {
		Accepted int               `json:"accepted"`
		Rejected []json.RawMessage `json:"rejected"`
	}
	if err := json.Unmarshal(answer, &got); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	s.Accepted += got.Accepted
	s.Rejected += len(got.Rejected)
	if got.Accepted != len(b.Records)-b.Malformed || len(got.Rejected) != b.Malformed {
		return fmt.Errorf("docket accepted %d and rejected %d of %d records with %d malformed: %.300s", got.Accepted, len(got.Rejected), len(b.Records), b.Malformed, answer)
	}
	return nil
}
