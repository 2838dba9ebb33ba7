package jiratest

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// listener is the port of a server: it can be closed and opened again at the same address.
type listener struct {
	mu     sync.Mutex
	addr   string // host:port, once opened
	server *http.Server
}

func (l *listener) open(h http.Handler, addr string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.server != nil {
		return nil
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	if l.addr == "" { // the same again later, and others read it
		l.addr = ln.Addr().String()
	}
	l.server = &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	server := l.server
	go func() { _ = server.Serve(ln) }() // it ends with an error when it is closed
	return nil
}

func (l *listener) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.server != nil {
		l.server.Close()
		l.server = nil
	}
}

// Refuse closes the port: connections are refused until Accept. What is under way is cut.
func (s *Server) Refuse() { s.listen.close() }

// Accept opens the port again, at the address that it had.
func (s *Server) Accept() error {
	if err := s.listen.open(s, s.listen.addr); err != nil {
		return fmt.Errorf("opening the port again: %w", err)
	}
	return nil
}
