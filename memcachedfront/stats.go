package memcachedfront

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"cairn/memcachedfront/protocol"
	"cairn/processors"
	"cairn/serve"
	"cairn/session"
)

// emit takes one statistic.
type emit func(name, value string)

func (e emit) int(name string, n int64)   { e(name, strconv.FormatInt(n, 10)) }
func (e emit) uint(name string, n uint64) { e(name, strconv.FormatUint(n, 10)) }
func (e emit) flag(name string, b bool)   { e(name, yesNo(b)) }

// statGroups are the groups of statistics, by the argument of stats. Both
// protocols answer from them. A group that has no meaning here, such as that
// of extstore, is empty.
var statGroups = map[string]func(*Server, emit){
	"":              (*Server).generalStats,
	"settings":      (*Server).settingsStats,
	"items":         (*Server).itemsStats,
	"slabs":         (*Server).slabsStats,
	"sizes":         func(_ *Server, e emit) { e("sizes_status", "disabled") },
	"sizes_enable":  func(_ *Server, e emit) { e("sizes_status", "disabled") },
	"sizes_disable": func(_ *Server, e emit) { e("sizes_status", "disabled") },
	"conns":         (*Server).connsStats,
	"extstore":      func(*Server, emit) {},
}

// stats is: stats [group]. Its answer is put together after those before it.
func (c *conn) stats(r *protocol.Request, b *session.Burst) {
	r.Quiet = false
	c.expect(r, b).args = r.Args
}

// answerStats answers stats in text.
func (c *conn) answerStats(dst []byte, a *answer, b *session.Burst) []byte {
	args := split(a.args)
	group := ""
	if len(args) > 0 {
		group = args[0]
	}
	switch group {
	case "reset":
		c.server.resetStats()
		return append(dst, protocol.ResetDone...)
	case "detail":
		return c.answerStatsDetail(dst, args[1:])
	case "cachedump":
		return c.answerCachedump(dst, args[1:])
	}
	stats, known := statGroups[group]
	if !known {
		return append(dst, protocol.UnknownCommand.Line()...)
	}
	stats(c.server, func(name, value string) { dst = protocol.AppendStat(dst, name, value) })
	return append(dst, protocol.End...)
}

// answerBinaryStats appends one answer per statistic of a group, and an empty
// one at the end.
func (c *conn) answerBinaryStats(dst []byte, h protocol.BinaryHeader, a *answer, b *session.Burst) []byte {
	group := binaryStatGroup(string(a.args))
	switch group {
	case "reset":
		c.server.resetStats()
	case "detail on", "detail off":
		c.server.countPrefixes(group == "detail on")
	case "detail dump":
		dump := append(c.server.prefixes.append(nil), protocol.End...)
		dst = protocol.AppendBinary(dst, h, []byte("detailed"), string(dump))
	default:
		stats, known := statGroups[group]
		if !known {
			return protocol.AppendBinaryStatus(dst, h, protocol.StatusKeyNotFound)
		}
		stats(c.server, func(name, value string) { dst = protocol.AppendBinary(dst, h, []byte(name), value) })
	}
	return protocol.AppendBinary(dst, h, nil, "")
}

// binaryStatGroup is the group that a binary stat asks for. memcached compares
// only the beginning of the key with these names.
func binaryStatGroup(key string) string {
	for _, group := range []string{"reset", "settings", "detail dump", "detail on", "detail off"} {
		if strings.HasPrefix(key, group) {
			return group
		}
	}
	return key
}

// answerStatsDetail is: stats detail on|off|dump
func (c *conn) answerStatsDetail(dst []byte, args []string) []byte {
	p := &c.server.prefixes
	if len(args) > 0 {
		switch args[0] {
		case "on", "off":
			c.server.countPrefixes(args[0] == "on")
			return append(dst, protocol.OK...)
		case "dump":
			return append(p.append(dst), protocol.End...)
		}
	}
	return append(dst, "CLIENT_ERROR usage: stats detail on|off|dump\r\n"...)
}

// answerCachedump is: stats cachedump <class> <limit>. It shows no items:
// memcached's is limited to the first megabyte, and lru_crawler metadump shows
// all.
func (c *conn) answerCachedump(dst []byte, args []string) []byte {
	if c.server.options.DisableDump {
		return append(dst, "CLIENT_ERROR stats cachedump not allowed\r\n"...)
	}
	if len(args) < 2 {
		return append(dst, "CLIENT_ERROR bad command line\r\n"...)
	}
	class, ok := parseArgument(args, 0)
	if _, limit := parseArgument(args, 1); !ok || !limit {
		return append(dst, protocol.BadFormat.Line()...)
	}
	if class > 63 {
		return append(dst, "CLIENT_ERROR Illegal slab id\r\n"...)
	}
	return append(dst, protocol.End...)
}

func (s *Server) resetStats() {
	s.counters.reset()
	s.prefixes.clear()
	s.ResetFigures()
}

func (s *Server) storeStats() session.Stats {
	if s.options.Inspector == nil {
		return session.Stats{}
	}
	return s.options.Inspector.Stats()
}

// generalStats are memcached's, in its order. Those that describe parts which
// do not exist here are left out, except where monitoring expects them: then
// they are what they would be in a memcached that never uses that part.
func (s *Server) generalStats(e emit) {
	now := s.options.Clock.Now()
	total := s.counters.sum()
	store := s.storeStats()
	user, system := processors.Used()
	e.int("pid", int64(os.Getpid()))
	e.int("uptime", now.Unix()-s.started.Unix())
	e.int("time", now.Unix())
	e("version", s.options.Version)
	e.int("pointer_size", strconv.IntSize)
	e("rusage_user", fmt.Sprintf("%.6f", user.Seconds()))
	e("rusage_system", fmt.Sprintf("%.6f", system.Seconds()))
	s.connectionStats(e)
	e.uint("cmd_get", total[getHits]+total[getMisses])
	e.uint("cmd_set", total[cmdSet])
	e.uint("cmd_flush", total[cmdFlush])
	e.uint("cmd_flush_ignored", total[flushIgnored])
	e.uint("cmd_touch", total[touchHits]+total[touchMisses])
	e.uint("cmd_meta", total[cmdMeta])
	for _, named := range namedCounters {
		e.uint(named.name, total[named.which])
	}
	traffic := s.Figures()
	e.uint("bytes_read", traffic.BytesIn)
	e.uint("bytes_written", traffic.BytesOut)
	e.int("limit_maxbytes", s.memoryLimit.Load())
	e.int("accepting_conns", 1)
	e.int("listen_disabled_num", 0)
	e.int("time_in_listen_disabled_us", 0)
	e.int("threads", int64(s.options.Threads))
	e.uint("conn_yields", total[connYields])
	e.uint("log_watcher_skipped", s.watchers.skipped.Load())
	e.uint("log_watcher_sent", s.watchers.sent.Load())
	e.int("log_watchers", int64(s.watchers.count()))
	emitStoreStats(e, &store)
}

// namedCounters are the counters that appear under their own names, in
// memcached's order.
var namedCounters = []struct {
	name  string
	which counter
}{
	{"get_hits", getHits}, {"get_misses", getMisses},
	{"delete_misses", deleteMisses}, {"delete_hits", deleteHits},
	{"incr_misses", incrMisses}, {"incr_hits", incrHits},
	{"decr_misses", decrMisses}, {"decr_hits", decrHits},
	{"cas_misses", casMisses}, {"cas_hits", casHits}, {"cas_badval", casBadval},
	{"touch_hits", touchHits}, {"touch_misses", touchMisses},
	{"store_too_large", storeTooLarge}, {"store_no_memory", storeNoMemory},
	{"auth_cmds", authCmds}, {"auth_errors", authErrors},
}

func (s *Server) connectionStats(e emit) {
	figures := s.Figures()
	count := int64(figures.Open)
	e.int("max_connections", int64(figures.Limit))
	e.int("curr_connections", count)
	e.uint("total_connections", figures.Connected)
	e.uint("rejected_connections", figures.Rejected)
	e.int("connection_structures", count)
	e.int("reserved_fds", int64(len(s.Places())+max(s.options.ReservedConns, 0)))
	e.uint("idle_kicks", figures.Idle)
}

func emitStoreStats(e emit, store *session.Stats) {
	e.int("bytes", store.Bytes)
	e.int("curr_items", store.Items)
	e.int("total_items", store.TotalItems)
	e.int("expired_unfetched", 0)
	e.int("evicted_unfetched", 0)
	e.int("evictions", 0)
	e.int("reclaimed", store.Expired)
	e.int("crawler_reclaimed", 0)
	e.int("crawler_items_checked", 0)
	e.int("slab_reassign_running", 0)
	e.int("slabs_moved", 0)
	e.int("lru_crawler_running", 0)
	e.int("lru_crawler_starts", 0)
	e.int("direct_reclaims", 0)
	e.int("hash_is_expanding", 0)
	e.int("malloc_fails", 0)
}

// settingsStats are memcached's settings where they exist here, and those of
// the process.
func (s *Server) settingsStats(e emit) {
	o := &s.options
	e.int("maxbytes", s.memoryLimit.Load())
	e.int("maxconns", int64(o.ConnLimit))
	port, inter, socket, mode := s.listenSettings()
	e.int("tcpport", int64(port))
	e.int("udpport", 0)
	e("inter", inter)
	e.int("verbosity", s.verbosity.Load())
	e.int("oldest", 0)
	e("evictions", "off")
	e("domain_socket", socket)
	e("umask", strconv.FormatUint(uint64(mode), 8))
	e.flag("shutdown_command", o.RequestShutdown != nil)
	e.int("num_threads", int64(o.Threads))
	e("stat_key_prefix", string(prefixDelimiter))
	e.flag("detail_enabled", s.prefixes.on.Load())
	e.int("reqs_per_event", maxBurstCommands)
	e.flag("cas_enabled", true)
	e("binding_protocol", "auto-negotiate")
	e.flag("auth_enabled_sasl", o.Guard != nil)
	e.flag("auth_enabled_ascii", o.Guard != nil)
	e.int("item_size_max", int64(o.MaxItemSize))
	e.flag("maxconns_fast", true)
	e.flag("flush_enabled", o.Flush != RefuseFlush)
	e.flag("dump_enabled", !o.DisableDump && o.Inspector != nil)
	e.flag("watch_enabled", !o.DisableWatch)
	e.int("idle_timeout", int64(o.IdleTimeout.Seconds()))
	e.flag("track_sizes", false)
	e.flag("ssl_enabled", o.ReloadCertificates != nil)
	if o.Settings != nil {
		for _, setting := range o.Settings() {
			e(setting[0], setting[1])
		}
	}
}

// listenSettings describes the listeners as memcached's settings do: the first
// TCP port, the interfaces, the Unix socket and its mode.
func (s *Server) listenSettings() (port int, inter, socket string, mode os.FileMode) {
	socket = "NULL"
	var hosts []string
	for _, p := range s.Places() {
		tcp, ok := p.Addr.(*net.TCPAddr)
		if !ok {
			socket, mode = p.Address.Addr, p.Address.UnixMode()
			continue
		}
		hosts = append(hosts, tcp.IP.String())
		if port == 0 {
			port = tcp.Port
		}
	}
	return port, strings.Join(hosts, ","), socket, mode
}

// itemsStats shows all items as those of the only slab class there is.
func (s *Server) itemsStats(e emit) {
	store := s.storeStats()
	if store.Items == 0 {
		return
	}
	e.int("items:1:number", store.Items)
	e.int("items:1:age", 0)
	e.int("items:1:mem_requested", store.Bytes)
	e.int("items:1:evicted", 0)
	e.int("items:1:evicted_nonzero", 0)
	e.int("items:1:evicted_time", 0)
	e.int("items:1:outofmemory", 0)
	e.int("items:1:tailrepairs", 0)
	e.int("items:1:reclaimed", store.Expired)
	e.int("items:1:expired_unfetched", 0)
	e.int("items:1:evicted_unfetched", 0)
	e.int("items:1:evicted_active", 0)
	e.int("items:1:crawler_reclaimed", 0)
	e.int("items:1:crawler_items_checked", 0)
	e.int("items:1:lrutail_reflocked", 0)
	e.int("items:1:direct_reclaims", 0)
	e.int("items:1:hits_to_hot", store.Hot.Hits)
	e.int("items:1:hits_to_cold", store.Hot.Misses)
}

// slabsStats shows all items as those of the only slab class there is.
func (s *Server) slabsStats(e emit) {
	store := s.storeStats()
	total := s.counters.sum()
	if store.Items > 0 {
		e.int("1:chunk_size", int64(s.options.MaxItemSize))
		e.int("1:chunks_per_page", 1)
		e.int("1:total_pages", store.Items)
		e.int("1:total_chunks", store.Items)
		e.int("1:used_chunks", store.Items)
		e.int("1:free_chunks", 0)
		e.int("1:free_chunks_end", 0)
		e.uint("1:get_hits", total[getHits])
		e.uint("1:cmd_set", total[cmdSet])
		e.uint("1:delete_hits", total[deleteHits])
		e.uint("1:incr_hits", total[incrHits])
		e.uint("1:decr_hits", total[decrHits])
		e.uint("1:cas_hits", total[casHits])
		e.uint("1:cas_badval", total[casBadval])
		e.uint("1:touch_hits", total[touchHits])
		e.int("active_slabs", 1)
	} else {
		e.int("active_slabs", 0)
	}
	e.int("total_malloced", store.Hot.Bytes)
}

// connsStats lists the listeners and the clients.
func (s *Server) connsStats(e emit) {
	now := s.options.Clock.Now()
	places := s.Places()
	for i, p := range places {
		id := strconv.Itoa(i)
		e(id+":addr", endpoint(p, p.Addr))
		e(id+":state", "conn_listening")
		e.int(id+":secs_since_last_cmd", now.Unix()-s.started.Unix())
	}
	for _, l := range s.Links() {
		id := strconv.FormatUint(l.ID()+uint64(len(places)), 10)
		e(id+":addr", endpoint(l.Listener(), l.Remote()))
		e(id+":listen_addr", endpoint(l.Listener(), l.Listener().Addr))
		e(id+":state", connStates[l.State()])
		e.int(id+":secs_since_last_cmd", max(now.Unix()-l.LastActive().Unix(), 0))
	}
}

// connStates are memcached's names for what a connection is busy with.
var connStates = [...]string{
	serve.Waiting:   "conn_read",
	serve.Working:   "conn_parse_cmd",
	serve.Writing:   "conn_mwrite",
	serve.Streaming: "conn_watch",
}

// endpoint returns an address on the network of a listener as "stats conns" shows
// it.
func endpoint(on serve.Place, a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	switch {
	case !ok:
		return "unix:" + on.Address.Addr
	case tcp.IP.To4() == nil:
		return "tcp6:" + tcp.String()
	}
	return "tcp:" + tcp.String()
}
