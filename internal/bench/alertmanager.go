package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// alertmanager is what people without docket would use: the module and version that is built to run beside it.
const alertmanager = "github.com/prometheus/alertmanager@v0.34.2"

// Comparison is one round of docket and Alertmanager on the same work: events of which a quarter are
// distinct, 100 a request, and one call of a webhook for each distinct one.
type Comparison struct {
	Events, Distinct     int
	Docket, Alertmanager Run
}

// Run is what one of the two needed.
type Run struct {
	Accepted float64 // events/s until the last answer
	Told     float64 // events/s until the last call of the webhook
	CPU      float64 // seconds per 100,000 events
	RSS      int64   // peak bytes
}

// beside measures docket and Alertmanager in turn. Without the module it says so and measures nothing.
func (p Plan) beside(ctx context.Context, res *Results) error {
	binary, err := buildAlertmanager(ctx, p.Dir)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		p.Progress("not compared with Alertmanager: %v", err)
		return nil
	}
	for len(res.Beside) < p.Compared {
		var c Comparison
		if err := p.docketRun(ctx, &c); err != nil {
			return fmt.Errorf("docket beside Alertmanager: %w", err)
		}
		if err := p.alertmanagerRun(ctx, binary, &c); err != nil {
			return fmt.Errorf("Alertmanager: %w", err)
		}
		p.Progress("docket over Alertmanager: accepted %.0f of %.0f events/s (%.1f), told %.0f of %.0f (%.1f), CPU %.1f of %.1f s, memory %d of %d MB",
			c.Docket.Accepted, c.Alertmanager.Accepted, c.Docket.Accepted/c.Alertmanager.Accepted, c.Docket.Told, c.Alertmanager.Told,
			c.Docket.Told/c.Alertmanager.Told, c.Docket.CPU, c.Alertmanager.CPU, c.Docket.RSS>>20, c.Alertmanager.RSS>>20)
		res.Beside = append(res.Beside, c)
	}
	return nil
}

// buildAlertmanager builds Alertmanager from its module into a folder of dir. The module brings no files of its
// web pages, which are made when it is released: an empty page stands for them.
func buildAlertmanager(ctx context.Context, dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	throwaway := filepath.Join(dir, "alertmanager")
	source := filepath.Join(throwaway, "source")
	if err := os.MkdirAll(throwaway, 0o700); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(throwaway, "go.mod"), []byte("module throwaway\n"), 0o600); err != nil {
		return "", err
	}
	text, err := goTool(ctx, throwaway, "mod", "download", "-json", alertmanager)
	if err != nil {
		return "", err
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(text, &module); err != nil || module.Dir == "" {
		return "", fmt.Errorf("no folder of the module in %.200q", text)
	}
	if err := os.CopyFS(source, os.DirFS(module.Dir)); err != nil {
		return "", err
	}
	pages := filepath.Join(source, "ui", "app", "dist")
	if err := os.MkdirAll(pages, 0o700); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(pages, "index.html"), nil, 0o600); err != nil {
		return "", err
	}
	binary := filepath.Join(throwaway, "alertmanager")
	_, err = goTool(ctx, source, "build", "-o", binary, "./cmd/alertmanager")
	return binary, err
}

// goTool runs the go command in a folder that is no part of this module.
func goTool(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	var problem bytes.Buffer
	cmd.Dir, cmd.Stderr = dir, &problem
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%.500s%.500s", args[0], err, out, problem.String())
	}
	return out, nil
}

// docketRun measures docket with a webhook sink and each finding a ticket of its own.
func (p Plan) docketRun(ctx context.Context, c *Comparison) error {
	work := makeLoad(Options{Seed: p.Seed + 6, Mix: Quarter(), form: own}, p.Findings, clients, perBody)
	c.Events, c.Distinct = work.counts.Events, work.counts.First
	return p.tracked(ctx, 0, func(d *Daemon, t *tracker) (err error) {
		c.Docket, err = measured(ctx, d.process, t, &work, func() (time.Duration, error) {
			sent, err := d.Send(ctx, work.clients)
			return sent.Duration, err
		})
		if err != nil {
			return err
		}
		_, err = whole(t, work.counts.First)
		return err
	})
}

// alertmanagerRun measures Alertmanager with every alert a group of its own.
func (p Plan) alertmanagerRun(ctx context.Context, binary string, c *Comparison) (err error) {
	work := makeLoad(Options{Seed: p.Seed + 6, Mix: Quarter(), form: alert}, p.Findings, clients, perBody)
	t, err := newTracker(0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.down()) }()
	dir, err := os.MkdirTemp(p.Dir, "alertmanager-*")
	if err != nil {
		return err
	}
	addr, err := freeAddress()
	if err != nil {
		return err
	}
	config := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(config, []byte(`global: {resolve_timeout: 1h}
route: {receiver: out, group_by: ['...'], group_wait: 0s, group_interval: 1h, repeat_interval: 24h}
receivers:
  - {name: out, webhook_configs: [{url: "`+t.url()+`", send_resolved: false}]}
`), 0o600); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close(), os.RemoveAll(dir)) }()
	proc, err := startProcess(log, nil, binary, "--config.file", config, "--storage.path", filepath.Join(dir, "data"),
		"--web.listen-address", addr, "--cluster.listen-address", "", "--log.level", "error")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, proc.stop()) }()
	a := alerts{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}, url: "http://" + addr, proc: proc}
	defer a.client.CloseIdleConnections()
	if err := a.ready(ctx); err != nil {
		return err
	}
	c.Alertmanager, err = measured(ctx, proc, t, &work, func() (time.Duration, error) { return a.send(ctx, work.clients) })
	return err
}

// measured sends a load to a process and waits until the tracker was told of each distinct event.
func measured(ctx context.Context, proc *process, t *tracker, work *load, send func() (time.Duration, error)) (r Run, err error) {
	before, err := proc.CPU()
	if err != nil {
		return r, err
	}
	start := time.Now()
	took, err := send()
	if err != nil {
		return r, err
	}
	if err := t.until(ctx, work.counts.First); err != nil {
		return r, err
	}
	all := time.Since(start)
	after, err := proc.CPU()
	if err != nil {
		return r, err
	}
	n := work.counts.Events
	r.Accepted, r.Told, r.CPU = float64(n)/took.Seconds(), float64(n)/all.Seconds(), per100k(after-before, n)
	r.RSS, err = proc.PeakRSS()
	return r, err
}

// alerts is a running Alertmanager.
type alerts struct {
	client *http.Client
	url    string
	proc   *process
}

func (a *alerts) ready(ctx context.Context) error {
	for deadline := time.Now().Add(time.Minute); ; {
		err := a.call(ctx, http.MethodGet, "/-/ready", nil)
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-time.After(readyLook):
		case <-a.proc.done:
			return errors.New("it ended before it was ready")
		}
	}
}

func (a *alerts) call(ctx context.Context, method, path string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, method, a.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := a.client.Do(req)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK {
		err = errors.Join(err, fmt.Errorf("%s %s: %s: %.300s", method, path, res.Status, strings.TrimSpace(string(text))))
	}
	return errors.Join(err, res.Body.Close())
}

// send posts each list of bodies in its order, all lists at the same time.
func (a *alerts) send(ctx context.Context, lists [][]Body) (time.Duration, error) {
	start := time.Now()
	errs := make([]error, len(lists))
	var group sync.WaitGroup
	for i, list := range lists {
		group.Go(func() {
			for _, b := range list {
				if errs[i] = a.call(ctx, http.MethodPost, "/api/v2/alerts", b.Data); errs[i] != nil {
					return
				}
			}
		})
	}
	group.Wait()
	return time.Since(start), errors.Join(errs...)
}
