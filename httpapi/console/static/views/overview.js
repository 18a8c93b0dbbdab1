// What an operator looks at first: figures, charts, forecast, health.

import { h, fill, text, panel, segments } from "../lib/dom.js";
import { get } from "../lib/api.js";
import { Chart } from "../lib/chart.js";
import { Bars } from "../lib/bars.js";
import { past, joined, kinds } from "../lib/history.js";
import { count, short, bytes, percent, latency, span, plural, moment } from "../lib/format.js";
import { health, facts } from "./health.js";
import { FirstRun } from "./first.js";
import { cliff, showVerdict } from "./verdict.js";

const windows = [[300, "5 min"], [900, "15 min"], [3600, "1 h"], [21600, "6 h"], [86400, "1 d"], [604800, "7 d"], [2592000, "30 d"]];
const live = 3600; // seconds, up to which the page's own finer points are shown
const historyPeriod = 30_000; // ms
const forecastPeriod = 15_000; // ms
const fineSlots = 600; // asked for
const bars = 60; // shown, at most
const medians = 3; // of lifetimes that are shown, unless told otherwise

export class Overview {
  title = "Overview";

  constructor({ feed }) {
    this.feed = feed;
    this.window = Number(localStorage.getItem("cairn.window")) || 300;
    this.past = { points: [], events: [], step: 10 };
    this.events = h("div", { class: "body" });
    this.eventPanel = panel("Events", {}, this.events);
    this.charts = makeCharts();
    this.tiles = makeTiles();
    this.forecast = new ForecastPanel();
    this.health = h("dl", { class: "facts" });
    const table = (label) => h("div", { class: "body scroll", tabindex: "0", role: "region", aria: { label } });
    this.buckets = table("Deadline buckets");
    this.verbs = table("Latency by verb");
    this.verdict = h("section", { class: "verdict", role: "status", aria: { label: "Verdict" } });
    this.first = new FirstRun();
    this.element = h("div", { class: "charts" });
  }

  mount(main) {
    const [operations, latencies, hits, sessions, disk, writes, memory, cpu, clients] = this.charts.map((c) => c.element);
    const place = (element, size) => { element.classList.add("span-" + size); return element; };
    const choice = segments("Time shown", windows, this.window, (w) => {
      this.window = w;
      localStorage.setItem("cairn.window", w);
      this.loadPast();
    });
    fill(this.element,
      place(operations, 6), place(latencies, 6),
      place(hits, 3), place(sessions, 3), place(disk, 3), place(writes, 3),
      place(memory, "third"), place(cpu, "third"), place(clients, "third"),
      place(this.eventPanel, 12),
      place(this.forecast.element, 8),
      place(panel("Disk and compaction", {}, h("div", { class: "body" }, this.health)), 4),
      place(panel("Latency by verb, last minute", {}, this.verbs), 6),
      place(panel("Deadline buckets", { end: h("span", { class: "faint" }, "sessions that leave the disk together") }, this.buckets), "last"));
    const bar = h("div", { class: "row bar" }, h("h1", { class: "grow" }, "Overview"), choice);
    main.append(bar, this.verdict, this.first.element, this.tiles.element, this.element);
    for (const chart of this.charts) chart.connect();
    this.forecast.connect();
    this.eventPanel.hidden = true;
    this.timer = setInterval(() => this.loadPast(), historyPeriod);
    this.loadPast();
    this.update();
  }

  /** Loads what the server has kept of the time shown. */
  async loadPast() {
    const window = this.window;
    try {
      const answer = await past(window, this.feed.stats?.time ?? Date.now() / 1000);
      if (window !== this.window) return; // another one was chosen meanwhile
      this.past = answer;
    } catch { /* the status of the page says it */ }
    this.#drawEvents();
    this.update();
  }

  /** The points to show: the page's own, and before them the server's. */
  #points() {
    const { points } = this.feed;
    return joined(this.past.points, this.window > live ? points.slice(-1) : points, Math.max(this.past.step, 10));
  }

  #drawEvents() {
    const events = this.past.events.slice(-50).reverse();
    this.eventPanel.hidden = events.length === 0;
    fill(this.events, h("ul", { class: "events", tabindex: "0", aria: { label: "Events" } }, events.map((e) => {
      const [name, state] = kinds[e.kind] || [e.kind, ""];
      return h("li", {}, h("time", {}, moment(new Date(e.t * 1000))), h("strong", { class: state }, name),
        h("span", { class: "soft" }, [e.end > e.t && "for " + span(e.end - e.t), e.detail].filter(Boolean).join(". ")));
    })));
  }

  unmount() {
    clearInterval(this.timer);
    for (const chart of this.charts) chart.disconnect();
    this.forecast.disconnect();
  }

  update() {
    const { stats, points } = this.feed;
    if (!stats) return;
    this.tiles.update(stats, points);
    this.first.update(stats, this.feed.server);
    showVerdict(this.verdict, stats, this.feed.server, this.feed.recent());
    // While there is less to show than was asked for, that fills the charts.
    const all = this.#points();
    const shown = Math.min(this.window, Math.max(60, all.at(-1).t - all[0].t));
    for (const chart of this.charts) chart.show(all, shown, this.past.events);
    facts(this.health, health(stats, this.feed.server, points.at(-1)));
    fill(this.buckets, bucketTable(stats));
    fill(this.verbs, verbTable(this.feed.verbs()));
  }
}

function makeCharts() {
  return [
    new Chart("Operations per second", [
      { name: "get", color: 1, of: (p) => p.get },
      { name: "set", color: 2, of: (p) => p.set },
      { name: "touch", color: 3, of: (p) => p.touch },
      { name: "delete", color: 4, of: (p) => p.del },
      { name: "other", color: 5, of: (p) => p.other },
    ], { stacked: true, format: short }),
    new Chart("Latency", [
      { name: "p50", color: 1, of: (p) => p.p50 },
      { name: "p90", color: 2, of: (p) => p.p90 },
      { name: "p99", color: 3, of: (p) => p.p99 },
      { name: "p99.9", color: 4, of: (p) => p.p999 },
    ], { scale: "log", format: latency, limit: { value: cliff, name: "100 ms: clients give up" } }),
    new Chart("Hit ratio", [
      { name: "gets", color: 1, of: (p) => p.hit },
      { name: "from memory", color: 2, of: (p) => p.hot },
    ], { top: 1, format: percent }),
    new Chart("Sessions", [{ name: "live", color: 1, of: (p) => p.items }], { area: true, format: short }),
    new Chart("Disk", [{ name: "used", color: 1, of: (p) => p.disk }], { area: true, format: bytes, binary: true }),
    new Chart("Writing/s", [
      { name: "clients", color: 2, of: (p) => p.received },
      { name: "disk", color: 1, of: (p) => p.written },
    ], { format: bytes, binary: true }),
    new Chart("Memory", [{ name: "resident", color: 1, of: (p) => p.memory }], { area: true, format: bytes, binary: true }),
    new Chart("Processors busy", [{ name: "used", color: 1, of: (p) => p.cpu }], { area: true, format: short }),
    new Chart("Connections", [{ name: "open", color: 1, of: (p) => p.clients }], { area: true, format: short }),
  ];
}

function makeTiles() {
  const names = ["Sessions", "Operations", "Hit ratio", "Latency p99", "On disk", "Commits", "Memory", "Processors", "Connections"];
  const tiles = names.map((name) => {
    const value = h("div", { class: "value" }, "–"), note = h("div", { class: "note" }, "\u00a0");
    return { value, note, element: h("div", { class: "tile" }, h("div", { class: "label" }, name), value, note) };
  });
  const set = (i, value, unit, note) => {
    fill(tiles[i].value, value, unit && h("small", {}, " " + unit));
    text(tiles[i].note, note || "\u00a0");
  };
  return {
    element: h("section", { class: "tiles", aria: { label: "Figures now" } }, tiles.map((t) => t.element)),
    update(stats, points) {
      const p = points.at(-1), share = (n) => (p.ops > 0 ? Math.round(n / p.ops * 100) + " %" : "–");
      set(0, count(stats.sessions.items), "", bytes(stats.sessions.bytes) + " uncompressed");
      set(1, short(p.ops), "/s", p.ops > 0 ? `get ${share(p.get)}, set ${share(p.set)}, touch ${share(p.touch)}` : "no requests");
      set(2, percent(p.hit), "", "from memory " + percent(p.hot));
      set(3, latency(p.p99), "", "p50 " + latency(p.p50));
      set(4, bytes(stats.disk.bytes), "", stats.disk.total_bytes ? bytes(stats.disk.free_bytes) + " free" : "");
      set(5, short(p.commits), "/s", "fsync " + latency(p.sync) + " mean");
      const { process, connections } = stats;
      set(6, bytes(process.resident_bytes || process.sys_bytes), "", process.memory_total_bytes ? "of " + bytes(process.memory_total_bytes) : "");
      set(7, short(p.cpu), "busy", "of " + process.processors);
      set(8, count(connections.open), "", connections.limit ? `of ${count(connections.limit)}` + (connections.rejected_total ? `, ${short(connections.rejected_total)} refused` : "") : "");
    },
  };
}

class ForecastPanel {
  constructor() {
    this.by = "sessions";
    this.horizon = -1; // seconds; 0: all there is; -1: a few median lifetimes
    this.note = h("span", { class: "faint" });
    this.bars = new Bars("Expiry forecast", {
      format: short,
      describe: (slot) => plural(slot.sessions, "session") + ", " + bytes(slot.bytes),
      choose: (slot) => {
        const at = (t) => new Date(t * 1000).toISOString().replace(".000", "");
        location.hash = "#/sessions?" + new URLSearchParams({ after: at(slot.from - 0.001), before: at(slot.from + this.width) });
      },
    });
    this.element = panel("Expiry forecast", {
      end: [this.note,
        segments("Forecast for", [[-1, "Typical"], [3600, "1 h"], [86400, "1 d"], [0, "All"]], this.horizon, (horizon) => { this.horizon = horizon; this.load(); }),
        segments("Forecast by", [["sessions", "Sessions"], ["bytes", "Bytes"]], this.by, (by) => { this.by = by; this.draw(); })],
    }, this.bars.element);
  }

  connect() {
    this.bars.connect();
    this.load();
    this.timer = setInterval(() => this.load(), forecastPeriod);
  }

  disconnect() {
    this.bars.disconnect();
    clearInterval(this.timer);
  }

  async load() {
    const { horizon } = this;
    try {
      let within = horizon || "";
      if (horizon < 0) {
        const { median_seconds: median } = await get("/v1/forecast", { query: { slots: 1 } });
        within = median ? Math.ceil(Math.max(600, medians * median)) : "";
      }
      const answer = await get("/v1/forecast", { query: { slots: fineSlots, within_seconds: within } });
      if (horizon !== this.horizon) return; // another one was chosen meanwhile
      this.answer = answer;
      this.draw();
    } catch { /* the status of the page says it */ }
  }

  draw() {
    const f = this.answer;
    if (!f) return;
    Object.assign(this.bars, this.by === "bytes" ? { format: bytes, binary: true } : { format: short, binary: false });
    const now = new Date(f.now) / 1000;
    const fine = f.slots.map((s) => ({ ...s, from: new Date(s.from) / 1000 }));
    const { width, slots } = merge(fine, f.width_seconds);
    this.width = width;
    this.bars.show(slots.map((s) => ({ ...s, value: s[this.by] })), width, now);
    const later = f.later.sessions ? ", " + count(f.later.sessions) + " later" : "";
    const half = f.median_seconds ? ", half within " + span(f.median_seconds) : "";
    const never = f.never.sessions ? ", " + plural(f.never.sessions, "session") + " never" : "";
    text(this.note, (slots.length ? "per " + span(width) : "nothing is due") + half + later + never);
  }
}

/** Joins slots of a width until few enough are left to be shown. */
export function merge(fine, width) {
  if (!fine.length) return { width, slots: [] };
  const reach = fine.at(-1).from - fine[0].from + width;
  const factor = [1, 2, 3, 5, 6, 10, 12, 15, 20, 30, 60].find((n) => reach / (n * width) <= bars) ?? Math.ceil(reach / (bars * width));
  const slots = [];
  for (const s of fine) {
    const from = Math.floor(s.from / (factor * width)) * factor * width;
    if (slots.at(-1)?.from !== from) slots.push({ from, sessions: 0, bytes: 0 });
    slots.at(-1).sessions += s.sessions;
    slots.at(-1).bytes += s.bytes;
  }
  return { width: factor * width, slots };
}

function bucketTable(stats) {
  if (!stats.buckets.length) return h("p", { class: "soft" }, "There are no sessions on disk yet.");
  const largest = Math.max(...stats.buckets.map((b) => b.disk_bytes), 1);
  const now = new Date(stats.at);
  return h("table", {},
    h("thead", {}, h("tr", {}, h("th", {}, "Dropped at"), h("th", {}, "In"), h("th", { class: "num" }, "On disk"), h("th", { class: "optional" }, h("span", { class: "visually-hidden" }, "Share")))),
    h("tbody", {}, stats.buckets.map((b) => {
      const deadline = b.deadline && new Date(b.deadline), due = deadline && (deadline - now) / 1000;
      return h("tr", {},
        h("td", { class: "nowrap" }, deadline ? moment(deadline).slice(0, 16) : "never"),
        h("td", { class: "nowrap soft" }, !deadline ? "" : due > 0 ? span(due) : "being dropped"),
        h("td", { class: "num nowrap" }, bytes(b.disk_bytes)),
        h("td", { class: "optional" }, h("div", { class: "meter" }, h("i", { style: { width: (b.disk_bytes / largest) * 100 + "%" } }))));
    })));
}

function verbTable(verbs) {
  if (!verbs.length) return h("p", { class: "soft" }, "No client has sent a request yet.");
  return h("table", {},
    h("thead", {}, h("tr", {}, h("th", {}, "Verb"), ["Per second", "p50", "p99", "p99.9"].map((name) => h("th", { class: "num" }, name)), h("th", { class: "num optional" }, "Total"))),
    h("tbody", {}, verbs.slice(0, 12).map((v) => h("tr", {},
      h("td", { class: "mono" }, v.verb),
      h("td", { class: "num nowrap" }, short(v.rate)),
      v.quantiles.map((q) => h("td", { class: "num nowrap" }, latency(q))),
      h("td", { class: "num nowrap optional" }, short(v.total))))));
}
