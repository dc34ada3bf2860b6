package provider

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"
)

var update = flag.Bool("update", false, "write the schema anew")

const schemaFile = "provider.schema.json"

// TestSchemaIsCurrent holds the schema against Spec, of whose doc comments it
// is made: what a field means is said in one place.
func TestSchemaIsCurrent(t *testing.T) {
	t.Parallel()
	var want bytes.Buffer
	encoder := json.NewEncoder(&want)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	require.NoError(t, encoder.Encode(schemaOf(t)))
	if *update {
		require.NoError(t, os.WriteFile(schemaFile, want.Bytes(), 0o600))
	}
	got, err := os.ReadFile(schemaFile)
	require.NoError(t, err)
	require.Equal(t, want.String(), string(got), "run `go test ./ingest/provider -run TestSchemaIsCurrent -update`")
}

// node is a JSON object.
type node = map[string]any

// schemaOf makes the schema of a provider file out of the types it is read
// into.
func schemaOf(t *testing.T) node {
	docs := typeDocs(t)
	defs := node{
		"OneOrMore": node{"anyOf": []any{node{"type": "string"}, node{"type": "array", "items": node{"type": "string"}}}},
		"Duration":  node{"type": "string", "pattern": `^([0-9.]+(h|m|s|ms))+$`},
		"Tolerance": node{"type": "string", "pattern": `^(none|([0-9.]+(h|m|s|ms))+)$`},
	}
	pending := []reflect.Type{reflect.TypeFor[Spec]()}
	for len(pending) > 0 {
		next := pending[0]
		pending = pending[1:]
		if _, done := defs[next.Name()]; done {
			continue
		}
		properties := node{}
		for field := range next.Fields() {
			property := schemaOfType(field.Type, &pending)
			at := next.Name() + "." + field.Name
			property["description"] = describe(t, docs, next, field)
			maps.Copy(property, refinements()[at])
			properties[field.Tag.Get("yaml")] = property
		}
		defs[next.Name()] = node{"type": "object", "additionalProperties": false, "properties": properties}
	}
	for name, keys := range map[string][]string{"Spec": {"name", "signature", "event"}, "EventSpec": {"id"}, "OptionSpec": {"doc"}} {
		def, ok := defs[name].(node)
		require.True(t, ok, name)
		def["required"] = keys
	}
	// An option may be just its doc.
	defs["OptionSpec"] = node{"anyOf": []any{node{"type": "string"}, defs["OptionSpec"]}}
	return node{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"title":       "A Hookyard provider file",
		"description": strings.TrimPrefix(docs["Spec"], "Spec is a provider file. "),
		"$ref":        "#/$defs/Spec",
		"$defs":       defs,
	}
}

// refinements are what a Go type does not say of a field.
func refinements() map[string]node {
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodOptions}
	return map[string]node{
		"Spec.Name":               {"pattern": nameForm.String()},
		"SignatureSpec.Scheme":    {"examples": sortedKeys(builtinSchemes())},
		"SignatureSpec.Algorithm": {"enum": sortedKeys(algorithms)},
		"SignatureSpec.Encoding":  {"enum": sortedKeys(encodings)},
		"SecretSpec.Encoding":     {"enum": sortedKeys(encodings)},
		"MakeSpec.Encoding":       {"enum": sortedKeys(encodings)},
		"SecretSpec.Unprefixed":   {"enum": sortedKeys(encodings)},
		"TimestampSpec.Unit":      {"enum": sortedKeys(clockUnits)},
		"HandshakeSpec.Method":    {"enum": methods},
		"Spec.Body":               {"enum": []string{bodyObject}},
		"SuccessSpec.Status":      {"minimum": 200, "maximum": 599, "not": node{"const": http.StatusGone}},
		"AnswerSpec.Status":       {"minimum": 200, "maximum": 599, "not": node{"const": http.StatusGone}},
	}
}

func schemaOfType(t reflect.Type, pending *[]reflect.Type) node {
	switch kind := t.Kind(); {
	case kind == reflect.Pointer:
		return schemaOfType(t.Elem(), pending)
	case kind == reflect.Struct:
		*pending = append(*pending, t)
		return node{"$ref": "#/$defs/" + t.Name()}
	case t == reflect.TypeFor[SuccessSpecs]():
		*pending = append(*pending, t.Elem())
		one := node{"$ref": "#/$defs/" + t.Elem().Name()}
		return node{"anyOf": []any{one, node{"type": "array", "items": one}}}
	case t.PkgPath() != "": // one of ours, with a form of its own
		return node{"$ref": "#/$defs/" + t.Name()}
	case kind == reflect.Map:
		return node{"type": "object", "additionalProperties": schemaOfType(t.Elem(), pending)}
	case kind == reflect.Slice:
		return node{"type": "array", "items": schemaOfType(t.Elem(), pending)}
	case kind == reflect.Bool:
		return node{"type": "boolean"}
	case kind == reflect.Int:
		return node{"type": "integer"}
	default:
		return node{"type": "string"}
	}
}

// describe returns the doc comment of a field or, where its type says all, the
// type's.
func describe(t *testing.T, docs map[string]string, in reflect.Type, field reflect.StructField) string {
	named, text := field.Name, docs[in.Name()+"."+field.Name]
	if text == "" {
		of := field.Type
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice || of.Kind() == reflect.Map {
			of = of.Elem()
		}
		named, text = of.Name(), docs[of.Name()]
	}
	require.NotEmpty(t, text, "%s.%s has no doc comment", in.Name(), field.Name)
	// Whoever writes a file knows the key, not the field.
	if rest, ok := strings.CutPrefix(text, named+" "); ok {
		return field.Tag.Get("yaml") + " " + rest
	}
	return text
}

// typeDocs returns the doc comments of spec.go by type, and by type and field.
func typeDocs(t *testing.T) map[string]string {
	file, err := parser.ParseFile(token.NewFileSet(), "spec.go", nil, parser.ParseComments)
	require.NoError(t, err)
	docs := map[string]string{}
	for _, declared := range file.Decls {
		group, ok := declared.(*ast.GenDecl)
		if !ok || group.Tok != token.TYPE {
			continue
		}
		for _, spec := range group.Specs {
			named, ok := spec.(*ast.TypeSpec)
			require.True(t, ok)
			docs[named.Name.Name] = flowed(group.Doc)
			of, ok := named.Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, field := range of.Fields.List {
				text := flowed(field.Doc)
				if text == "" {
					text = flowed(field.Comment)
				}
				for _, name := range field.Names {
					docs[named.Name.Name+"."+name.Name] = text
				}
			}
		}
	}
	return docs
}

// flowed joins the lines of a comment; those that are indented stay.
func flowed(comment *ast.CommentGroup) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimSpace(comment.Text()), "\n") {
		switch {
		case b.Len() == 0:
			b.WriteString(line)
		case strings.HasPrefix(line, "\t") || line == "":
			b.WriteString("\n" + strings.TrimPrefix(line, "\t"))
		case strings.HasSuffix(b.String(), "\n"):
			b.WriteString(line)
		default:
			b.WriteString(" " + line)
		}
	}
	return b.String()
}

func compiledSchema(t *testing.T) *jsonschema.Schema {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource(schemaFile, document))
	compiled, err := c.Compile(schemaFile)
	require.NoError(t, err)
	return compiled
}

// asJSON returns a YAML document as a JSON decoder would.
func asJSON(t *testing.T, text []byte) any {
	var value any
	require.NoError(t, yaml.Load(text, &value))
	encoded, err := json.Marshal(value)
	require.NoError(t, err)
	decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(encoded))
	require.NoError(t, err)
	return decoded
}

// TestSchemaTakesCatalog holds every file of the catalog against the schema.
func TestSchemaTakesCatalog(t *testing.T) {
	t.Parallel()
	compiled := compiledSchema(t)
	files, err := builtin.ReadDir("catalog")
	require.NoError(t, err)
	seen := 0
	for _, file := range files {
		name, ok := strings.CutSuffix(file.Name(), ".yaml")
		if !ok {
			continue
		}
		seen++
		text, ok := BuiltinFile(name)
		require.True(t, ok)
		require.NoError(t, compiled.Validate(asJSON(t, text)), name)
	}
	require.Positive(t, seen)
}

// TestSchemaRefuses holds mistakes that an editor should mark against it.
func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	compiled := compiledSchema(t)
	const good = `{name: acme, signature: {header: X-Sig, algorithm: hmac-sha256, encoding: hex, content: "{body}"}, event: {id: [json:id], unique: {json:id: a test}}}`
	require.NoError(t, compiled.Validate(asJSON(t, []byte(good))))
	for _, change := range [][2]string{
		{"name: acme, ", ""},
		{"acme", "Acme"},
		{"signature", "signatur"},
		{"hmac-sha256", "hmac-sha3"},
		{"encoding: hex", "encoding: hexa"},
		{"{id: [json:id], unique: {json:id: a test}}", "{}"},
		{"[json:id]", "json:id"},
		{"event:", "retries: {for: 72}, event:"},
		{"event:", "success: {status: 410}, event:"},
		{"event:", "options: {key: {required: true}}, event:"},
		{"event:", "handshakes: [{method: FETCH}], event:"},
		{"content:", "timestamp: {from: header:T, tolerance: never}, content:"},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		require.NotEqual(t, good, bad)
		require.Error(t, compiled.Validate(asJSON(t, []byte(bad))), bad)
	}
}
