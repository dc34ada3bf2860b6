package payload

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	failurepb "go.temporal.io/api/failure/v1"
	updatepb "go.temporal.io/api/update/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
)

const canary = "4242424242424242"

// TestEveryCall has the canary in every payload and every failure of every
// request and reply of Temporal's API, also of calls that are not used today.
func TestEveryCall(t *testing.T) {
	t.Parallel()
	codec := NewCodec([]Key{newKey(t)})
	encrypt, err := interceptor(codec)
	require.NoError(t, err)
	service := workflowservice.File_temporal_api_workflowservice_v1_service_proto.Services().ByName("WorkflowService")
	for i := range service.Methods().Len() {
		method := service.Methods().Get(i)
		t.Run(string(method.Name()), func(t *testing.T) {
			t.Parallel()
			for alternative := range 8 { // a batch operation has the most
				req, reply := filled(method.Input(), depth, alternative), filled(method.Output(), depth, alternative)
				given := proto.Clone(req)
				received := reply.ProtoReflect().New().Interface()
				err := encrypt(t.Context(), fmt.Sprintf("/%s/%s", service.FullName(), method.Name()), req, received, nil,
					func(_ context.Context, _ string, sent, to any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
						require.Empty(t, plainIn(sent.(proto.Message).ProtoReflect(), "request"), "sent in clear")
						sealed := proto.Clone(reply)
						sealAll(t, codec, sealed.ProtoReflect())
						proto.Merge(to.(proto.Message), sealed)
						return nil
					})
				require.NoError(t, err)
				require.True(t, proto.Equal(given, req), "the caller's request was changed")
				require.True(t, proto.Equal(reply, received), "the reply was not decrypted: %v", received)
			}
		})
	}
}

// depth bounds how deep filled goes: failures and schedules nest themselves.
const depth = 6

// filled returns a message with the canary wherever it can be. Of the
// alternatives of a oneof it takes one; a list has all of them. Search
// Attributes are left out, as Temporal reads them.
func filled(d protoreflect.MessageDescriptor, depth, alternative int) proto.Message {
	switch d.FullName() {
	case "temporal.api.common.v1.Payload":
		return plainPayload()
	case "temporal.api.failure.v1.Failure":
		return &failurepb.Failure{Message: canary, StackTrace: canary, FailureInfo: &failurepb.Failure_ApplicationFailureInfo{
			ApplicationFailureInfo: &failurepb.ApplicationFailureInfo{Details: &commonpb.Payloads{Payloads: []*commonpb.Payload{plainPayload()}}},
		}, Cause: &failurepb.Failure{Message: canary}}
	case "google.protobuf.Any":
		body, err := anypb.New(&updatepb.Request{Input: &updatepb.Input{Args: &commonpb.Payloads{Payloads: []*commonpb.Payload{plainPayload()}}}})
		if err != nil {
			return nil
		}
		return body
	}
	found, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		return nil
	}
	m := found.New()
	for i := range d.Fields().Len() {
		field := d.Fields().Get(i)
		if of := field.ContainingOneof(); of != nil && of.Fields().Get(alternative%of.Fields().Len()) != field {
			continue
		}
		inner := field.Message()
		if field.IsMap() {
			inner = field.MapValue().Message()
		}
		if inner == nil || depth == 0 || inner.FullName() == "temporal.api.common.v1.SearchAttributes" {
			continue
		}
		switch {
		case field.IsMap():
			if value := filled(inner, depth-1, alternative); value != nil && field.MapKey().Kind() == protoreflect.StringKind {
				m.Mutable(field).Map().Set(protoreflect.ValueOfString("key").MapKey(), protoreflect.ValueOfMessage(value.ProtoReflect()))
			}
		case field.IsList():
			for one := range alternatives(inner) {
				if value := filled(inner, depth-1, one); value != nil {
					m.Mutable(field).List().Append(protoreflect.ValueOfMessage(value.ProtoReflect()))
				}
			}
		default:
			if value := filled(inner, depth-1, alternative); value != nil {
				m.Set(field, protoreflect.ValueOfMessage(value.ProtoReflect()))
			}
		}
	}
	return m.Interface()
}

// alternatives is how many values of a message are needed to have all of its
// oneofs' fields.
func alternatives(d protoreflect.MessageDescriptor) int {
	n := 1
	for i := range d.Oneofs().Len() {
		n = max(n, d.Oneofs().Get(i).Fields().Len())
	}
	return n
}

func plainPayload() *commonpb.Payload {
	return &commonpb.Payload{Metadata: map[string][]byte{converter.MetadataEncoding: []byte("json/plain")}, Data: []byte(`"` + canary + `"`)}
}

// plainIn returns where a message still has the canary.
func plainIn(m protoreflect.Message, path string) (found []string) {
	switch m := m.Interface().(type) {
	case *commonpb.Payload:
		if !IsEncrypted(m) && len(m.GetData()) > 0 {
			found = append(found, path)
		}
		return found
	case *failurepb.Failure:
		if m.GetMessage() == canary || m.GetStackTrace() == canary {
			found = append(found, path)
		}
	case *anypb.Any:
		inner, err := m.UnmarshalNew()
		if err != nil {
			return []string{path + ": " + err.Error()}
		}
		return plainIn(inner.ProtoReflect(), path)
	}
	eachMessage(m, func(name string, inner protoreflect.Message) { found = append(found, plainIn(inner, path+"."+name)...) })
	return found
}

// sealAll encrypts what a message has, as Temporal keeps it.
func sealAll(t *testing.T, c *Codec, m protoreflect.Message) {
	replace := func(m proto.Message, with proto.Message) {
		proto.Reset(m)
		proto.Merge(m, with)
	}
	switch m := m.Interface().(type) {
	case *commonpb.Payload:
		sealed, err := c.seal(m)
		require.NoError(t, err)
		replace(m, sealed)
		return
	case *anypb.Any:
		inner, err := m.UnmarshalNew()
		require.NoError(t, err)
		sealAll(t, c, inner.ProtoReflect())
		sealed, err := anypb.New(inner)
		require.NoError(t, err)
		replace(m, sealed)
		return
	}
	eachMessage(m, func(_ string, inner protoreflect.Message) { sealAll(t, c, inner) })
}

func eachMessage(m protoreflect.Message, do func(field string, inner protoreflect.Message)) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch name := string(f.Name()); {
		case f.IsMap() && f.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				do(name, v.Message())
				return true
			})
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				do(name, v.List().Get(i).Message())
			}
		case f.Message() != nil && !f.IsMap():
			do(name, v.Message())
		}
		return true
	})
}

func newKey(t *testing.T) Key {
	k, err := ParseKey(NewKey())
	require.NoError(t, err)
	return k
}
