// The server's figures over time: polls the statistics and turns counters into
// rates. Samples stay in memory for an hour.

import { get } from "./api.js";
import { difference, quantiles } from "./quantile.js";

const period = 2000; // ms
const keep = 3600; // s

export class Feed extends EventTarget {
  /** One point per poll, oldest first; see `point`. */
  points = [];
  /** The newest answer of the statistics, and of the server's description. */
  stats = null;
  server = null;
  problem = null;
  /** When the newest answer came. */
  seen = null;

  #timer = 0;
  #running = false;
  #raw = []; // answers of the last minute, for the table of verbs
  #begin = null; // an answer of ten minutes ago, or the first one
  #beginNext = null; // the one to follow it

  start() {
    if (this.#running) return;
    this.#running = true;
    this.#poll();
  }

  stop() {
    this.#running = false;
    clearTimeout(this.#timer);
  }

  async #poll() {
    try {
      const [stats, server] = await Promise.all([get("/v1/stats"), get("/v1/server")]);
      this.#add(stats);
      this.server = server;
      this.problem = null;
    } catch (problem) {
      this.problem = problem;
    }
    if (!this.#running) return;
    this.dispatchEvent(new Event("change"));
    this.#timer = setTimeout(() => this.#poll(), period);
  }

  #add(stats) {
    stats.time = new Date(stats.at).getTime() / 1000;
    const before = this.stats;
    if (before && stats.uptime_seconds < before.uptime_seconds) { // another process
      this.#raw = [];
      this.#begin = this.#beginNext = stats;
    }
    this.#begin ??= stats;
    this.#beginNext ??= stats;
    if (stats.time - this.#beginNext.time > 300) [this.#begin, this.#beginNext] = [this.#beginNext, stats];
    this.stats = stats;
    this.seen = new Date();
    this.points.push(point(before, stats));
    while (this.points[0].t < stats.time - keep) this.points.shift();
    this.#raw.push(stats);
    while (this.#raw.length > 2 && this.#raw[1].time < stats.time - 60) this.#raw.shift();
  }

  /**
   * What the last minute was like: p99, sync (mean of fsyncs), stalled (share of
   * the time), and how many slow disk operations and rejected connections there
   * were since the page was opened or the server started. null if that is too
   * short to say.
   */
  recent() {
    const [first, last] = [this.#raw[0], this.#raw.at(-1)];
    const seconds = last ? last.uptime_seconds - first.uptime_seconds : 0;
    if (seconds < 5) return null;
    const d = difference(first.latencies, last.latencies);
    const syncs = last.commits.syncs_total - first.commits.syncs_total;
    const begin = this.#begin.uptime_seconds <= last.uptime_seconds ? this.#begin : first;
    return {
      p99: d.count >= 100 ? quantiles(d, [0.99])[0] : null,
      sync: syncs > 0 ? (last.commits.sync_seconds_total - first.commits.sync_seconds_total) / syncs : null,
      stalled: (last.disk.write_stall_seconds_total - first.disk.write_stall_seconds_total) / seconds,
      slow: last.disk.slow_operations_total - begin.disk.slow_operations_total,
      rejected: last.connections.rejected_total - begin.connections.rejected_total,
    };
  }

  /** Rates and latencies per verb over the last minute, busiest first. */
  verbs() {
    if (this.#raw.length < 2) return [];
    const [first, last] = [this.#raw[0], this.#raw.at(-1)];
    const seconds = last.uptime_seconds - first.uptime_seconds;
    const old = new Map(first.latencies.map((l) => [l.verb, l]));
    return last.latencies.map((l) => {
      const d = difference([old.get(l.verb)].filter(Boolean), [l]);
      return { verb: l.verb, rate: d.count / seconds, total: l.count_total, quantiles: quantiles(d, [0.5, 0.99, 0.999]) };
    }).filter((v) => v.total > 0).sort((a, b) => b.rate - a.rate || b.total - a.total);
  }
}

/**
 * What the charts show of one interval. Rates are per second; they are null in
 * the first point and after the server was started anew.
 */
export function point(before, now) {
  const p = {
    t: now.time,
    items: now.sessions.items,
    bytes: now.sessions.bytes,
    disk: now.disk.bytes,
    wal: now.disk.wal_bytes,
    memory: now.process.resident_bytes,
    clients: now.connections.open,
  };
  const seconds = before ? now.uptime_seconds - before.uptime_seconds : 0;
  if (seconds <= 0) return p;
  const rate = (of) => Math.max(0, of(now) - of(before)) / seconds;
  const named = (...names) => (stats) => names.reduce((sum, name) => sum + Number(stats.memcached[name] || 0), 0);

  p.get = rate(named("cmd_get"));
  p.set = rate(named("cmd_set"));
  p.touch = rate(named("cmd_touch"));
  p.del = rate(named("delete_hits", "delete_misses"));
  p.other = rate(named("incr_hits", "incr_misses", "decr_hits", "decr_misses", "cmd_meta"));
  p.ops = p.get + p.set + p.touch + p.del + p.other;
  const hits = rate(named("get_hits")), misses = rate(named("get_misses"));
  p.hit = hits + misses > 0 ? hits / (hits + misses) : null;
  const hot = rate((s) => s.cache.hits_total), cold = rate((s) => s.cache.misses_total);
  p.hot = hot + cold > 0 ? hot / (hot + cold) : null;
  [p.p50, p.p90, p.p99, p.p999] = quantiles(difference(before.latencies, now.latencies), [0.5, 0.9, 0.99, 0.999]);
  p.written = rate((s) => s.disk.wal_written_bytes_total + s.disk.flush_written_bytes_total + s.disk.compaction_written_bytes_total);
  p.received = rate((s) => s.disk.user_written_bytes_total);
  p.commits = rate((s) => s.commits.commits_total);
  p.syncs = rate((s) => s.commits.syncs_total);
  const syncs = now.commits.syncs_total - before.commits.syncs_total;
  p.sync = syncs > 0 ? (now.commits.sync_seconds_total - before.commits.sync_seconds_total) / syncs : null;
  p.cpu = rate((s) => s.process.cpu_seconds_total);
  p.expired = rate((s) => s.sessions.expired_total);
  return p;
}
