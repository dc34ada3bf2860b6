package payload

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"
)

func openFolder(t *testing.T, folder string, keys ...Key) *Store {
	s, err := Open(t.Context(), folder, "", 256<<10, NewCodec(keys))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func large() *commonpb.Payload {
	return &commonpb.Payload{
		Metadata: map[string][]byte{converter.MetadataEncoding: []byte("json/plain"), "a": nil, "b": nil, "c": nil},
		Data:     []byte(`"` + strings.Repeat(canary, 20<<10) + `"`),
	}
}

// objects returns the files of a store in a folder.
func objects(t *testing.T, folder string) (files []string) {
	require.NoError(t, filepath.WalkDir(folder, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files = append(files, path)
		}
		return err
	}))
	return files
}

func TestStore(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][]Key{"plain": nil, "encrypted": {newKey(t)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(t.TempDir(), "bodies")
			s := openFolder(t, folder, keys...)
			small, given := plainPayload(), &commonpb.Payloads{Payloads: []*commonpb.Payload{plainPayload(), large(), large()}}
			require.NoError(t, s.Offload(t.Context(), given))
			require.True(t, proto.Equal(small, given.GetPayloads()[0]), "a small one stays")
			require.Less(t, proto.Size(given), 2<<10)
			files := objects(t, folder)
			require.Len(t, files, 1, "equal payloads are one object")
			stored, err := os.ReadFile(files[0])
			require.NoError(t, err)
			require.Equal(t, keys == nil, bytes.Contains(stored, []byte(canary)))

			for _, reference := range given.GetPayloads()[1:] {
				got, err := s.Resolve(t.Context(), reference)
				require.NoError(t, err)
				require.True(t, proto.Equal(large(), got), "byte for byte")
			}
			_, err = (*Store)(nil).Resolve(t.Context(), given.GetPayloads()[1])
			require.ErrorIs(t, err, ErrNoStore)

			stored[len(stored)/2] ^= 1
			require.NoError(t, os.WriteFile(files[0], stored, 0o600))
			_, err = s.Resolve(t.Context(), given.GetPayloads()[1])
			require.ErrorContains(t, err, "changed")
			require.NoError(t, os.Remove(files[0]))
			_, err = s.Resolve(t.Context(), given.GetPayloads()[1])
			require.ErrorContains(t, err, "was deleted while its run was still kept")
		})
	}
}

// TestStoreRotated reads what an earlier key encrypted, and what was stored
// before encryption was switched on.
func TestStoreRotated(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	before, after := newKey(t), newKey(t)
	var references []*commonpb.Payload
	for _, s := range []*Store{openFolder(t, folder), openFolder(t, folder, before), openFolder(t, folder, after, before)} {
		given := &commonpb.Payloads{Payloads: []*commonpb.Payload{large()}}
		require.NoError(t, s.Offload(t.Context(), given))
		references = append(references, given.GetPayloads()[0])
		for _, r := range references {
			got, err := s.Resolve(t.Context(), r)
			require.NoError(t, err)
			require.True(t, proto.Equal(large(), got))
		}
	}
	_, err := openFolder(t, folder, after).Resolve(t.Context(), references[1])
	require.ErrorIs(t, err, ErrUnknownKey)
}

// TestStoreOutside refuses a reference that names a file of somebody else.
func TestStoreOutside(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := openFolder(t, filepath.Join(root, "bodies"))
	data, err := proto.Marshal(large())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(root, "else"), data, 0o600))
	for _, key := range []string{"../else", "", "/etc/passwd", "payloads/../../else"} {
		_, err := s.get(t.Context(), key)
		require.Error(t, err, "%q", key)
	}
}

func TestStoreURL(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, HasDriver("s3://bucket"), "gocloud.dev/blob/s3blob")
	require.ErrorContains(t, HasDriver("gs://bucket"), "gocloud.dev/blob/gcsblob")
	require.ErrorContains(t, HasDriver("azblob://box"), "gocloud.dev/blob/azureblob")
	require.ErrorContains(t, HasDriver("ftp://box"), `found "ftp://"`)
	_, err := Open(context.Background(), "", "s3://bucket", 0, NewCodec(nil))
	require.ErrorContains(t, err, "gocloud.dev/blob/s3blob")
}
