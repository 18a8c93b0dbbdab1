// The state of disk and compaction as facts, each with a judgement.

import { h, fill } from "../lib/dom.js";
import { bytes, count, short, span, latency } from "../lib/format.js";

/** Facts are [name, value, state], state "" when there is nothing to judge. */
export function health(stats, server, point) {
  const d = stats.disk;
  const used = d.total_bytes ? 1 - d.free_bytes / d.total_bytes : 0;
  const trouble = (n) => (n > 0 ? "bad" : "good");
  return [
    ["Writes", writes(stats, server), d.out_of_space || d.read_only ? "bad" : d.stalled ? "warn" : "good"],
    ["File system", d.total_bytes ? meter(used, bytes(d.free_bytes) + " free") : "unknown", ""],
    ["Compactions running", count(d.compactions_running), ""],
    ["Compaction debt", bytes(d.compaction_debt_bytes), d.compaction_debt_bytes > Math.max(d.bytes, 1 << 30) ? "warn" : ""],
    ["Expired, still on disk", bytes(d.expired_bucket_bytes), ""],
    ["Write-ahead log", bytes(d.wal_bytes), ""],
    ["Tables", count(d.tables) + (d.zombie_tables ? ` (${count(d.zombie_tables)} obsolete)` : ""), ""],
    ["Tables per read", count(d.read_amplification), d.read_amplification > 20 ? "warn" : ""],
    ["Written per byte received", d.write_amplification ? d.write_amplification.toFixed(2) : "–", ""],
    ["Values compressed to", stats.compression.in_bytes_total ? Math.round(stats.compression.out_bytes_total / stats.compression.in_bytes_total * 100) + " %" : "–", ""],
    ["fsync, mean", latency(point?.sync), point?.sync > 0.05 ? "warn" : ""],
    ["Write stalls", d.write_stalls_total ? `${short(d.write_stalls_total)}, ${span(d.write_stall_seconds_total)} in all` : "none", d.stalled ? "warn" : ""],
    ["Slow disk operations", count(d.slow_operations_total), d.slow_operations_total > 0 ? "warn" : "good"],
    ["Read errors, corruptions", `${count(d.read_errors_total)}, ${count(d.corruptions_total)}`, trouble(d.read_errors_total + d.corruptions_total)],
    ["Failed commits", count(stats.commits.errors_total), trouble(stats.commits.errors_total)],
  ];
}

function writes(stats, server) {
  if (stats.disk.read_only) return "refused, deletes too: the disk takes no writes";
  if (stats.disk.out_of_space) return "refused: disk is full";
  if (stats.disk.stalled) return "waiting for the disk";
  if (server?.reasons?.includes("draining")) return "accepted, draining";
  return "accepted";
}

function meter(used, words) {
  const state = used > 0.95 ? "bad" : used > 0.85 ? "warn" : "";
  return h("div", { class: "row nowrap" },
    h("div", { class: "meter grow", data: { state }, style: { "min-width": "60px" }, title: Math.round(used * 100) + " % used" }, h("i", { style: { width: used * 100 + "%" } })),
    words);
}

export function facts(list, entries) {
  fill(list, entries.map(([name, value, state]) => [h("dt", {}, name), h("dd", { class: state }, value)]));
}
