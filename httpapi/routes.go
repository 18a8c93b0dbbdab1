package httpapi

import (
	"net/http"
	"net/http/pprof"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// routes builds the handler of everything that the server offers.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	s.api = humago.New(mux, s.apiConfig())
	s.api.UseMiddleware(s.authorize, s.refuseLarge)
	s.registerServer()
	s.registerSessions()
	s.registerOwners()
	s.registerUndo()
	s.registerTransfer()
	s.registerOperations()
	s.registerHealth()

	mux.Handle("GET /metrics", requireScope(ScopeMetrics, "metrics", s.metricsHandler()))
	mux.Handle("GET /debug/pprof/", requireScope(ScopeAdmin, "pprof", profiles()))
	mux.Handle("/v1/", noSuchRoute(mux))
	if s.options.Console != nil {
		mux.Handle("/", s.options.Console)
	} else {
		mux.Handle("/", noSuchRoute(mux))
	}
	return s.guard(compressFigures(mux))
}

// profiles serves the Go profiler's pages.
func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

func (s *Server) apiConfig() huma.Config {
	config := huma.DefaultConfig("Cairn", s.options.Version)
	config.CreateHooks = nil // no $schema members in bodies
	config.DocsPath = ""     // its page loads scripts from a network
	config.SchemasPath = ""
	config.Formats = map[string]huma.Format{"application/json": strictJSON, "json": strictJSON}
	config.Transformers = []huma.Transformer{clipProblem}
	config.RejectUnknownQueryParameters = true
	config.Info.Description = "Administration of Cairn, a durable session store for memcached clients. " +
		"Problems are described by RFC 9457. Instants are RFC 3339 in UTC."
	config.Info.License = &huma.License{Name: "Apache License 2.0", Identifier: "Apache-2.0"}
	config.Servers = []*huma.Server{{URL: "/", Description: "The server that this description comes from."}}
	config.Tags = []*huma.Tag{
		{Name: "server", Description: "What answers, and its figures."},
		{Name: "sessions", Description: "Look at sessions, store and remove them."},
		{Name: "owners", Description: "Users by their sessions, where rules say whose these are."},
		{Name: "backup", Description: "Everything at once: backup, export, import."},
		{Name: "operations", Description: "Connections of clients, and the log."},
		{Name: "health", Description: "For load balancers and orchestrators. No token is needed."},
	}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		securityScheme: {
			Type:        "http",
			Scheme:      "bearer",
			Description: "A token of scope metrics, read or admin; each includes the ones before it. Not needed on a loopback address without tokens, nor with a client certificate.",
		},
	}
	return config
}

// operation completes the description of an operation that needs a scope. The
// problems in o.Errors come on top of those that every operation can have.
func operation(scope Scope, o huma.Operation) huma.Operation {
	o.Errors = append(o.Errors, http.StatusTooManyRequests)
	if scope == ScopeNone {
		o.Security = []map[string][]string{{}} // none is needed
	} else {
		o.Security = []map[string][]string{{securityScheme: {scope.String()}}}
		o.Errors = append(o.Errors, http.StatusUnauthorized, http.StatusForbidden)
	}
	if o.Method == http.MethodPost || o.Method == http.MethodPut {
		o.Errors = append(o.Errors, http.StatusBadRequest)
		if o.MaxBodyBytes >= 0 {
			o.Errors = append(o.Errors, http.StatusRequestEntityTooLarge)
		}
	}
	slices.Sort(o.Errors)
	o.Errors = slices.Compact(o.Errors)
	return o
}

func (s *Server) registerServer() {
	tags := []string{"server"}
	huma.Register(s.api, operation(ScopeMetrics, huma.Operation{
		OperationID: "get-server", Method: http.MethodGet, Path: "/v1/server", Tags: tags,
		Summary:     "Version, uptime, and what the caller may do",
		Description: "`scope` is what the caller may do. While `ready` is false, `reasons` says why.",
	}), s.getServer)
	huma.Register(s.api, operation(ScopeMetrics, huma.Operation{
		OperationID: "get-stats", Method: http.MethodGet, Path: "/v1/stats", Tags: tags,
		Summary:     "All statistics: memcached's, the store's, latencies, the process",
		Description: "Counters count from the start of the process. /metrics has the same figures for Prometheus.",
	}), s.getStats)
	huma.Register(s.api, operation(ScopeMetrics, huma.Operation{
		OperationID: "get-forecast", Method: http.MethodGet, Path: "/v1/forecast", Tags: tags,
		Summary:     "How many sessions and bytes expire when",
		Description: "Counts live sessions by the time at which they expire: one number for each span, and one each for what comes later and for what never expires.",
	}), s.getForecast)
	huma.Register(s.api, operation(ScopeMetrics, huma.Operation{
		OperationID: "get-history", Method: http.MethodGet, Path: "/v1/history", Tags: tags,
		Summary:     "Figures over time, and what happened meanwhile",
		Description: "Samples of ten seconds for a day, of a minute for thirty days. They survive restarts.",
	}), s.getHistory)
	huma.Register(s.api, operation(ScopeMetrics, huma.Operation{
		OperationID: "get-upstream", Method: http.MethodGet, Path: "/v1/upstream", Tags: tags,
		Summary:     "How far a move from another store is",
		Description: "Without a move `state` is `none`.",
	}), s.getUpstream)
	huma.Register(s.api, operation(ScopeMetrics, huma.Operation{
		OperationID: "get-cluster", Method: http.MethodGet, Path: "/v1/cluster", Tags: tags,
		Summary:     "The nodes of the cluster, and who leads",
		Description: "As the node sees it that answers. A server that is no node of a cluster answers with an empty name and no nodes.",
	}), s.getCluster)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "change-cluster", Method: http.MethodPost, Path: "/v1/cluster", Tags: tags,
		Summary:     "Add, remove, replace or drain a node of the cluster, or let another lead",
		Description: "Any node takes it. Members come and go one step at a time, when that is safe: GET shows it.",
		Errors:      []int{409, 501, 503}, DefaultStatus: http.StatusOK,
	}), s.changeCluster)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "get-analysis", Method: http.MethodGet, Path: "/v1/analysis", Tags: tags,
		Summary:     "What fills sessions, as a sample of them shows it",
		Description: "How many sessions each rule has, their sizes, ages and formats, and which members of their values take the space. Takes some seconds, of which the server works half; one runs at a time.",
	}), s.getAnalysis)
	huma.Register(s.api, operation(ScopeRead, huma.Operation{
		OperationID: "get-settings", Method: http.MethodGet, Path: "/v1/settings", Tags: tags,
		Summary:     "Settings as running, with default, source and meaning, without secrets",
		Description: "One entry for each flag of `cairn serve`. A setting that is a secret is shown as `(hidden)`.",
	}), s.getSettings)
	huma.Register(s.api, operation(ScopeRead, huma.Operation{
		OperationID: "get-config", Method: http.MethodGet, Path: "/v1/config", Tags: tags,
		Summary:     "Configuration as running, without secrets",
		Description: "Name and value of each flag of `cairn serve`. A value that is a secret is shown as `(hidden)`.",
	}), s.getConfig)
}

const valuePath = "/v1/sessions/{key}/value"

func (s *Server) registerSessions() {
	tags := []string{"sessions"}
	huma.Register(s.api, operation(ScopeRead, huma.Operation{
		OperationID: "list-sessions", Method: http.MethodGet, Path: "/v1/sessions", Tags: tags,
		Summary:     "List sessions by key, page by page",
		Description: "Keys ascend. `next_cursor` and the same filter return the next page. A page looks at no more than 100,000 sessions: it may have few or none and still a `next_cursor`.",
	}), s.listSessions)
	huma.Register(s.api, operation(ScopeRead, huma.Operation{
		OperationID: "list-locks", Method: http.MethodGet, Path: "/v1/locks", Tags: tags,
		Summary:     "List the locks of sessions that are kept in memory, and who waits for them",
		Description: "Those that most clients wait for come first.",
	}), s.listLocks)
	huma.Register(s.api, operation(ScopeRead, huma.Operation{
		OperationID: "get-session", Method: http.MethodGet, Path: "/v1/sessions/{key}", Tags: tags,
		Summary: "Describe a session", Description: "Leaves no trace on the session: it does not count as an access.",
		Errors: []int{404},
	}), s.getSession)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "get-session-value", Method: http.MethodGet, Path: valuePath, Tags: tags,
		Summary:     "The raw value of a session",
		Description: "The body is what the client stored. Flags are not part of it: `GET /v1/sessions/{key}` has them. It does not count as an access.",
		Responses:   binaryResponse("application/octet-stream", "The value, byte for byte."),
		Errors:      []int{404},
	}), s.getValue)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "get-session-decoded", Method: http.MethodGet, Path: "/v1/sessions/{key}/decoded", Tags: tags,
		Summary:     "The value of a session made readable",
		Description: "Recognises the formats of common session libraries. Nothing in a value is ever executed.",
		Errors:      []int{404},
	}), s.getDecoded)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "put-session", Method: http.MethodPut, Path: "/v1/sessions/{key}", Tags: tags,
		Summary:      "Store a session",
		Description:  "Overwrites what is there. `If-None-Match: *` stores only if the key has no session, `If-Match` only if its version is still the one that the caller knows.",
		MaxBodyBytes: s.maxPutBody(), BodyReadTimeout: bodyTimeout,
		Errors: []int{412, 507},
	}), s.putSession)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "put-session-value", Method: http.MethodPut, Path: valuePath, Tags: tags,
		Summary:     "Store a session whose value is the request's body, byte for byte",
		Description: "As `PUT /v1/sessions/{key}`, with expiry in the query and flags in a header.",
		// One byte more, so that the store can say that a value is too large.
		MaxBodyBytes: int64(s.options.MaxValueSize) + 1, BodyReadTimeout: bodyTimeout,
		Errors: []int{412, 507},
	}), s.putValue)
	s.api.OpenAPI().Paths[valuePath].Put.RequestBody.Required = false // a value may have no bytes
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "touch-session", Method: http.MethodPost, Path: "/v1/sessions/{key}/touch", Tags: tags,
		Summary:     "Change when a session expires",
		Description: "The value and its version stay as they are.",
		Errors:      []int{404},
	}), s.touchSession)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "delete-session", Method: http.MethodDelete, Path: "/v1/sessions/{key}", Tags: tags,
		Summary:     "Delete a session",
		Description: "With `If-Match` only if the version is still the one that the caller knows.",
		Errors:      []int{404, 412},
	}), s.deleteSession)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "bulk-delete", Method: http.MethodPost, Path: "/v1/bulk-delete", Tags: tags,
		Summary:     "Delete, or count first, all sessions that a filter chooses",
		Description: "A session that is rewritten after the filter saw it stays. With `dry_run` nothing is deleted.",
	}), s.bulkDelete)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "flush", Method: http.MethodPost, Path: "/v1/flush", Tags: tags,
		Summary:       "Delete all sessions, as memcached's flush_all does",
		Description:   "Needs `confirm`. Unless it is delayed, an undo point can bring the sessions back.",
		DefaultStatus: http.StatusOK,
	}), s.flush)
}

func (s *Server) registerOwners() {
	tags := []string{"owners"}
	const one = "/v1/owners/{owner}"
	huma.Register(s.api, operation(ScopeRead, huma.Operation{
		OperationID: "list-owners", Method: http.MethodGet, Path: "/v1/owners", Tags: tags,
		Summary:     "List users that have sessions, page by page",
		Description: "Ids ascend. While `complete` is false, the server still looks at older sessions, and users may be missing.",
	}), s.listOwners)
	huma.Register(s.api, operation(ScopeRead, huma.Operation{
		OperationID: "get-owner", Method: http.MethodGet, Path: one, Tags: tags,
		Summary:     "How many sessions a user has, since when, and when one was last used",
		Description: "A user is found by the id, and by its hash where a rule hashes ids.",
		Errors:      []int{404},
	}), s.getOwner)
	huma.Register(s.api, operation(ScopeRead, huma.Operation{
		OperationID: "list-owner-sessions", Method: http.MethodGet, Path: one + "/sessions", Tags: tags,
		Summary:     "List the sessions of a user by key, page by page",
		Description: "Keys ascend. `next_cursor` returns the next page.",
	}), s.ownerSessions)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "end-owner-sessions", Method: http.MethodDelete, Path: one + "/sessions", Tags: tags,
		Summary: "End, or count first, all sessions of a user, or all but one", DefaultStatus: http.StatusOK,
		Description: "Looks again until none is left that had begun: what requests under way store is kept out by the rule's fence, or ended too. Sessions that begin meanwhile stay.",
		Errors:      []int{507},
	}), s.kick)
}

func (s *Server) registerUndo() {
	tags := []string{"sessions"}
	const one = "/v1/undo/{id}"
	huma.Register(s.api, operation(ScopeRead, huma.Operation{
		OperationID: "list-undo", Method: http.MethodGet, Path: "/v1/undo", Tags: tags,
		Summary:     "What can be undone: flushes, bulk deletes, ends of many sessions of a user",
		Description: "The newest first. The server removes each point when it expires.",
	}), s.listUndo)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "undo", Method: http.MethodPost, Path: one, Tags: tags, DefaultStatus: http.StatusOK,
		Summary:     "Bring back the sessions that are absent since",
		Description: "Leaves out what has expired, what others have deleted since, and keys that hold a session now. It can be done again.",
		Errors:      []int{404, 409, 507},
	}), s.applyUndo)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "remove-undo", Method: http.MethodDelete, Path: one, Tags: tags,
		Summary:     "Let go of what could be undone, for good",
		Description: "Frees the disk space that the point keeps.",
		Errors:      []int{404},
	}), s.removeUndo)
}

func (s *Server) registerTransfer() {
	tags := []string{"backup"}
	huma.Register(s.api, operation(ScopeRead, huma.Operation{
		OperationID: "export", Method: http.MethodGet, Path: "/v1/export", Tags: tags,
		Summary:     "Stream sessions as NDJSON, any number of them",
		Description: "One session per line, keys ascending. Values only with values=true, which needs the admin scope.",
		Responses:   ndjsonResponse(s.api), Errors: []int{429},
	}), s.export)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "import", Method: http.MethodPost, Path: importPath, Tags: tags,
		Summary: "Store the sessions of an NDJSON stream", MaxBodyBytes: -1,
		Description: "Takes what export returns with values=true. Sessions already in the store are overwritten unless keep=true. It is not atomic as a whole; it can be repeated.",
		Errors:      []int{429, 507},
	}), s.importSessions)
	// Described only now, huma does not read the body by itself.
	s.api.OpenAPI().Paths[importPath].Post.RequestBody = ndjsonRequest(s.api)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "backup", Method: http.MethodGet, Path: backupPath, Tags: tags,
		Summary:     "Stream a consistent backup while traffic goes on",
		Description: "A zstd-compressed tar with checksums of every file. A cut stream is detected by `cairn restore`. A ticket replaces the token.",
		Responses:   binaryResponse("application/zstd", "The archive."), Errors: []int{429, 503},
	}), s.backup)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "create-backup-ticket", Method: http.MethodPost, Path: backupPath + "/tickets", Tags: tags,
		Summary:       "A link, good once and for a minute, that downloads a backup without a token",
		Description:   "For browsers, which cannot send a token with a download.",
		DefaultStatus: http.StatusCreated,
	}), s.createTicket)
}

func (s *Server) registerOperations() {
	tags := []string{"operations"}
	huma.Register(s.api, operation(ScopeRead, huma.Operation{
		OperationID: "list-connections", Method: http.MethodGet, Path: "/v1/connections", Tags: tags,
		Summary:     "Open connections of memcached clients",
		Description: "In the order in which they were opened.",
	}), s.listConnections)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "close-connection", Method: http.MethodDelete, Path: "/v1/connections/{id}", Tags: tags,
		Summary:     "Close a client's connection",
		Description: "The client sees a closed connection. Most connect again at once.",
		Errors:      []int{404},
	}), s.closeConnection)
	huma.Register(s.api, operation(ScopeRead, huma.Operation{
		OperationID: "watch-commands", Method: http.MethodGet, Path: "/v1/watch", Tags: tags,
		Summary:     "Stream the commands of clients as they run, all or the slow ones",
		Description: "One command per line, from now on. Reads through the HTTP API are not among them. A line without a command, at once and every ten seconds, says that the watch goes on. At most eight clients watch or count at once.",
		Responses:   watchResponse(s.api),
	}), s.watch)
	huma.Register(s.api, operation(ScopeRead, huma.Operation{
		OperationID: "get-hot-keys", Method: http.MethodGet, Path: "/v1/hot-keys", Tags: tags,
		Summary:     "Count for some seconds which keys are used most",
		Description: "A thousand keys are counted at once: a key with more than a thousandth of all uses is always among them.",
	}), s.hotKeys)
	huma.Register(s.api, operation(ScopeRead, huma.Operation{
		OperationID: "get-log-level", Method: http.MethodGet, Path: "/v1/log-level", Tags: tags,
		Summary:     "The level from which log lines are written",
		Description: "The setting `log-level`, unless it was changed since the start.",
	}), s.getLogLevel)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "put-log-level", Method: http.MethodPut, Path: "/v1/log-level", Tags: tags,
		Summary:     "Change the log level until the server stops",
		Description: "A restart returns to the setting `log-level`.",
		Errors:      []int{501},
	}), s.putLogLevel)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "reload", Method: http.MethodPost, Path: "/v1/reload", Tags: tags,
		Summary:       "Read certificates, users, tokens and rules again, as on SIGHUP",
		Description:   "What cannot be read stays as it was, and `error` says why.",
		DefaultStatus: http.StatusOK, Errors: []int{501},
	}), s.reload)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "stop", Method: http.MethodPost, Path: "/v1/stop", Tags: tags,
		Summary:       "Stop the server, as on SIGTERM",
		Description:   "Answers before the server stops. Commands that clients have sent are still carried out.",
		DefaultStatus: http.StatusAccepted, Errors: []int{501},
	}), s.requestStop)
}

func (s *Server) registerHealth() {
	tags := []string{"health"}
	huma.Register(s.api, operation(ScopeNone, huma.Operation{
		OperationID: "livez", Method: http.MethodGet, Path: "/livez", Tags: tags,
		Summary:     "Whether the process answers",
		Description: "Waits for nothing, so that a slow disk does not look like a hung process.",
	}), s.livez)
	huma.Register(s.api, operation(ScopeNone, huma.Operation{
		OperationID: "readyz", Method: http.MethodGet, Path: "/readyz", Tags: tags,
		Summary:     "Whether the server takes traffic: 503 while it drains, writes are stalled, or disk space is short",
		Description: "`reasons` has every reason for a 503: `draining`, `stalled`, `out_of_space`, `read_only`, and in a cluster `no_leader`, `removed` and `drained`.",
		Responses:   readyzResponses(s.api),
	}), s.readyz)
}

// maxPutBody is the size of a request with the largest value in base64.
func (s *Server) maxPutBody() int64 { return int64(s.options.MaxValueSize)*4/3 + 64<<10 }

// binaryResponse describes a body that is not JSON.
func binaryResponse(contentType, description string) map[string]*huma.Response {
	return map[string]*huma.Response{"200": {
		Description: description,
		Content: map[string]*huma.MediaType{contentType: {
			Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"},
		}},
	}}
}
