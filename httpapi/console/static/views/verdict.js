// Whether the server needs somebody: what is wrong, why, and what to do.

import { h, fill } from "../lib/dom.js";
import { bytes, count, latency, percent } from "../lib/format.js";

/** From when on clients such as memcached-session-manager give up, in seconds. */
export const cliff = 0.1;

/**
 * What needs somebody, the worst first: { state, name, why, act, entry }, where
 * entry is the alert in the documentation. `recent` is Feed.recent().
 */
export function findings(stats, server, recent) {
  const { disk, commits, connections } = stats;
  const list = [];
  const add = (holds, state, entry, name, why, act) => { if (holds) list.push({ state, entry, name, why, act }); };
  const free = disk.total_bytes ? disk.free_bytes / disk.total_bytes : 1;
  const used = connections.limit ? connections.open / connections.limit : 0;

  add(disk.read_only, "bad", "CairnReadOnly", "The store is read-only", "The disk takes no writes, so that not even deletes work.", "Make room on the disk of the data directory. Writes go on by themselves then.");
  add(disk.out_of_space && !disk.read_only, "bad", "CairnOutOfSpace", "Sessions are not stored", `${bytes(disk.free_bytes)} are free, less than the reserve.`, "Make room on the disk of the data directory. Writes go on by themselves then.");
  add(disk.corruptions_total > 0, "bad", "CairnCorruption", "Data on the disk is damaged", `Found ${times(disk.corruptions_total)} since the start.`, "Take a backup, stop the server, run cairn check, and look at the disk.");
  add(disk.read_errors_total > 0, "bad", "CairnReadErrors", "The disk does not read", `${times(disk.read_errors_total)} since the start. The sessions asked for looked absent.`, "Look at dmesg, and move the store to another disk.");
  add(server?.reasons?.includes("no_leader"), "bad", "CairnNoLeader", "The cluster has no leader", "Requests wait, and then fail.", "Look under Cluster which nodes are away, and start them.");
  add(commits.errors_total > 0, "bad", "CairnCommitErrors", "Writes have failed", `${times(commits.errors_total)} since the start.`, "Look at the log of the server and at the disk.");
  add(disk.stalled || recent?.stalled > 0.02, "warn", "CairnWriteStalls", "Writes wait for the disk", recent?.stalled > 0.02 ? `For ${percent(recent.stalled)} of the last minute.` : "Flushes or compactions do not keep up.", "Look for what else uses the disk, or give the store a faster one.");
  add(recent?.p99 > 0.8 * cliff, "warn", "CairnSlow", "Requests are slow", `1 of 100 takes more than ${latency(recent?.p99)}. From 100 ms on clients give up and log users out.`, "See whether it is the disk (fsync below) or the processors.");
  add(recent?.sync > 0.05, "warn", "CairnSlowFsync", "The disk is slow to sync", `An fsync takes ${latency(recent?.sync)} on the average.`, "Look for what else uses the disk. cairn doctor measures it.");
  add(recent?.slow > 0, "warn", "CairnSlowDisk", "The disk hangs", `${times(recent?.slow)} in the last minutes an operation took seconds.`, "Look at dmesg and at what else uses the disk.");
  add(free < 0.1 && !disk.out_of_space && !disk.read_only, "warn", "CairnDiskLow", "The disk is nearly full", `${bytes(disk.free_bytes)} of ${bytes(disk.total_bytes)} are free.`, "Make room before the reserve is reached: then sessions are not stored.");
  add(recent?.rejected > 0, "bad", "CairnConnectionsRejected", "Clients are turned away", `${times(recent?.rejected)} in the last minutes, at ${count(connections.open)} of ${count(connections.limit)} connections.`, "Raise --conn-limit, or find the client that opens so many.");
  add(used > 0.9, "warn", "CairnConnectionsNearLimit", "Connections run out", `${count(connections.open)} of ${count(connections.limit)} are open.`, "Raise --conn-limit, or find the client that opens so many.");
  add(disk.compaction_debt_bytes > 4e9 && disk.compaction_debt_bytes > 0.5 * disk.bytes, "warn", "CairnCompactionDebt", "Compactions fall behind", `${bytes(disk.compaction_debt_bytes)} wait for them.`, "Look for what else uses the disk, or give the store a faster one.");
  add(server?.reasons?.includes("drained"), "warn", "CairnNodeDrained", "This node of the cluster is drained", "Load balancers send it no new clients, and it leads only while no other node can.", "Put it back into service under Cluster when the work on it is done.");
  add(server?.reasons?.includes("draining"), "warn", "CairnNotReady", "The server is being stopped", "It takes no new connections.", "Nothing, if that was intended.");
  return list.sort((a, b) => (a.state === b.state ? 0 : a.state === "bad" ? -1 : 1));
}

function times(n) {
  return n === 1 ? "Once" : count(n) + " times";
}

/** Shows what needs somebody in an element, or that nothing does. */
export function showVerdict(element, stats, server, recent) {
  const list = findings(stats, server, recent);
  element.dataset.state = list[0]?.state || "good";
  if (!list.length) {
    const d = stats.disk;
    const facts = [
      recent?.p99 != null && `the p99 is ${latency(recent.p99)} of 100 ms`,
      recent?.sync != null && `an fsync takes ${latency(recent.sync)}`,
      d.total_bytes > 0 && `${percent(d.free_bytes / d.total_bytes)} of the disk is free`,
    ].filter(Boolean);
    const words = facts.join(", ");
    show(element, [h("strong", {}, "Healthy"), words && h("span", {}, words[0].toUpperCase() + words.slice(1) + ".")]);
    return;
  }
  show(element, h("ul", {}, list.map((f) => h("li", { data: { state: f.state } }, h("strong", {}, f.name + "."), " ", f.why, " ",
    h("b", {}, "To do: "), f.act, " ", h("a", { href: "/docs/troubleshooting#" + f.entry.toLowerCase(), target: "_blank" }, "Runbook: " + f.entry)))));
}

/** Leaves what says the same, so that a link keeps its focus. */
function show(element, content) {
  const next = fill(h("div"), content);
  if (element.textContent !== next.textContent) element.replaceChildren(...next.childNodes);
}
