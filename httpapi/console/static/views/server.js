// The server itself: backup, log level, flush, configuration.

import { h, fill, text, panel } from "../lib/dom.js";
import { get, post, put } from "../lib/api.js";
import { ask, toast } from "../lib/dialog.js";
import { bytes, count, moment, plural, span } from "../lib/format.js";
import { facts } from "./health.js";

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
    this.level = h("select", { aria: { label: "Log level" }, disabled: !this.access.admin, on: { change: () => this.#setLevel() } },
      ["debug", "info", "warn", "error"].map((level) => h("option", { value: level }, level)));
    const columns = h("div", { class: "columns" },
      h("div", {}, panel("About", {}, h("div", { class: "body" }, this.about)), panel("Operations", {}, h("div", { class: "body actions" }, this.#actions()))),
      panel("Configuration as running", {}, this.config));
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
        h("span", { class: "row" }, h("a", { href: "/openapi.json" }, "OpenAPI"), h("a", { href: "/metrics" }, "Metrics"))),
      this.access.admin && row([h("h3", {}, "Flush"), h("p", {}, "Delete every session and log out everybody, as flush_all does.")],
        h("button", { type: "button", class: "danger", id: "flush", on: { click: () => this.#flush() } }, "Delete all sessions…")),
    ];
  }

  async #load() {
    const show = (name, action) => action().catch((problem) => name(problem));
    await Promise.all([
      show((problem) => fill(this.config, h("p", { class: "notice warn" }, problem.message)), async () => {
        const config = Object.entries(await get("/v1/config")).sort(([a], [b]) => (a < b ? -1 : 1));
        fill(this.config, config.length ? h("dl", { class: "facts" }, config.map(([name, value]) => [h("dt", { class: "mono" }, name), h("dd", { class: "mono" }, value)])) : h("p", { class: "soft" }, "Nothing is configured."));
      }),
      show(() => { this.level.disabled = true; }, async () => { this.level.value = (await get("/v1/log-level")).level; }),
    ]);
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
      content: h("p", {}, "Everybody is logged out. This cannot be undone; a backup can be restored."),
      submit: () => post("/v1/flush", { confirm: flushSentence }),
    });
    if (result) toast(plural(result.sessions, "session") + " deleted");
  }
}
