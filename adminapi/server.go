package adminapi

import "time"

// ServerInfo says what answers and what the caller may ask of it.
type ServerInfo struct {
	Name          string    `json:"name"`
	Version       string    `json:"version"`
	Started       time.Time `json:"started"`
	UptimeSeconds float64   `json:"uptime_seconds"`
	Now           time.Time `json:"now" doc:"The store's logical clock, by which sessions expire."`
	Ready         bool      `json:"ready"`
	Reasons       []string  `json:"reasons" nullable:"false" doc:"Why the server is not ready."`
	Caller        string    `json:"caller" doc:"Name of the token or certificate that was used; local where none is needed."`
	Scope         string    `json:"scope" enum:"metrics,read,admin" doc:"What the caller may do."`
	Open          bool      `json:"open" doc:"No token is needed here."`
	MaxValueSize  int       `json:"max_value_size" doc:"Largest value in bytes."`

	Cluster string `json:"cluster" doc:"Name of the cluster that the server belongs to, as a node or as a proxy; empty: none."`

	Listening []Listening `json:"listening" nullable:"false" doc:"Where memcached's clients connect."`
}

// Listening is a place where clients connect.
type Listening struct {
	Network string `json:"network" enum:"tcp,unix"`
	Address string `json:"address" doc:"Host and port, or the path of a socket."`
	TLS     bool   `json:"tls"`
}

// LogLevel is the level from which log lines are written.
type LogLevel struct {
	Level string `json:"level" enum:"debug,info,warn,error"`
}

// Liveness is the answer of a process that runs.
type Liveness struct {
	Status   string `json:"status" enum:"ok"`
	ReadOnly bool   `json:"read_only,omitempty" doc:"Nothing can be written for now, such as on a full disk. A restart would not help."`
}

// Readiness says whether the server takes traffic.
type Readiness struct {
	Ready   bool     `json:"ready"`
	Reasons []string `json:"reasons" nullable:"false" doc:"Why not: draining, stalled, out_of_space, read_only, no_leader, removed, drained."`
}
