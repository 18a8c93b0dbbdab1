package config

import (
	"fmt"
	"strings"
)

// suboptions is memcached's -o: a list of name or name=value.
type suboptions struct {
	config *Config
	given  []string
}

func (s *suboptions) Type() string   { return "list" }
func (s *suboptions) String() string { return strings.Join(s.given, ",") }

func (s *suboptions) Set(text string) error {
	for _, option := range strings.Split(text, ",") {
		if option == "" {
			continue
		}
		name, argument, _ := strings.Cut(option, "=")
		if err := s.set(name, argument); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		s.given = append(s.given, option)
	}
	return nil
}

// set gives the value to Cairn's own flag of that meaning, or records why the
// option has no effect.
func (s *suboptions) set(name, argument string) error {
	if flag, ok := ownFlag[name]; ok {
		return s.config.flags.Set(flag, argument)
	}
	reason, ok := inertSuboption(name)
	if !ok {
		return fmt.Errorf("memcached 1.6 has no such extended option")
	}
	if reason != "" {
		s.config.Warnings = append(s.config.Warnings, "-o "+name+" has no effect: "+reason)
	}
	return nil
}

// ownFlag maps memcached's extended options to Cairn's flags.
var ownFlag = map[string]string{
	"idle_timeout":    "idle-timeout",
	"ssl_chain_cert":  "tls-cert",
	"ssl_key":         "tls-key",
	"ssl_ca_cert":     "tls-ca",
	"ssl_verify_mode": "tls-verify",
	"ssl_min_version": "tls-min-version",
}

const (
	noSlab     = "sessions are not kept in slabs"
	noLRU      = "there are no LRU lists: every session stays until its expiry"
	noTable    = "there is no hash table to size"
	noExtstore = "values are always on disk, see data-dir"
	noBuffers  = "buffers grow and shrink with the traffic"
	goTLS      = "Go's own TLS decides"
	always     = "" // it is so anyway: nothing to warn about
)

// inertOptions are memcached 1.6's extended options without a meaning here,
// with the reason.
var inertOptions = map[string]string{
	"maxconns_fast":             always,
	"no_maxconns_fast":          "a connection over the limit always gets its error at once",
	"hashpower":                 noTable,
	"hash_algorithm":            noTable,
	"no_hashexpand":             noTable,
	"tail_repair_time":          noLRU,
	"temporary_ttl":             noLRU,
	"hot_lru_pct":               noLRU,
	"warm_lru_pct":              noLRU,
	"hot_max_factor":            noLRU,
	"warm_max_factor":           noLRU,
	"lru_crawler":               always,
	"no_lru_crawler":            noLRU,
	"lru_crawler_sleep":         noLRU,
	"lru_crawler_tocrawl":       noLRU,
	"lru_maintainer":            always,
	"no_lru_maintainer":         noLRU,
	"expirezero_does_not_evict": always,
	"slab_reassign":             noSlab,
	"no_slab_reassign":          noSlab,
	"slab_automove":             noSlab,
	"no_slab_automove":          noSlab,
	"slab_automove_ratio":       noSlab,
	"slab_automove_window":      noSlab,
	"slab_automove_freeratio":   noSlab,
	"slab_chunk_max":            noSlab,
	"slab_sizes":                noSlab,
	"no_chunked_items":          noSlab,
	"track_sizes":               always,
	"watcher_logbuf_size":       noBuffers,
	"worker_logbuf_size":        noBuffers,
	"read_buf_mem_limit":        noBuffers,
	"read_obj_mem_limit":        noBuffers,
	"resp_obj_mem_limit":        noBuffers,
	"inline_ascii_resp":         always,
	"no_inline_ascii_resp":      always,
	"modern":                    always,
	"no_modern":                 "there is no older behaviour to return to",
	"sock_cookie_id":            "sockets carry no cookies",
	"drop_privileges":           "see the systemd unit for what the process may do",
	"no_drop_privileges":        always,
	"relaxed_privileges":        always,
	"meta_response_old":         "meta commands answer as memcached 1.6.10 and later do",
	"ssl_keyformat":             "keys are PEM files",
	"ssl_ciphers":               goTLS,
	"ssl_wbuf_size":             goTLS,
	"ssl_session_cache":         goTLS,
	"ssl_kernel_tls":            goTLS,
}

func inertSuboption(name string) (reason string, ok bool) {
	if strings.HasPrefix(name, "ext_") {
		return noExtstore, true
	}
	reason, ok = inertOptions[name]
	return reason, ok
}
