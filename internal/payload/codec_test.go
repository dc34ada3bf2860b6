package payload

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"
)

func TestCodec(t *testing.T) {
	t.Parallel()
	first, second := newKey(t), newKey(t)
	codec := NewCodec([]Key{first})
	plain := plainPayload()
	once, err := codec.Encode([]*commonpb.Payload{plain})
	require.NoError(t, err)
	again, err := codec.Encode([]*commonpb.Payload{plain})
	require.NoError(t, err)
	require.NotEqual(t, once[0].GetData(), again[0].GetData(), "equal payloads look alike")
	require.NotContains(t, string(once[0].GetData()), canary)
	require.Equal(t, first.ID(), KeyID(once[0]))
	twice, err := codec.Encode(once)
	require.NoError(t, err)
	require.True(t, proto.Equal(once[0], twice[0]), "encrypted twice")

	t.Run("rotated", func(t *testing.T) {
		t.Parallel()
		rotated := NewCodec([]Key{second, first})
		opened, err := rotated.Decode(once)
		require.NoError(t, err)
		require.True(t, proto.Equal(plain, opened[0]))
		sealed, err := rotated.Encode([]*commonpb.Payload{plain})
		require.NoError(t, err)
		require.Equal(t, second.ID(), KeyID(sealed[0]))
	})
	t.Run("key missing", func(t *testing.T) {
		t.Parallel()
		for _, keys := range [][]Key{nil, {second}} {
			_, err := NewCodec(keys).Decode(once)
			require.ErrorIs(t, err, ErrUnknownKey)
			require.ErrorContains(t, err, first.ID(), "it says which")
		}
	})
	t.Run("changed", func(t *testing.T) {
		t.Parallel()
		for i := range once[0].GetData() {
			changed := proto.CloneOf(once[0])
			changed.Data[i] ^= 1
			_, err := codec.Decode([]*commonpb.Payload{changed})
			require.ErrorContains(t, err, "was changed", "byte %d", i)
			require.NotContains(t, err.Error(), canary)
		}
	})
	t.Run("off", func(t *testing.T) {
		t.Parallel()
		kept, err := NewCodec(nil).Encode([]*commonpb.Payload{plain, nil})
		require.NoError(t, err)
		require.Same(t, plain, kept[0])
		require.Nil(t, kept[1])
	})
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty": "", "short": "c2hvcnQ=", "hexadecimal": "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "no base64": "hunter2!",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseKey(text)
			require.ErrorContains(t, err, "keygen")
			if text != "" {
				require.NotContains(t, err.Error(), text)
			}
		})
	}
	k, err := ParseKey(" " + NewKey() + "\n")
	require.NoError(t, err, "as a file holds it")
	require.NotEqual(t, k.ID(), newKey(t).ID())
}

func FuzzCodec(f *testing.F) {
	k, err := ParseKey("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
	require.NoError(f, err)
	codec := NewCodec([]Key{k})
	f.Add([]byte("{}"), "json/plain")
	f.Add([]byte(nil), encrypted)
	f.Fuzz(func(t *testing.T, data []byte, encoding string) {
		p := &commonpb.Payload{Metadata: map[string][]byte{converter.MetadataEncoding: []byte(encoding), keyIDMetadata: []byte(k.ID())}, Data: data}
		sealed, err := codec.Encode([]*commonpb.Payload{p})
		require.NoError(t, err)
		opened, err := codec.Decode(sealed)
		if encoding == encrypted { // what somebody else wrote
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, opened[0].GetData()))
	})
}

// TestPlainOnly refuses what is encrypted with a key that is missing: by an
// error in an Activity and in a client, and by a panic in a Workflow, which
// Temporal tries again.
func TestPlainOnly(t *testing.T) {
	t.Parallel()
	sealed, err := NewCodec([]Key{newKey(t)}).Encode([]*commonpb.Payload{plainPayload()})
	require.NoError(t, err)
	c := DataConverter(NewCodec(nil)).(plainOnly)
	var into []byte
	require.ErrorIs(t, c.FromPayload(sealed[0], &into), ErrUnknownKey)
	require.ErrorIs(t, c.FromPayloads(&commonpb.Payloads{Payloads: sealed}, &into), ErrUnknownKey)
	require.Panics(t, func() { _ = c.WithWorkflowContext(nil).FromPayload(sealed[0], &into) })
	var text string
	require.NoError(t, c.FromPayload(plainPayload(), &text))
	require.Equal(t, canary, text)
}
