package ingest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// handedOver keeps the secrets that providers hand over in a handshake. Anybody
// who knows the endpoint can send such a handshake. A secret is therefore never
// used before a person has put it into the config, no secret replaces another,
// and each source has room for a few only.
type handedOver struct {
	folder string
	mu     sync.Mutex
}

// maxHanded is how many secrets of one source are kept, and maxHandedSecret how
// long one may be, in bytes.
const (
	maxHanded       = 16
	maxHandedSecret = 4 << 10
)

// keepHandedOver writes the secret into a file and logs the name of the file.
func (s *Server) keepHandedOver(source *Source, secret string) error {
	file, err := s.handed.keep(source.name, secret)
	if err != nil {
		return fmt.Errorf("the secret that the provider handed over: %w", err)
	}
	s.logger.Warn("the provider handed over a secret; if it was you who asked it to, add the reference to the source's secrets and reload, else delete the file",
		"source", source.name, "provider", source.Provider.Name(), "file", file, "secrets", "file:"+file)
	return nil
}

// keep writes the secret into a file of its own and returns its name. The same
// secret always has the same file.
func (h *handedOver) keep(source, secret string) (file string, err error) {
	switch {
	case h.folder == "":
		return "", errors.New("there is no folder to keep it in")
	case len(secret) > maxHandedSecret:
		return "", fmt.Errorf("it is %d bytes, at most %d are kept", len(secret), maxHandedSecret)
	}
	folder := filepath.Join(h.folder, source)
	sum := sha256.Sum256([]byte(secret))
	file = filepath.Join(folder, hex.EncodeToString(sum[:8]))

	h.mu.Lock()
	defer h.mu.Unlock()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	waiting, err := os.ReadDir(folder)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	if len(waiting) >= maxHanded {
		return "", fmt.Errorf("%d of them wait in %s already; delete those that nobody asked for", len(waiting), folder)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return file, nil
	}
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(secret)
	return file, errors.Join(err, f.Close())
}
