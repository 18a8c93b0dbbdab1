// The server itself: backup, log level, flush, configuration.

import { h, fill, text, panel } from "../lib/dom.js";
import { get, post, put } from "../lib/api.js";
import { ask, toast } from "../lib/dialog.js";
import { bytes, count, moment, plural, span } from "../lib/format.js";
import { facts } from "./health.js";
import { bringBack, ended, undoPoints } from "./kick.js";

const flushSentence = "delete all sessions";

export class ServerView {
  title = "Server";

  constructor({ feed, access }) {
    this.feed = feed;
    this.access = access;
  }

  mount(main) {
    this.about = h("dl", { class: "facts" });
    this.config = h("div", { class: "body" });
    this.settings = [];
    this.search = h("input", { type: "search", placeholder: "Name or meaning…", aria: { label: "Find a setting" }, on: { input: () => this.#drawSettings() } });
    this.level = h("select", { aria: { label: "Log level" }, disabled: !this.access.admin, on: { change: () => this.#setLevel() } },
      ["debug", "info", "warn", "error"].map((level) => h("option", { value: level }, level)));
    this.undo = h("div", { class: "body actions" });
    const columns = h("div", { class: "columns" },
      h("div", {}, panel("About", {}, h("div", { class: "body" }, this.about)), panel("Operations", {}, h("div", { class: "body actions" }, this.#actions())), panel("Undo", {}, this.undo)),
      panel("Settings", { end: this.search }, this.config));
    main.append(h("h1", { class: "visually-hidden" }, "Server"), columns);
    this.update();
    this.#load();
  }

  unmount() {}

  update() {
    const { server, stats } = this.feed;
    if (!server || !stats) return;
    facts(this.about, [
      ["Version", server.version, ""],
      ["Running for", span(server.uptime_seconds), ""],
      ["Started", moment(new Date(server.started)), ""],
      ["Store's clock", moment(new Date(server.now)), Math.abs(new Date(server.now) - Date.now()) > 60_000 ? "warn" : ""],
      ["You are", server.caller + " (" + server.scope + ")" + (server.open ? ", no token needed" : ""), ""],
      ["Largest value", bytes(server.max_value_size), ""],
      ["Hot sessions in memory", `${count(stats.cache.items)}, ${bytes(stats.cache.bytes)} of ${bytes(stats.cache.capacity_bytes)}`, ""],
      ["Memory of the process", `${bytes(stats.process.heap_bytes)} live, ${bytes(stats.process.sys_bytes)} taken`, ""],
      ["Processors, goroutines", `${count(stats.process.processors)}, ${count(stats.process.goroutines)}`, ""],
    ]);
  }

  #actions() {
    const row = (words, control) => h("div", {}, h("div", {}, words), h("div", { class: "act" }, control));
    return [
      this.access.admin && row([h("h3", {}, "Backup"), h("p", {}, "A consistent copy of all sessions while traffic goes on. Restore it with ", h("code", {}, "cairn restore"), ".")],
        h("button", { type: "button", class: "main", id: "backup", on: { click: () => this.#backup() } }, "Download backup")),
      row([h("h3", {}, "Log level"), h("p", {}, "Until the server is started again.")], this.level),
      row([h("h3", {}, "Interfaces"), h("p", {}, "For programs.")],
        h("span", { class: "row" }, h("a", { href: "/api.html" }, "HTTP API"), h("a", { href: "/openapi.json" }, "OpenAPI"), h("a", { href: "/metrics" }, "Metrics"))),
      this.access.admin && row([h("h3", {}, "Flush"), h("p", {}, "Delete every session and log out everybody, as flush_all does.")],
        h("button", { type: "button", class: "danger", id: "flush", on: { click: () => this.#flush() } }, "Delete all sessions…")),
    ];
  }

  async #load() {
    const show = (name, action) => action().catch((problem) => name(problem));
    await Promise.all([
      show((problem) => fill(this.config, h("p", { class: "notice warn" }, problem.message)), async () => {
        this.settings = (await get("/v1/settings")).settings;
        this.#drawSettings();
      }),
      show((problem) => fill(this.undo, h("p", { class: "notice warn" }, problem.message)), () => this.#loadUndo()),
      show(() => { this.level.disabled = true; }, async () => { this.level.value = (await get("/v1/log-level")).level; }),
    ]);
  }

  /** Settings with their meaning, those that somebody set before the others. */
  #drawSettings() {
    const words = this.search.value.toLowerCase();
    const shown = this.settings.filter((s) => (s.name + " " + s.meaning + " " + s.group).toLowerCase().includes(words));
    const set = shown.filter((s) => s.source !== "default"), others = shown.filter((s) => s.source === "default");
    const list = (title, settings) => settings.length > 0 && [h("h3", {}, title), h("dl", { class: "settings" }, settings.map((s) => [
      h("dt", {}, h("span", { class: "mono" }, s.name), h("span", { class: "mono value" }, s.value || "–")),
      h("dd", {}, s.meaning, h("span", { class: "faint" }, s.source === "default" ? "" : `${s.meaning ? ". " : ""}From ${s.source}; the default is ${s.default || "empty"}.`))]))];
    fill(this.config, shown.length ? [list(plural(set.length, "setting") + " that were set", set), list(plural(others.length, "default"), others)]
      : h("p", { class: "soft" }, words ? "No setting matches." : "Nothing is configured."));
  }

  async #loadUndo() {
    const points = await undoPoints();
    fill(this.undo, points.length ? points.map((p) => h("div", {},
      h("div", {}, h("h3", {}, p.reason), h("p", {}, moment(new Date(p.at)), ", until ", moment(new Date(p.expires_at)).slice(11), p.problem && ": " + p.problem)),
      h("div", { class: "act" }, this.access.admin && h("button", { type: "button", disabled: Boolean(p.problem), on: { click: () => this.#undo(p) } }, "Bring back…"))))
      : h("p", { class: "soft" }, "Nothing was deleted lately that could come back."));
  }

  async #undo(point) {
    const done = await ask({
      title: "Bring back what was deleted?", confirm: "Bring back",
      content: h("p", {}, point.reason, ". Sessions that have expired, that others have deleted since, or that are there again stay as they are."),
    });
    if (done) await bringBack(point.id);
    this.#loadUndo();
  }

  async #setLevel() {
    try {
      await put("/v1/log-level", { level: this.level.value });
      toast("Log level is " + this.level.value);
    } catch (problem) {
      toast(problem.message, "bad");
      this.#load();
    }
  }

  async #backup() {
    try {
      const ticket = await post("/v1/backup/tickets");
      h("a", { href: ticket.path, download: "" }).click();
      toast("The backup is being downloaded");
    } catch (problem) { toast(problem.message, "bad"); }
  }

  async #flush() {
    const sessions = this.feed.stats?.sessions.items ?? 0;
    const result = await ask({
      title: "Delete all " + plural(sessions, "session") + "?", confirm: "Delete everything", danger: true, typed: flushSentence,
      content: h("p", {}, "Everybody is logged out."),
      submit: () => post("/v1/flush", { confirm: flushSentence }),
    });
    if (!result) return;
    ended(plural(result.sessions, "session") + " deleted", result.undo);
    this.#loadUndo();
  }
}
