package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Token is what the measured daemon accepts. It protects nothing: the daemon
// listens on loopback for the time of a measurement.
const token = "measured-on-loopback-only"

// Build compiles docket from the module that holds dir into the folder into and returns its path.
func Build(ctx context.Context, dir, into string) (string, error) {
	binary := filepath.Join(into, "docket")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "github.com/docket-hub/docket/cmd/docket")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is released
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build docket: %w", err)
	}
	return binary, nil
}

// Daemon is a docket with a folder of its own, running unless it was halted.
type Daemon struct {
	dir     string
	tickets string
	url     string
	command []string
	http    *http.Client
	log     *os.File
	*process
}

// Setup is what differs between the daemons of the measures.
type Setup struct {
	Pprof   bool   // profiles are served
	Webhook string // where tickets are posted to, each finding a ticket of its own; empty: they become files
}

// Start runs binary on a new configuration and an empty state in a folder below
// dir, and returns once it is ready.
func Start(ctx context.Context, binary, dir string, setup Setup) (_ *Daemon, err error) {
	d := &Daemon{http: &http.Client{
		Timeout: 2 * time.Minute,
		// What the tool asks for besides must cost docket little: compressing it is no part of the load.
		Transport: &http.Transport{MaxIdleConnsPerHost: 128, MaxConnsPerHost: 128, DisableCompression: true},
	}}
	if d.dir, err = os.MkdirTemp(dir, "daemon-*"); err != nil {
		return nil, fmt.Errorf("start docket: %w", err)
	}
	if d.tickets, err = os.MkdirTemp(Receiver(d.dir), "docket-tickets-*"); err != nil {
		return nil, fmt.Errorf("start docket: %w", err)
	}
	addr, err := freeAddress()
	if err != nil {
		return nil, fmt.Errorf("start docket: %w", err)
	}
	d.url = "http://" + addr
	path := filepath.Join(d.dir, "docket.yaml")
	if err := os.WriteFile(path, []byte(configuration(addr, d.tickets, setup.Webhook)), 0o600); err != nil {
		return nil, fmt.Errorf("start docket: %w", err)
	}
	if d.log, err = os.Create(filepath.Join(d.dir, "log")); err != nil {
		return nil, fmt.Errorf("start docket: %w", err)
	}
	d.command = []string{binary, "--config", path, "--log-level", "warn", "run"}
	if setup.Pprof {
		d.command = append(d.command, "--pprof")
	}
	if _, err := d.launch(ctx); err != nil {
		return nil, errors.Join(err, d.Stop())
	}
	return d, nil
}

// launch runs the process on the folder as it is, and returns how long it took to get ready.
func (d *Daemon) launch(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	var err error
	if d.process, err = startProcess(d.log, []string{"DOCKET_BENCH_TOKEN=" + token}, d.command[0], d.command[1:]...); err != nil {
		return 0, fmt.Errorf("start docket: %w", err)
	}
	err = d.ready(ctx)
	return time.Since(start), err
}

// memory is a file system in memory on Linux.
const memory = "/dev/shm"

// Receiver is the folder that stands for the tracker. A tracker is another
// machine, so its writes must not compete for the disk that docket flushes to: it is in memory
// where that can be had, else in dir.
func Receiver(dir string) string {
	if info, err := os.Stat(memory); err == nil && info.IsDir() {
		return memory
	}
	return dir
}

// freeAddress is a loopback address that nobody listens on now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// configuration is that of the measured daemon: docket's defaults, a team for
// each of the world's, one sink, and no limit on new tickets, which would hold the work back.
func configuration(addr, tickets, webhook string) string {
	sink, group := "{name: out, type: file, path: "+tickets+"}", "account, control"
	if webhook != "" {
		sink, group = fmt.Sprintf("{name: out, type: webhook, url: %s, concurrency: %d}", webhook, connections), "resource"
	}
	var b strings.Builder
	fmt.Fprintf(&b, `data_dir: data
server:
  listen: %s
  auth: {tokens: [{name: bench, role: admin, token: {env: DOCKET_BENCH_TOKEN}}]}
sources: [{name: load, type: webhook, repository: acme/shop}]
sinks: [%s]
limits: {max_new_tickets_per_hour: 1000000}
teams:
  - {name: security}
`, addr, sink)
	for n := range teams {
		fmt.Fprintf(&b, "  - {name: team-%02d}\n", n)
	}
	fmt.Fprintf(&b, "route:\n  team: security\n  sinks: [out]\n  group_by: [%s]\n  routes:\n", group)
	for n := range teams {
		fmt.Fprintf(&b, "    - {match: {tag.team: [team-%02d]}, team: team-%02[1]d}\n", n)
	}
	return b.String()
}

// readyLook is how often a starting daemon is asked whether it is ready.
const readyLook = 5 * time.Millisecond

func (d *Daemon) ready(ctx context.Context) error {
	deadline := time.Now().Add(time.Minute)
	for {
		err := d.get(ctx, "/-/ready", io.Discard)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("docket did not get ready: %w", err)
		}
		select {
		case <-time.After(readyLook):
		case <-d.done:
			return errors.New("docket ended before it was ready")
		}
	}
}

func (d *Daemon) get(ctx context.Context, path string, into io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := d.http.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(into, res.Body)
	if res.StatusCode != http.StatusOK {
		err = errors.Join(err, fmt.Errorf("GET %s: %s", path, res.Status))
	}
	return errors.Join(err, res.Body.Close())
}

// Stop ends the daemon in good order and removes its folder. A daemon that
// does not end within a minute is killed, which is an error.
func (d *Daemon) Stop() error {
	err := d.halt()
	d.http.CloseIdleConnections()
	return errors.Join(err, d.log.Close(), os.RemoveAll(d.dir), os.RemoveAll(d.tickets))
}

// halt ends the daemon in good order; its folder stays.
func (d *Daemon) halt() error {
	if d.process == nil {
		return nil
	}
	err := d.process.stop()
	if err != nil {
		text, _ := os.ReadFile(d.log.Name())
		err = fmt.Errorf("docket ended: %w\n%.4000s", err, text)
	}
	d.process = nil
	return err
}

// crash ends the daemon as a kill would; its folder stays.
func (d *Daemon) crash() {
	d.process.kill()
	d.process = nil
}

// profile writes a CPU profile of the next seconds to path.
func (d *Daemon) profile(ctx context.Context, path string, seconds int) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	return errors.Join(d.get(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", seconds), f), f.Close())
}

// Judged counts what triage judged, by what it found it to be.
type Judged struct{ New, Changed, Unchanged, Older, Rejected, Outcomes int }

// Findings is all but the rejected.
func (j Judged) Findings() int { return j.New + j.Changed + j.Unchanged + j.Older }

// Judged reads the counters of /metrics.
func (d *Daemon) Judged(ctx context.Context) (Judged, error) {
	var text strings.Builder
	if err := d.get(ctx, "/metrics", &text); err != nil {
		return Judged{}, err
	}
	var j Judged
	scan := bufio.NewScanner(strings.NewReader(text.String()))
	for scan.Scan() {
		name, value, ok := strings.Cut(scan.Text(), "} ")
		if !ok {
			name, value, _ = strings.Cut(scan.Text(), " ")
		}
		into := map[string]*int{
			`docket_findings_total{kind="new"`:       &j.New,
			`docket_findings_total{kind="changed"`:   &j.Changed,
			`docket_findings_total{kind="unchanged"`: &j.Unchanged,
			`docket_findings_total{kind="older"`:     &j.Older,
			`docket_findings_rejected_total`:         &j.Rejected,
		}[name]
		if strings.HasPrefix(name, "docket_outcomes_total{") {
			into = &j.Outcomes
		}
		if into == nil {
			continue
		}
		f, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return Judged{}, fmt.Errorf("read metrics: %w", err)
		}
		*into += int(f)
	}
	return j, scan.Err()
}

// waiting is how many tickets the daemon has yet to bring to its sink; parked
// and dead ones are an error.
func (d *Daemon) waiting(ctx context.Context) (int, error) {
	var text strings.Builder
	if err := d.get(ctx, "/api/v1/sinks", &text); err != nil {
		return 0, err
	}
	var list []struct {
		Waiting, Dead, Parked int
		LastError             string `json:"last_error"`
	}
	if err := json.Unmarshal([]byte(text.String()), &list); err != nil {
		return 0, fmt.Errorf("read sinks: %w", err)
	}
	n := 0
	for _, s := range list {
		n += s.Waiting
		if s.Dead+s.Parked > 0 {
			return n, fmt.Errorf("%d tickets are dead and %d parked: %s", s.Dead, s.Parked, s.LastError)
		}
	}
	return n, nil
}

// drainWithin bounds the wait for triage and tickets after a load.
const drainWithin = 15 * time.Minute

// Drain returns once triage has judged that many findings and every ticket is on disk.
func (d *Daemon) Drain(ctx context.Context, findings int) (Judged, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, drainWithin, errors.New("docket did not drain in time"))
	defer cancel()
	last := -1
	for {
		j, err := d.Judged(ctx)
		if err != nil {
			return j, err
		}
		// Asking for the sinks reads every case: only when nothing moves any more.
		if j.Findings() >= findings && j.Outcomes == last {
			n, err := d.waiting(ctx)
			if n == 0 || err != nil {
				return j, err
			}
		}
		last = j.Outcomes
		select {
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
			return j, fmt.Errorf("%w: %d of %d findings judged", context.Cause(ctx), j.Findings(), findings)
		}
	}
}

// rest returns once the daemon has nothing to do: for half a second it used next to no CPU.
func (d *Daemon) rest(ctx context.Context) error {
	for {
		before, err := d.CPU()
		if err != nil {
			return err
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		after, err := d.CPU()
		if err != nil || after-before <= 30*time.Millisecond {
			return err
		}
	}
}

// folderSize is how many bytes the files of a folder have, those of its folders included.
func folderSize(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("measure the folder: %w", err)
	}
	return n, nil
}
