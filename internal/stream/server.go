package stream

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// maxPayload is the largest message that the embedded server takes. NATS warns
// above 8 MiB (server/const.go, MAX_PAYLOAD_MAX_SIZE).
const maxPayload = 8 << 20

// startTimeout bounds how long the embedded server may take to recover its files.
const startTimeout = 5 * time.Minute

// startServer runs a NATS server inside the process, without any open port, on
// the files in dir.
func startServer(ctx context.Context, dir string, log serverLog) (*server.Server, error) {
	if err := privateDir(dir); err != nil {
		return nil, err
	}
	s, err := server.NewServer(serverOptions(dir))
	if err != nil {
		return nil, fmt.Errorf("set up the embedded stream server in %s: %w", dir, err)
	}
	s.SetLoggerV2(log, false, false, false)
	started := make(chan struct{})
	go func() {
		defer close(started)
		s.Start()
	}()
	select {
	case <-started:
	case <-ctx.Done():
		s.Shutdown()
		return nil, fmt.Errorf("start the embedded stream server: %w", context.Cause(ctx))
	}
	if !s.ReadyForConnections(startTimeout) || !s.JetStreamEnabled() {
		s.Shutdown()
		return nil, fmt.Errorf("start the embedded stream server in %s: it did not get ready; is the directory writable?", dir)
	}
	return s, nil
}

func serverOptions(dir string) *server.Options {
	return &server.Options{
		ServerName:             "docket",
		DontListen:             true,
		NoSigs:                 true, // signals belong to main
		NoLog:                  true,
		JetStream:              true,
		StoreDir:               dir,
		DisableJetStreamBanner: true,
		MaxPayload:             maxPayload,
		// JetStream acknowledges a message before it is on disk unless told to flush
		// always (server/filestore.go, defaultSyncInterval: every 2 minutes).
		SyncAlways: true,
		// Room is limited by each stream's own MaxBytes. Without a number here the server
		// would refuse to start when the disk has less free than they add up to.
		JetStreamMaxStore: math.MaxInt64 / 2,
		// Nothing is kept in memory storage but the state of consumers.
		JetStreamMaxMemory: 64 << 20,
	}
}

// privateDir makes dir for the owner only. The server makes everything below it
// 0700 and 0600 by itself (server/filestore.go, defaultDirPerms).
func privateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the stream's directory: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("close the stream's directory to others: %w", err)
	}
	return nil
}

// serverLog hands the server's lines to slog: its errors as warnings, since
// what they mean for docket is reported by the call that failed; the rest at debug.
type serverLog struct {
	log    *slog.Logger
	broken func(why string) // told when a file could not be written
}

func (l serverLog) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l serverLog) Debugf(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l serverLog) Tracef(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l serverLog) Warnf(format string, v ...any)   { l.log.Debug(fmt.Sprintf(format, v...)) }

// Errorf also notices that a store has given up writing: nothing else tells, for what is removed and for what consumers note.
func (l serverLog) Errorf(format string, v ...any) {
	line := fmt.Sprintf(format, v...)
	l.log.Warn(line)
	if strings.Contains(line, criticalWrite) {
		l.broken(line)
	}
}
func (l serverLog) Fatalf(format string, v ...any) { l.log.Error(fmt.Sprintf(format, v...)) }
