package tests

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/tests/harness"
)

// The credentials of the S3 server, as every program finds them in its
// environment.
const (
	s3Access = "hookyard"
	s3Secret = "s3-secret-of-the-tests"
)

// s3Server is a real S3 server with one bucket, that a test may take away and
// bring back.
type s3Server struct {
	*harness.Supervised
	t       *testing.T
	address string
	folder  string // of the bucket's objects
}

// startS3 runs an S3 server until the test ends.
func startS3(t *testing.T) *s3Server {
	program, err := harness.Tool(t.Context(), "tests/s3server", harness.S3Server)
	require.NoError(t, err)
	s := &s3Server{t: t, address: harness.TestAddress(t), folder: filepath.Join(t.TempDir(), "bodies")}
	require.NoError(t, os.Mkdir(s.folder, 0o700))
	out := &harness.Output{}
	s.Supervised = harness.Supervise(harness.Command{
		Program: program, Args: []string{"--port", s.address, "posix", filepath.Dir(s.folder)}, Out: out,
		Vars: []string{"ROOT_ACCESS_KEY_ID=" + s3Access, "ROOT_SECRET_ACCESS_KEY=" + s3Secret, "HOME=" + t.TempDir()},
	})
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("the S3 server printed:\n%s", out)
		}
	})
	s.Start()
	return s
}

// Start starts the server, also after Kill, and waits until it answers.
func (s *s3Server) Start() {
	s.t.Helper()
	require.NoError(s.t, s.Supervised.Start())
	harness.Eventually(s.t, "the S3 server listens", func() bool { return harness.Reachable(s.t.Context(), s.address) })
}

// url is the bucket's, as payload_store takes it.
func (s *s3Server) url() string {
	return "s3://" + filepath.Base(s.folder) + "?region=us-east-1&use_path_style=true&endpoint=http://" + s.address
}

// objects counts the bucket's objects.
func (s *s3Server) objects() int {
	n := 0
	require.NoError(s.t, filepath.WalkDir(filepath.Join(s.folder, "payloads"), func(_ string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			n++
		}
		return err
	}))
	return n
}
