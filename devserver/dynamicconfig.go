package main

import (
	"go.temporal.io/server/chasm/lib/activity"
	"go.temporal.io/server/common/dynamicconfig"
)

// unlimited is a rate no development machine reaches, in calls per second.
const unlimited = 100_000

// dynamicConfig is what differs from the server's defaults, under what the
// command line says.
func dynamicConfig(opts options) dynamicconfig.Client {
	values := dynamicconfig.StaticClient{
		// A Search Attribute or Nexus endpoint is there as soon as it is
		// registered, and not up to a minute later.
		dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key(): true,
		dynamicconfig.ForceNexusEndpointRefreshOnRead.Key():         true,

		// PostgreSQL's schema has VARCHAR(255) for ids, SQLite has no
		// limit: an id that is too long must fail here too.
		dynamicconfig.MaxIDLengthLimit.Key(): 255,

		// The default cache is sized for a server with memory to spare.
		dynamicconfig.HistoryCacheHostLevelMaxSize.Key(): 8096,

		activity.EnableStandaloneActivityOperatorCommands.Key():                  true,
		dynamicconfig.FrontendEnableBatchOperationsForStandaloneActivities.Key(): true,

		// The defaults share a cluster among many. Here they would only
		// make a load test measure them: a client sees throttling as
		// slowness and then as a timeout. Visibility has ten calls per
		// second by default, fewer than the Web UI and one test make.
		// Persistence counts every read of the refreshed caches above.
		dynamicconfig.FrontendRPS.Key():                                                        unlimited,
		dynamicconfig.FrontendMaxNamespaceRPSPerInstance.Key():                                 unlimited,
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key():                       unlimited,
		dynamicconfig.FrontendMaxNamespaceNamespaceReplicationInducingAPIsRPSPerInstance.Key(): unlimited,
		dynamicconfig.FrontendNamespaceReplicationInducingAPIsRPS.Key():                        unlimited,
		dynamicconfig.FrontendMaxConcurrentLongRunningRequestsPerInstance.Key():                unlimited,
		dynamicconfig.HistoryRPS.Key():                                                         unlimited,
		dynamicconfig.MatchingRPS.Key():                                                        unlimited,
		dynamicconfig.FrontendPersistenceMaxQPS.Key():                                          unlimited,
		dynamicconfig.HistoryPersistenceMaxQPS.Key():                                           unlimited,
		dynamicconfig.MatchingPersistenceMaxQPS.Key():                                          unlimited,

		// A development server calls nobody.
		dynamicconfig.EnableServerVersionCheck.Key(): false,
	}
	for key, value := range opts.dynamicConfig {
		values[key] = value
	}
	return values
}
