package main

import (
	"net/netip"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/metrics"
	_ "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite" // the "sqlite" plugin and driver
	"go.temporal.io/server/common/primitives"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
	"google.golang.org/protobuf/types/known/durationpb"
)

// clusterName is the name that Temporal's own development server uses, so
// each can open the other's files.
const clusterName = "active"

// temporalServer is a started Temporal server.
type temporalServer struct {
	server temporal.Server
	sql    *config.SQL
	file   bool
	logger log.Logger
}

// startTemporal creates the Namespaces that are missing and starts the
// server. It returns once every service listens, which is some time before
// the server is of use: see ready.
func startTemporal(opts options, addrs addresses, logger log.Logger) (*temporalServer, error) {
	sql := sqlConfig(opts, "devserver-"+uuid.NewString())
	if err := createNamespaces(sql, opts); err != nil {
		return nil, err
	}
	cfg := serverConfig(addrs, sql)
	claimMapper, err := authorization.GetClaimMapperFromConfig(&cfg.Global.Authorization, logger)
	if err != nil {
		return nil, err
	}
	server, err := temporal.NewServer(
		temporal.WithConfig(cfg),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(map[primitives.ServiceName]static.Hosts{
			primitives.FrontendService: static.SingleLocalHost(dialable(addrs.frontend).String()),
			primitives.HistoryService:  static.SingleLocalHost(addrs.history.String()),
			primitives.MatchingService: static.SingleLocalHost(addrs.matching.String()),
			primitives.WorkerService:   static.SingleLocalHost(addrs.worker.String()),
		}),
		temporal.WithLogger(logger),
		// Nobody is asked who they are: this is for development.
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return claimMapper }),
		temporal.WithDynamicConfigClient(dynamicConfig(opts)),
	)
	if err != nil {
		return nil, err
	}
	started := &temporalServer{server, sql, opts.dbFilename != "", logger}
	if err := server.Start(); err != nil {
		started.stop()
		return nil, err
	}
	return started, nil
}

// stop stops the services and leaves a database file closed. Calls that wait
// at the frontend, as those of every idle Worker do, are cut after a second.
func (s *temporalServer) stop() {
	if err := s.server.Stop(); err != nil {
		s.logger.Error("stop temporal", tag.Error(err))
	}
	if !s.file {
		return
	}
	if err := foldFile(s.sql); err != nil {
		s.logger.Error("close the database file", tag.Error(err))
	}
}

// createNamespaces writes them straight into the database: through the API
// they would be of no use before the server's caches notice them.
func createNamespaces(sql *config.SQL, opts options) error {
	var configs []*sqliteschema.NamespaceConfig
	for _, name := range opts.namespaces {
		cfg, err := sqliteschema.NewNamespaceConfig(clusterName, name, false, nil)
		if err != nil {
			return err
		}
		cfg.Detail.Config.Retention = durationpb.New(opts.retention)
		configs = append(configs, cfg)
	}
	return sqliteschema.CreateNamespaces(sql, configs...)
}

func serverConfig(addrs addresses, sql *config.SQL) *config.Config {
	const store = "sqlite"
	frontend := rpc(addrs.frontend)
	frontend.RPC.HTTPPort = int(addrs.http.Port())

	var cfg config.Config
	cfg.Services = map[string]config.Service{
		"frontend": frontend,
		"history":  rpc(addrs.history),
		"matching": rpc(addrs.matching),
		"worker":   rpc(addrs.worker),
	}
	cfg.PublicClient.HostPort = dialable(addrs.frontend).String()
	cfg.Global.Membership = config.Membership{
		MaxJoinDuration:  30 * time.Second,
		BroadcastAddress: dialable(addrs.frontend).Addr().String(),
	}
	cfg.Global.Metrics = &metrics.Config{Prometheus: &metrics.PrometheusConfig{
		ListenAddress: addrs.metrics.String(),
		HandlerPath:   "/metrics",
	}}
	cfg.Persistence = config.Persistence{
		DefaultStore:     store,
		VisibilityStore:  store,
		NumHistoryShards: 1,
		DataStores:       map[string]config.DataStore{store: {SQL: sql}},
	}
	cfg.ClusterMetadata = &cluster.Config{
		FailoverVersionIncrement: 10,
		MasterClusterName:        clusterName,
		CurrentClusterName:       clusterName,
		ClusterInformation: map[string]cluster.ClusterInformation{clusterName: {
			Enabled:                true,
			InitialFailoverVersion: 1,
			RPCAddress:             dialable(addrs.frontend).String(),
			HTTPAddress:            dialable(addrs.http).String(),
			// It must be a UUID, and the same at every start, because a
			// file keeps the first one it sees.
			ClusterID: uuid.NewSHA1(uuid.NameSpaceURL, []byte("devserver")).String(),
		}},
	}
	cfg.DCRedirectionPolicy.Policy = "noop"
	const off = "disabled"
	cfg.Archival.History.State = off
	cfg.Archival.Visibility.State = off
	cfg.NamespaceDefaults.Archival.History.State = off
	cfg.NamespaceDefaults.Archival.Visibility.State = off
	return &cfg
}

func rpc(addr netip.AddrPort) config.Service {
	return config.Service{RPC: config.RPC{GRPCPort: int(addr.Port()), BindOnIP: addr.Addr().String()}}
}
