package feeds

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// kept is the last good copy on disk: one line of JSON, then the body as it was read, in one file, so that
// what is said about a body is always said about that body.
type kept struct {
	Version  int       `json:"version"`
	From     string    `json:"from"`
	Address  string    `json:"address,omitempty"` // a hash of the whole address; the next two are that address's
	ETag     string    `json:"etag,omitempty"`
	Modified string    `json:"modified,omitempty"`
	Fetched  time.Time `json:"fetched"`
	Sum      string    `json:"sha256"` // of the body
	body     []byte
}

const keptVersion = 1

func address(url string) string {
	sum := sha256.Sum256([]byte(url))
	return hex.EncodeToString(sum[:])
}

func keptPath(dir string, kind Kind) string { return filepath.Join(dir, string(kind)+".copy") }

// readKept reads the last good copy; nil where there is none.
func readKept(dir string, kind Kind) (*kept, error) {
	if dir == "" {
		return nil, nil
	}
	path := keptPath(dir, kind)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the kept copy of %s: %w", kind.Title(), err)
	}
	head, body, _ := bytes.Cut(data, []byte("\n"))
	k := &kept{}
	if err := json.Unmarshal(head, k); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", path, err)
	}
	sum := sha256.Sum256(body)
	switch {
	case k.Version != keptVersion:
		return nil, fmt.Errorf("%s has version %d, this program reads version %d", path, k.Version, keptVersion)
	case k.Sum != hex.EncodeToString(sum[:]):
		return nil, fmt.Errorf("%s is damaged: its content is not what was written", path)
	}
	k.body = body
	return k, nil
}

// writeKept puts a copy in the place of the kept one, whole or not at all.
func writeKept(dir string, kind Kind, k *kept) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	sum := sha256.Sum256(k.body)
	k.Version, k.Sum = keptVersion, hex.EncodeToString(sum[:])
	head, err := json.Marshal(k)
	if err != nil {
		return err
	}
	path := keptPath(dir, kind)
	next := path + ".tmp" // one name, so that what a killed process left is written over
	file, err := os.OpenFile(next, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(append(head, '\n'), k.body...))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
