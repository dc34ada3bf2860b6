package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/server/common/dynamicconfig"
)

// startDev is a command line that starts a server.
func startDev(flags ...string) []string { return append([]string{"server", "start-dev"}, flags...) }

func TestParse(t *testing.T) {
	t.Parallel()
	loopback := netip.MustParseAddr("127.0.0.1")
	for _, tt := range []struct {
		name  string
		flags []string
		check func(*require.Assertions, options)
	}{
		{"nothing", nil, func(r *require.Assertions, o options) {
			r.Equal(loopback, o.ip)
			r.Equal(loopback, o.uiIP)
			r.Equal(uint16(7233), o.port)
			r.Equal(uint16(8233), o.uiPort)
			r.Equal([]string{"default"}, o.namespaces)
			r.Equal(720*time.Hour, o.retention)
			r.False(o.retentionSet)
			r.Equal(slog.LevelError, o.logLevel)
			r.False(o.logLevelSet)
			r.Empty(o.dbFilename)
			r.Empty(o.warnings)
		}},
		{"localhost", []string{"--ip", "localhost"}, func(r *require.Assertions, o options) { r.Equal(loopback, o.ip) }},
		{"the Web UI follows --ip", []string{"--ip", "0.0.0.0"}, func(r *require.Assertions, o options) {
			r.Equal(netip.IPv4Unspecified(), o.uiIP)
		}},
		{"an IP for the Web UI", []string{"--ip", "::1", "--ui-ip", "127.0.0.1"}, func(r *require.Assertions, o options) {
			r.Equal(netip.IPv6Loopback(), o.ip)
			r.Equal(loopback, o.uiIP)
		}},
		{"the Web UI follows --port", []string{"-p", "7000"}, func(r *require.Assertions, o options) { r.Equal(uint16(8000), o.uiPort) }},
		{"no port plus 1000", []string{"--port", "65000"}, func(r *require.Assertions, o options) { r.Zero(o.uiPort) }},
		{"any port", []string{"--port", "0"}, func(r *require.Assertions, o options) {
			r.Zero(o.port)
			r.Zero(o.uiPort)
		}},
		{"namespaces", []string{"-n", "b", "--namespace", "a", "-n", "default"}, func(r *require.Assertions, o options) {
			r.Equal([]string{"a", "b", "default"}, o.namespaces)
		}},
		{"search attributes", []string{"--search-attribute", "A=Keyword", "--search-attribute", "B=keywordlist"}, func(r *require.Assertions, o options) {
			r.Equal(map[string]enums.IndexedValueType{
				"A": enums.INDEXED_VALUE_TYPE_KEYWORD, "B": enums.INDEXED_VALUE_TYPE_KEYWORD_LIST,
			}, o.searchAttributes)
		}},
		{"dynamic config", []string{"--dynamic-config-value", "frontend.rps=7", "--dynamic-config-value", `limit.maxIDLength = 9`, "--dynamic-config-value", "frontend.enableServerVersionCheck=false"}, func(r *require.Assertions, o options) {
			r.Equal(7, o.dynamicConfig[dynamicconfig.FrontendRPS.Key()][0].Value)
			r.Equal(false, o.dynamicConfig[dynamicconfig.EnableServerVersionCheck.Key()][0].Value)
		}},
		{"an unknown dynamic config", []string{"--dynamic-config-value", "frontend.rsp=7"}, func(r *require.Assertions, o options) {
			r.Len(o.warnings, 1)
			r.Contains(o.warnings[0], "frontend.rsp")
		}},
		{"a dynamic config of the wrong type", []string{"--dynamic-config-value", `frontend.rps="many"`}, func(r *require.Assertions, o options) {
			r.Len(o.warnings, 1)
			r.Contains(o.warnings[0], "many")
		}},
		{"logs", []string{"--log-level", "never", "--log-format", "json"}, func(r *require.Assertions, o options) {
			r.Equal(never, o.logLevel)
			r.True(o.logLevelSet)
			r.True(o.logJSON)
		}},
		{"pretty logs", []string{"--log-format", "pretty"}, func(r *require.Assertions, o options) { r.False(o.logJSON) }},
		{"retention", []string{"--retention", "1h"}, func(r *require.Assertions, o options) {
			r.Equal(time.Hour, o.retention)
			r.True(o.retentionSet)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			opts, err := parse(startDev(tt.flags...))
			require.NoError(t, err)
			tt.check(require.New(t), opts)
		})
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, `unknown command ""; there is only "server start-dev"`},
		{[]string{"server", "stop"}, `unknown command "server stop"; there is only "server start-dev"`},
		{startDev("now"), `unknown command "server start-dev now"; there is only "server start-dev"`},
		{startDev("--portt", "1"), `unknown flag: --portt`},
		{startDev("--port", "70000"), `invalid argument "70000" for "-p, --port" flag: strconv.ParseUint: parsing "70000": value out of range`},
		{startDev("--ip", "example.com"), `--ip is "example.com"; want an IP address, such as 127.0.0.1 or 0.0.0.0`},
		{startDev("--ui-ip", "x"), `--ui-ip is "x"; want an IP address, such as 127.0.0.1 or 0.0.0.0`},
		{startDev("-n", ""), `--namespace is empty; name one`},
		{startDev("--retention", "5m"), `--retention 5m0s is too short; Temporal keeps closed Workflows for at least 1h0m0s`},
		{startDev("--search-attribute", "A"), `--search-attribute is "A"; want NAME=TYPE`},
		{startDev("--search-attribute", "A=String"), `--search-attribute "A" has type "String"; want one of bool, datetime, double, int, keyword, keywordlist, text`},
		{startDev("--search-attribute", "A=Int", "--search-attribute", "A=Text"), `--search-attribute "A" is given as Int and as Text; keep one`},
		{startDev("--dynamic-config-value", "a"), `--dynamic-config-value is "a"; want KEY=JSON`},
		{startDev("--dynamic-config-value", "a=b"), `--dynamic-config-value "a" is "b", which is not JSON; a string needs quotes`},
		{startDev("--log-level", "loud"), `--log-level is "loud"; want debug, info, warn, error or never`},
		{startDev("--log-format", "xml"), `--log-format is "xml"; want text, json or pretty`},
	} {
		t.Run(fmt.Sprint(tt.args), func(t *testing.T) {
			t.Parallel()
			_, err := parse(tt.args)
			require.EqualError(t, err, tt.want)
		})
	}
	_, err := parse([]string{"--help"})
	require.ErrorIs(t, err, pflag.ErrHelp)
}

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), startDev("--help"), &out, &out))
	require.Contains(t, out.String(), "--search-attribute")

	out.Reset()
	require.NoError(t, run(t.Context(), []string{"--version"}, &out, &out))
	require.Regexp(t, `^devserver version \S+ \(Server \d+\.\d+\.\d+, UI \d+\.\d+\.\d+\)\n$`, out.String())
}

func TestDynamicConfigOverride(t *testing.T) {
	t.Parallel()
	opts, err := parse(startDev("--dynamic-config-value", "limit.maxIDLength=9"))
	require.NoError(t, err)
	values := dynamicConfig(opts)
	require.Equal(t, 9, values.GetValue(dynamicconfig.MaxIDLengthLimit.Key())[0].Value)
	require.Equal(t, true, values.GetValue(dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key())[0].Value)
}
