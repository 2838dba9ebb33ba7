package state

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// known are the state files of knownStore by their number of findings.
var known struct {
	sync.Mutex
	paths map[int]string
}

// knownStore opens a state file with n findings, made once per process.
func knownStore(b *testing.B, n int) *Store {
	b.Helper()
	known.Lock()
	defer known.Unlock()
	if known.paths == nil {
		known.paths = map[int]string{}
	}
	path := known.paths[n]
	if path == "" {
		dir, err := os.MkdirTemp("", "docket-state")
		if err != nil {
			b.Fatal(err)
		}
		path = filepath.Join(dir, "state.db")
		s := openStore(b, path)
		for from := uint64(1); from <= uint64(n); from += 5000 {
			commit(b, s, findings(from, from, min(from+5000, uint64(n)+1)))
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		known.paths[n] = path
	}
	return openStore(b, path)
}

func removeKnown() {
	for _, path := range known.paths {
		_ = os.RemoveAll(filepath.Dir(path)) // a temporary folder
	}
}

func head(b *testing.B, s *Store) (position, next uint64) {
	b.Helper()
	look(b, s, func(p *Snapshot) { position, next = p.Meta().Findings, p.Meta().NextSeq })
	return position, next
}

var sizes = []int{10_000, 1_000_000}

// BenchmarkCommitRepeats commits 500 unchanged repeats at a time, spread over all that is known.
func BenchmarkCommitRepeats(b *testing.B) {
	for _, n := range sizes {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			s := knownStore(b, n)
			position, next := head(b, s)
			at := start.Add(time.Hour)
			i := uint64(0)
			for b.Loop() {
				position, at = position+1, at.Add(time.Second)
				i = (i + 500) % uint64(n-500)
				commit(b, s, repeats(position, next, 1+i, 501+i, at))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/finding")
		})
	}
}

// BenchmarkCommitNew commits 500 findings never seen before at a time.
func BenchmarkCommitNew(b *testing.B) {
	s := newStore(b)
	next := uint64(1)
	for b.Loop() {
		commit(b, s, findings(next, next, next+500))
		next += 500
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/finding")
}

// BenchmarkHot looks findings up in an order that jumps about, 500 a snapshot.
func BenchmarkHot(b *testing.B) {
	for _, n := range sizes {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			s := knownStore(b, n)
			seq, done := uint64(0), 0
			p, err := s.View()
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				seq = (seq + 7919*31) % uint64(n)
				if _, ok := p.Hot(printOf(seq + 1)); !ok {
					b.Fatalf("Hot(finding %d) = none; want it", seq+1)
				}
				if done++; done%500 == 0 {
					p.Close()
					if p, err = s.View(); err != nil {
						b.Fatal(err)
					}
				}
			}
			p.Close()
			reportMemory(b)
		})
	}
}

// BenchmarkOpen opens a state file that was closed well.
func BenchmarkOpen(b *testing.B) {
	for _, n := range sizes {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			s := knownStore(b, n)
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				s, err := Open(s.Path(), Options{})
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			reportMemory(b)
		})
	}
}

// reportMemory reports the most memory that the process had so far, where the system tells (Linux: proc(5), VmHWM).
func reportMemory(b *testing.B) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			kb, err := strconv.Atoi(f[1])
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(kb)/1024, "peak-MB")
		}
	}
}
