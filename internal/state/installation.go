package state

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// installationFile holds the id of an installation, in the data folder beside the state file.
const installationFile = "installation"

// ErrInstallation says that the configured installation is not the one that this data folder belongs to.
var ErrInstallation = errors.New("the installation id differs from the stored one")

// Installation is the id that goes into every ticket key: the configured one,
// or 16 hex digits made at random when none is configured. It is stored in dir
// (mode 0600) the first time and never changes: afterwards a configured id
// that differs is ErrInstallation.
func Installation(dir, configured string) (string, error) {
	path := filepath.Join(dir, installationFile)
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return makeInstallation(dir, path, configured)
	case err != nil:
		return "", fmt.Errorf("reading the installation id: %w", err)
	}
	stored := strings.TrimSpace(string(data))
	if stored == "" {
		return "", fmt.Errorf("%w: %s is empty; write the id of this installation into it", ErrDamaged, path)
	}
	if configured != "" && configured != stored {
		return "", fmt.Errorf("%w: configured %q, %s says %q; under another id docket would not find the tickets it made and make them again, so set it back, or use another data folder for another installation",
			ErrInstallation, configured, path, stored)
	}
	return stored, nil
}

// makeInstallation stores the id whole or not at all: half an id would be another one.
func makeInstallation(dir, path, configured string) (string, error) {
	id := configured
	if id == "" {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails (crypto/rand)
		id = hex.EncodeToString(b[:])
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("making the data folder: %w", err)
	}
	f, err := os.CreateTemp(dir, installationFile+".*") // mode 0600
	if err != nil {
		return "", fmt.Errorf("storing the installation id: %w", err)
	}
	defer os.Remove(f.Name()) // gone already when all went well
	_, err = f.WriteString(id + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", fmt.Errorf("storing the installation id: %w", err)
	}
	// A link, unlike a rename, does not replace what another process stored meanwhile.
	err = os.Link(f.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		return Installation(dir, configured)
	}
	if err != nil {
		err = os.Rename(f.Name(), path) // a file system without links
	}
	if err = errors.Join(err, syncFolder(dir)); err != nil {
		return "", fmt.Errorf("storing the installation id: %w", err)
	}
	return id, nil
}

// syncFolder makes a new name in dir durable, where folders can be flushed.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
