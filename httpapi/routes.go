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
	return s.guard(mux)
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
		Summary: "Version, uptime, and what the caller may do",
	}), s.getServer)
	huma.Register(s.api, operation(ScopeMetrics, huma.Operation{
		OperationID: "get-stats", Method: http.MethodGet, Path: "/v1/stats", Tags: tags,
		Summary: "All statistics: memcached's, the store's, latencies, the process",
	}), s.getStats)
	huma.Register(s.api, operation(ScopeMetrics, huma.Operation{
		OperationID: "get-forecast", Method: http.MethodGet, Path: "/v1/forecast", Tags: tags,
		Summary: "How many sessions and bytes expire when",
	}), s.getForecast)
	huma.Register(s.api, operation(ScopeRead, huma.Operation{
		OperationID: "get-config", Method: http.MethodGet, Path: "/v1/config", Tags: tags,
		Summary: "Configuration as running, without secrets",
	}), s.getConfig)
}

const valuePath = "/v1/sessions/{key}/value"

func (s *Server) registerSessions() {
	tags := []string{"sessions"}
	huma.Register(s.api, operation(ScopeRead, huma.Operation{
		OperationID: "list-sessions", Method: http.MethodGet, Path: "/v1/sessions", Tags: tags,
		Summary: "List sessions by key, page by page",
	}), s.listSessions)
	huma.Register(s.api, operation(ScopeRead, huma.Operation{
		OperationID: "get-session", Method: http.MethodGet, Path: "/v1/sessions/{key}", Tags: tags,
		Summary: "Describe a session", Description: "Leaves no trace on the session: it does not count as an access.",
		Errors: []int{404},
	}), s.getSession)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "get-session-value", Method: http.MethodGet, Path: valuePath, Tags: tags,
		Summary: "The raw value of a session", Responses: binaryResponse("application/octet-stream", "The value, byte for byte."),
		Errors: []int{404},
	}), s.getValue)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "get-session-decoded", Method: http.MethodGet, Path: "/v1/sessions/{key}/decoded", Tags: tags,
		Summary:     "The value of a session made readable",
		Description: "Recognises the formats of common session libraries. Nothing in a value is ever executed.",
		Errors:      []int{404},
	}), s.getDecoded)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "put-session", Method: http.MethodPut, Path: "/v1/sessions/{key}", Tags: tags,
		Summary: "Store a session", MaxBodyBytes: s.maxPutBody(), BodyReadTimeout: bodyTimeout,
		Errors: []int{412, 507},
	}), s.putSession)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "put-session-value", Method: http.MethodPut, Path: valuePath, Tags: tags,
		Summary: "Store a session whose value is the request's body, byte for byte",
		// One byte more, so that the store can say that a value is too large.
		MaxBodyBytes: int64(s.options.MaxValueSize) + 1, BodyReadTimeout: bodyTimeout,
		Errors: []int{412, 507},
	}), s.putValue)
	s.api.OpenAPI().Paths[valuePath].Put.RequestBody.Required = false // a value may have no bytes
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "touch-session", Method: http.MethodPost, Path: "/v1/sessions/{key}/touch", Tags: tags,
		Summary: "Change when a session expires", Errors: []int{404},
	}), s.touchSession)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "delete-session", Method: http.MethodDelete, Path: "/v1/sessions/{key}", Tags: tags,
		Summary: "Delete a session", Errors: []int{404, 412},
	}), s.deleteSession)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "bulk-delete", Method: http.MethodPost, Path: "/v1/bulk-delete", Tags: tags,
		Summary: "Delete, or count first, all sessions that a filter chooses",
	}), s.bulkDelete)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "flush", Method: http.MethodPost, Path: "/v1/flush", Tags: tags,
		Summary: "Delete all sessions, as memcached's flush_all does", DefaultStatus: http.StatusOK,
	}), s.flush)
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
		Description: "Takes what export gives with values=true. Sessions already in the store are overwritten unless keep=true. The whole is not atomic; sending it again does no harm.",
		Errors:      []int{429, 507},
	}), s.importSessions)
	// Described only now, huma does not read the body by itself.
	s.api.OpenAPI().Paths[importPath].Post.RequestBody = ndjsonRequest(s.api)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "backup", Method: http.MethodGet, Path: backupPath, Tags: tags,
		Summary:     "Stream a consistent backup while traffic goes on",
		Description: "A zstd-compressed tar with checksums of every file. A cut stream is detected by `cairn restore`. A ticket stands in for the token.",
		Responses:   binaryResponse("application/zstd", "The archive."), Errors: []int{429, 503},
	}), s.backup)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "create-backup-ticket", Method: http.MethodPost, Path: backupPath + "/tickets", Tags: tags,
		Summary: "A link, good once and for a minute, that downloads a backup without a token", DefaultStatus: http.StatusCreated,
	}), s.createTicket)
}

func (s *Server) registerOperations() {
	tags := []string{"operations"}
	huma.Register(s.api, operation(ScopeRead, huma.Operation{
		OperationID: "list-connections", Method: http.MethodGet, Path: "/v1/connections", Tags: tags,
		Summary: "Open connections of memcached clients",
	}), s.listConnections)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "close-connection", Method: http.MethodDelete, Path: "/v1/connections/{id}", Tags: tags,
		Summary: "Close a client's connection", Errors: []int{404},
	}), s.closeConnection)
	huma.Register(s.api, operation(ScopeRead, huma.Operation{
		OperationID: "get-log-level", Method: http.MethodGet, Path: "/v1/log-level", Tags: tags,
		Summary: "The level from which log lines are written",
	}), s.getLogLevel)
	huma.Register(s.api, operation(ScopeAdmin, huma.Operation{
		OperationID: "put-log-level", Method: http.MethodPut, Path: "/v1/log-level", Tags: tags,
		Summary: "Change the log level until the server stops", Errors: []int{501},
	}), s.putLogLevel)
}

func (s *Server) registerHealth() {
	tags := []string{"health"}
	huma.Register(s.api, operation(ScopeNone, huma.Operation{
		OperationID: "livez", Method: http.MethodGet, Path: "/livez", Tags: tags,
		Summary: "Whether the process answers",
	}), s.livez)
	huma.Register(s.api, operation(ScopeNone, huma.Operation{
		OperationID: "readyz", Method: http.MethodGet, Path: "/readyz", Tags: tags,
		Summary:   "Whether the server takes traffic: 503 while it drains, writes are stalled, or disk space is short",
		Responses: readyzResponses(s.api),
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
