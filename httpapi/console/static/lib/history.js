// The figures that the server has kept, as points like those of the feed.

import { get } from "./api.js";

// What a point calls the server's figures.
const names = {
  items: "sessions", bytes: "session_bytes", disk: "disk_bytes", wal: "wal_bytes", free: "free_bytes",
  get: "gets", set: "sets", touch: "touches", del: "deletes", other: "others", hit: "hit_ratio", hot: "hot_ratio",
  p50: "latency_p50", p90: "latency_p90", p99: "latency_p99", p999: "latency_p999",
  received: "received_bytes", written: "written_bytes", commits: "commits", sync: "fsync_mean", expired: "expired",
  memory: "memory_bytes", cpu: "cpu", clients: "connections",
};

const wanted = 600; // points, at most

/** What happened, in words; the state is that of a mark. */
export const kinds = {
  start: ["First start", ""], restart: ["Restart", "warn"], takeover: ["Takeover", ""], stop: ["Stop", ""],
  slow_fsync: ["Slow fsync", "warn"], slow_disk: ["Slow disk", "bad"], stall: ["Write stall", "bad"],
  out_of_space: ["Disk full", "bad"], read_only: ["Read-only", "bad"],
  election: ["Election", "warn"], no_leader: ["No leader", "bad"],
};

/** The last `span` seconds until now, in seconds: { points, events, step }. */
export async function past(span, now) {
  const from = new Date((now - span) * 1000).toISOString();
  const answer = await get("/v1/history", { query: { from, points: wanted } });
  const places = Object.entries(names).map(([name, figure]) => [name, answer.figures.findIndex((f) => f.name === figure)]).filter(([, i]) => i >= 0);
  const points = answer.points.map(({ at, values }) => {
    const p = { t: new Date(at) / 1000 };
    for (const [name, i] of places) p[name] = values[i];
    return p;
  });
  const events = answer.events.map((e) => ({ ...e, t: new Date(e.at) / 1000, end: new Date(e.until) / 1000 }));
  return { points, events, step: answer.step_seconds };
}

/** Points of the past and of now, with a gap where nothing was sampled. */
export function joined(before, now, step) {
  const begin = now[0]?.t ?? Infinity;
  const all = [];
  for (const p of [...before.filter((b) => b.t < begin), ...now]) {
    const last = all.at(-1);
    if (last && p.t - last.t > 2.5 * step) all.push({ t: (last.t + p.t) / 2 });
    all.push(p);
  }
  return all;
}
