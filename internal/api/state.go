package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// BackupHeader is the header of a backup's answer that holds its Backup as JSON.
const BackupHeader = "Docket-Backup"

// Backup is what a backup says of itself.
type Backup struct {
	Installation string    `json:"installation"`
	Docket       string    `json:"docket"` // the version that made it
	Schema       int       `json:"schema"` // layout of the state file
	MadeAt       time.Time `json:"made_at"`
	Findings     uint64    `json:"findings_position"` // last message of the stream of findings that is applied in it
	Inputs       uint64    `json:"inputs_position"`   // the same of the stream of inputs
	Bytes        int64     `json:"bytes"`             // of the whole backup
}

// Verification is the answer of `docket state verify`.
type Verification struct {
	Problems []string `json:"problems"` // each a line; none is a clean state
	Findings int      `json:"findings"`
	Cases    int      `json:"cases"`   // open and closed
	Outbox   int      `json:"outbox"`  // actions on their way to the stream
	Rejects  int      `json:"rejects"` // kept for a look
	Bytes    int64    `json:"bytes"`   // of the state file
	// How far state has read its streams, and what they hold.
	Streams []StreamPosition `json:"streams"`
	Notes   []string         `json:"notes,omitempty"` // worth knowing, and no damage
}

// StreamPosition compares a stream with the position of the state.
type StreamPosition struct {
	Stream   string `json:"stream"`   // findings or inputs
	Position uint64 `json:"position"` // last message that state has applied
	First    uint64 `json:"first"`    // that the stream still holds
	Last     uint64 `json:"last"`     // that it ever held
}

// Restore is what became of `docket state restore`, or what is in its way.
type Restore struct {
	Backup
	Known  int    `json:"findings"` // in the restored state
	Cases  int    `json:"cases"`
	Kept   string `json:"kept,omitempty"` // where the state that was replaced lies
	Replay uint64 `json:"replay"`         // messages of findings that the stream still holds behind the backup
	Lost   string `json:"lost,omitempty"` // what is missing since the backup; "" where nothing is
}

// Compaction is what became of `docket state compact`: sizes of the state file in bytes.
type Compaction struct {
	Before int64 `json:"before"`
	After  int64 `json:"after"`
}

// Backup implements Service.
func (c *Client) Backup(ctx context.Context, open func(Backup) (io.Writer, error)) (Backup, error) {
	var b Backup
	err := c.receive(ctx, "/api/v1/state/backup", func(resp *http.Response, body io.Reader) error {
		if err := json.Unmarshal([]byte(resp.Header.Get(BackupHeader)), &b); err != nil {
			return fmt.Errorf("%w: %w at %s", ErrUnreachable, errForeign, c.base)
		}
		w, err := open(b)
		if err != nil {
			return err
		}
		n, err := io.Copy(w, body)
		if err == nil && n != b.Bytes {
			err = fmt.Errorf("the backup was cut off after %d of %d bytes: %w", n, b.Bytes, io.ErrUnexpectedEOF)
		}
		return err
	})
	return b, err
}

// Export implements Service.
func (c *Client) Export(ctx context.Context, w io.Writer) error {
	return c.receive(ctx, "/api/v1/state/export", func(_ *http.Response, body io.Reader) error {
		last := &lastLine{w: w}
		if _, err := io.Copy(last, body); err != nil {
			return err
		}
		return last.whole()
	})
}

// receive sends a request and hands the body of its answer over; nothing heard for a while ends it.
func (c *Client) receive(ctx context.Context, path string, take func(*http.Response, io.Reader) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(c.silent, func() { cancel(errSilent) })
	defer quiet.Stop()
	resp, end, err := c.do(ctx, call{method: http.MethodPost, path: path})
	if err != nil {
		return err
	}
	defer end()
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return c.failed(resp)
	}
	err = take(resp, &heard{resp.Body, func() { quiet.Reset(c.silent) }})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// lastLine passes text on and remembers its last line, as far as that is short.
type lastLine struct {
	w    io.Writer
	tail []byte
}

const tailBytes = 64 << 10

func (l *lastLine) Write(b []byte) (int, error) {
	n, err := l.w.Write(b)
	l.tail = append(l.tail, b[:n]...)
	if i := bytes.LastIndexByte(bytes.TrimSuffix(l.tail, []byte("\n")), '\n'); i >= 0 {
		l.tail = append(l.tail[:0], l.tail[i+1:]...)
	}
	if len(l.tail) > tailBytes {
		l.tail = append(l.tail[:0], l.tail[len(l.tail)-tailBytes:]...) // a last line is short
	}
	return n, err
}

// whole reports what is wrong with an export by its last line.
func (l *lastLine) whole() error {
	var last struct {
		Kind  string    `json:"kind"`
		Error ErrorBody `json:"error"`
	}
	if !bytes.HasSuffix(l.tail, []byte("\n")) || json.Unmarshal(l.tail, &last) != nil {
		return errCutExport
	}
	switch last.Kind {
	case "end":
		return nil
	case "error":
		return last.Error.Err(0)
	}
	return errCutExport
}

var errCutExport = errors.New("the export was cut off: its last line is no end")
