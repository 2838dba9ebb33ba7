package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/docket-hub/docket/internal/api"
)

func TestSmoke(t *testing.T) {
	dir := os.Getenv("SMOKE")
	if dir == "" {
		t.Skip()
	}
	cfg, err := Load(filepath.Join(dir, "docket.yaml"), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	o := RunOptions{Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	p := func(string, int, int) {}
	pl, err := Offline(cfg, o).Plan(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("plan", len(pl.Actions), pl.Waiting, pl.Summary)
	for i := 0; i < 2; i++ {
		sum, err := RunOnce(context.Background(), cfg, o, time.Minute, p)
		b, _ := json.MarshalIndent(sum, "", " ")
		fmt.Println(string(b), err)
	}
	fmt.Println(Offline(cfg, o).Verify(context.Background()))
}

func TestSmoke2(t *testing.T) {
	dir := os.Getenv("SMOKE")
	if dir == "" {
		t.Skip()
	}
	cfg, err := Load(filepath.Join(dir, "docket.yaml"), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	o := RunOptions{Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	p := func(string, int, int) {}
	sum, err := RunOnce(context.Background(), cfg, o, time.Minute, p)
	sum.Sources = nil
	b, _ := json.Marshal(sum)
	fmt.Println(string(b), err)
}

func TestSmoke3(t *testing.T) {
	dir := os.Getenv("SMOKE")
	cfg, err := Load(filepath.Join(dir, "docket.yaml"), os.LookupEnv)
	if err != nil {
		t.Skip()
	}
	f := Offline(cfg, RunOptions{}).(*offline)
	f.known(func(r *reader) error {
		l, _ := r.Cases(context.Background(), api.Filter{Since: time.Now().Add(-20 * time.Second), Limit: 1000})
		for _, c := range l.Cases {
			d, _ := r.Case(context.Background(), c.Case)
			fmt.Println(c.Case, c.Title, c.State, len(d.Story))
			for _, s := range d.Story {
				fmt.Println("   ", s.Time.Format("15:04:05.000"), s.Kind, s.Text)
			}
		}
		return nil
	})
}
