package tools

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/internal/command"
)

// keyPair is what `send` signs with where a provider's secret is the public
// half of a key that only the provider holds.
type keyPair struct{ public, private string }

// generateKey makes the key pair of a source, unless it has one, and prints
// the public half.
func generateKey(env command.Env, file, name string) error {
	set, err := command.Load(file, env, true)
	if err != nil {
		return err
	}
	declared, err := set.Declared(name)
	if err != nil {
		return err
	}
	p, _ := set.Catalog.Lookup(declared.Provider) // load has seen that it is there
	if source, ok := set.Bound[name]; ok {
		p = source.Provider.Provider // with the scheme that the source itself gives
	}
	home, err := command.UserFolders(env)
	if err != nil {
		return err
	}
	pair, err := readKeyPair(home.SendKey(name))
	if errors.Is(err, fs.ErrNotExist) {
		pair, err = writeKeyPair(home.SendKey(name), p)
	}
	if err != nil {
		return fmt.Errorf("source %q: %w", name, err)
	}
	fmt.Fprintf(env.Stderr, "Put this public key into a file or a variable, and name that under `secrets` of source %q,\n"+
		"beside the provider's own. The private half is %s: who has it\n"+
		"can send events that the source takes. Remove both when you are done.\n", name, home.SendKey(name))
	_, err = fmt.Fprintln(env.Stdout, pair.public)
	return err
}

func readKeyPair(file string) (keyPair, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return keyPair{}, err
	}
	public, private, ok := strings.Cut(strings.TrimSpace(string(text)), "\n")
	if !ok {
		return keyPair{}, fmt.Errorf("%s holds no key pair; remove it and make another with --generate-key", file)
	}
	return keyPair{public, private}, nil
}

func writeKeyPair(file string, p *provider.Provider) (keyPair, error) {
	public, private, err := p.GenerateKey()
	if err != nil {
		return keyPair{}, err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return keyPair{}, err
	}
	return keyPair{public, private}, os.WriteFile(file, []byte(public+"\n"+private+"\n"), 0o600)
}

// signAs signs d as the source's provider would, with the source's first
// secret or, where that only verifies, with the key pair made for it.
func signAs(env command.Env, source *ingest.Source, name string, d *provider.Delivery) error {
	err := source.Provider.Sign(d)
	if err == nil || !source.Provider.SignsWithPair() {
		return err
	}
	home, homeErr := command.UserFolders(env)
	if homeErr != nil {
		return homeErr
	}
	pair, readErr := readKeyPair(home.SendKey(name))
	if errors.Is(readErr, fs.ErrNotExist) {
		return fmt.Errorf("%w; make a pair of your own with `send %s --generate-key`", err, name)
	}
	if readErr != nil {
		return readErr
	}
	signer, err := source.Provider.Rebind(func(b *provider.Binding) { b.Secrets = []string{pair.private} })
	if err != nil {
		return fmt.Errorf("%s: %w", home.SendKey(name), err)
	}
	return signer.Sign(d)
}
