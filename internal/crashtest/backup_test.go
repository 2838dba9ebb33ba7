package crashtest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestBackupSurvivesKills: findings come in through the webhook source all the time while docket, its backups and its
// restores are killed at random, 20 times. At last a backup that was taken under load is put back: the state is whole, what was answered with 202
// is in the tracker, every ticket once. DOCKET_CRASH=1 runs it at full length.
func TestBackupSurvivesKills(t *testing.T) {
	kills := 20
	if os.Getenv("DOCKET_CRASH") == "" && os.Getenv("DOCKET_RELIABILITY") == "" {
		if testing.Short() {
			t.Skip("builds and kills the real binary")
		}
		kills = 4
	}
	began := time.Now()
	w := newWorld(t, &folder{}, "DOCKET_TOKEN="+pushToken)
	b := &backups{w: w, r: seed(t)}
	for b.kills < kills {
		b.round()
	}
	b.last()
	v := w.settle()
	for _, line := range v.Wrong {
		t.Error(line)
	}
	t.Logf("%d kills: %d of docket under load, %d in a backup, %d in a restore; %d backups and %d restores came to their end; %d groups sent",
		b.kills, b.underLoad, b.inBackup, b.inRestore, b.made, b.restored, len(w.want))
	publish(t, row{Suite: "R17", What: fmt.Sprintf("%d kills under load, in backups and restores, then a backup taken under load is restored", kills),
		Runs: 1, Lost: v.Lost, Doubled: v.Doubled}, began)
}

// backups are rounds of kills over one world.
type backups struct {
	w    *world
	r    *rand.Rand
	next int    // group that was not sent yet
	file string // the newest whole backup; "" for none yet

	kills, underLoad, inBackup, inRestore, made, restored int
}

// later waits for a while drawn by chance.
func (b *backups) later(most time.Duration) { <-time.After(time.Duration(b.r.Int64N(int64(most)))) }

// load sends findings until the function that it returns is called.
func (b *backups) load() (stop func()) {
	done := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			groups := span(b.next, b.next+3)
			b.next += 3
			code := b.w.post("Bearer "+pushToken, failed, first, groups, 1, 2)
			b.w.sent(failed, groups, code/100 == 2)
			if code == 0 {
				<-time.After(10 * time.Millisecond) // it is down, or on its way down
			}
		}
	})
	return func() {
		close(done)
		sending.Wait()
	}
}

// round starts docket, has it under load, and kills it: in the midst of that, or while a backup is made of it. Every other
// time an older state is put back, which is killed as well.
func (b *backups) round() {
	b.w.t.Helper()
	d := b.w.daemon(nil)
	stop := b.load()
	b.later(400 * time.Millisecond)
	if b.r.IntN(2) == 0 {
		b.later(400 * time.Millisecond)
		b.underLoad++
	} else {
		b.backup(d)
	}
	_ = d.cmd.Process.Kill()
	<-d.done
	b.kills++
	stop()
	if b.file != "" && b.r.IntN(2) == 0 {
		b.restore()
	}
}

// backup makes a backup through the daemon, and most times kills one of the two.
func (b *backups) backup(d *process) {
	b.w.t.Helper()
	name := fmt.Sprintf("backup-%03d.tar", b.made+b.inBackup)
	p := b.w.start(nil, "state", "backup", name, "--server", b.w.addr)
	switch b.r.IntN(3) {
	case 0:
		b.later(100 * time.Millisecond)
		_ = p.cmd.Process.Kill()
		b.kills++
		b.inBackup++
	case 1:
		b.later(100 * time.Millisecond)
		_ = d.cmd.Process.Kill()
		b.inBackup++
	}
	<-p.done
	// Under its name a backup is whole, whatever was killed.
	if _, err := os.Stat(filepath.Join(b.w.dir, name)); err == nil {
		b.file = name
		b.made++
	} else if p.err == nil {
		b.w.t.Errorf("docket state backup ended well without a file:\n%s", p.out.String())
	}
}

// restore puts the newest backup back, and most times kills that.
func (b *backups) restore() {
	b.w.t.Helper()
	p := b.w.start(nil, "state", "restore", b.file)
	if b.r.IntN(4) > 0 {
		b.later(300 * time.Millisecond)
		_ = p.cmd.Process.Kill()
		<-p.done
		b.kills++
		b.inRestore++
		return
	}
	if p.killed() {
		b.w.t.Error("a restore was killed by somebody else")
	}
	b.restored++
}

// last takes a backup under load, goes on, is killed, and restores it.
func (b *backups) last() {
	b.w.t.Helper()
	d := b.w.daemon(nil)
	stop := b.load()
	b.later(400 * time.Millisecond)
	b.w.must("state", "backup", "last.tar", "--server", b.w.addr)
	b.later(time.Second)
	_ = d.cmd.Process.Kill()
	<-d.done
	stop()
	b.w.must("state", "restore", "last.tar")
	b.restored++
}
