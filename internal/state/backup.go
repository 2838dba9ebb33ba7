package state

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/docket-hub/docket/internal/failpoint"
)

// backupFormat is the layout of a backup: a tar archive of three members, in this order.
const (
	backupFormat   = 1
	backupHead     = "backup.json" // a BackupInfo
	backupState    = "state.db"    // one moment of the state file
	backupSums     = "sha256sums"  // of both, as sha256sum(1) reads them; without it the backup was cut off
	backupHeadMax  = 1 << 20
	tarBlock       = 512
	backupFileMode = 0o600
)

// ErrBackup says that what was to be restored is no backup, or not a whole one.
var ErrBackup = errors.New("not a whole backup of docket's state")

// BackupInfo is what a backup says of itself.
type BackupInfo struct {
	Format       int       `json:"format"`
	Installation string    `json:"installation"`
	Docket       string    `json:"docket"` // the version that made it
	Schema       int       `json:"schema"` // layout of the state file
	MadeAt       time.Time `json:"made_at"`
	Findings     uint64    `json:"findings_position"` // last message of the stream of findings that is applied in it
	Inputs       uint64    `json:"inputs_position"`   // the same of the stream of inputs
	NextCase     uint64    `json:"next_case"`         // number of the next case
	StateBytes   int64     `json:"state_bytes"`       // size of the state file in it
}

// Backup writes one moment of the state, while commits go on. The caller fills
// Installation, Docket and MadeAt of info; the rest is filled in. open is called once with all of
// it and the exact size of the backup in bytes, before the first of them, and gives the writer. Pages that commits
// replace meanwhile are kept until the end, so the writer should not dawdle.
func (s *Store) Backup(info BackupInfo, open func(info BackupInfo, size int64) (io.Writer, error)) (BackupInfo, error) {
	p, err := s.View()
	if err != nil {
		return info, err
	}
	defer p.Close()
	layout, err := s.layout()
	if err != nil {
		return info, err
	}
	m := p.Meta()
	info.Format, info.Schema, info.StateBytes = backupFormat, int(layout), p.tx.Size()
	info.Findings, info.Inputs, info.NextCase = m.Findings, m.Inputs, m.NextCase
	head, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return info, err
	}
	head = append(head, '\n')
	w, err := open(info, backupSize(int64(len(head)), info.StateBytes))
	if err != nil {
		return info, err
	}
	if err := p.writeBackup(w, info, head); err != nil {
		return info, fmt.Errorf("writing the backup: %w", err)
	}
	return info, nil
}

func (p *Snapshot) writeBackup(w io.Writer, info BackupInfo, head []byte) error {
	a := tar.NewWriter(w)
	member := func(name string, size int64) error {
		return a.WriteHeader(&tar.Header{
			Name: name, Mode: backupFileMode, Size: size, ModTime: info.MadeAt.Truncate(time.Second),
			Format: tar.FormatGNU, // one block, however large the file
		})
	}
	if err := member(backupHead, int64(len(head))); err != nil {
		return err
	}
	if _, err := a.Write(head); err != nil {
		return err
	}
	if err := member(backupState, info.StateBytes); err != nil {
		return err
	}
	failpoint.Hit("backup/begun")
	sum := sha256.New()
	if _, err := p.tx.WriteTo(io.MultiWriter(a, sum)); err != nil {
		return err
	}
	sums := backupSumLines(head, sum)
	if err := member(backupSums, int64(len(sums))); err != nil {
		return err
	}
	if _, err := a.Write(sums); err != nil {
		return err
	}
	return a.Close()
}

// backupSize is the size of the archive: each member has a block of its own in front and is
// filled up to whole blocks; two empty blocks end it.
func backupSize(head, state int64) int64 {
	size := int64(2 * tarBlock)
	for _, n := range []int64{head, state, int64(len(backupSumLines(nil, sha256.New())))} {
		size += tarBlock + (n+tarBlock-1)/tarBlock*tarBlock
	}
	return size
}

func backupSumLines(head []byte, state hash.Hash) []byte {
	h := sha256.Sum256(head)
	return fmt.Appendf(nil, "%s  %s\n%s  %s\n", hex.EncodeToString(h[:]), backupHead, hex.EncodeToString(state.Sum(nil)), backupState)
}

// ReadBackup reads a backup to its end and copies the state file in it to out;
// nil only looks. What is cut off, changed or something else is ErrBackup, a backup of a format or layout
// that this docket does not know ErrNewer; what stands in out then is of no use.
func ReadBackup(r io.Reader, out io.Writer) (BackupInfo, error) {
	info, err := readBackup(tar.NewReader(r), out)
	switch {
	case errors.Is(err, tar.ErrHeader), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return info, fmt.Errorf("%w: it is something else, or was cut off: %w", ErrBackup, err)
	}
	return info, err
}

func readBackup(a *tar.Reader, out io.Writer) (info BackupInfo, err error) {
	member := func(name string) error {
		h, err := a.Next()
		if err == nil && h.Name != name {
			err = fmt.Errorf("%w: it holds %q where %s belongs", ErrBackup, h.Name, name)
		}
		return err
	}
	if err := member(backupHead); err != nil {
		return info, err
	}
	head, err := io.ReadAll(io.LimitReader(a, backupHeadMax))
	if err != nil {
		return info, err
	}
	if err := json.Unmarshal(head, &info); err != nil {
		return info, fmt.Errorf("%w: %s: %w", ErrBackup, backupHead, err)
	}
	switch {
	case info.Format < 1 || info.Schema < schemaFirst || info.Installation == "":
		return info, fmt.Errorf("%w: %s lacks what a backup says of itself", ErrBackup, backupHead)
	case info.Format > backupFormat:
		return info, fmt.Errorf("%w: a backup of format %d made by docket %s, this docket knows %d", ErrNewer, info.Format, info.Docket, backupFormat)
	case info.Schema > schemaVersion:
		return info, fmt.Errorf("%w: a backup of layout %d made by docket %s, this docket knows %d; restore it with that docket", ErrNewer, info.Schema, info.Docket, schemaVersion)
	}
	if err := member(backupState); err != nil {
		return info, err
	}
	sum := sha256.New()
	to := io.Writer(sum)
	if out != nil {
		to = io.MultiWriter(out, sum)
	}
	if _, err := io.Copy(to, a); err != nil {
		return info, err
	}
	if err := member(backupSums); err != nil {
		return info, err
	}
	sums, err := io.ReadAll(io.LimitReader(a, backupHeadMax))
	if err != nil {
		return info, err
	}
	if !bytes.Equal(sums, backupSumLines(head, sum)) {
		return info, fmt.Errorf("%w: its contents and %s differ: it was damaged or changed", ErrBackup, backupSums)
	}
	return info, nil
}
