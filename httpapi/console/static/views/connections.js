// The memcached clients that are connected now.

import { h, fill, text } from "../lib/dom.js";
import { get, remove } from "../lib/api.js";
import { ask, toast } from "../lib/dialog.js";
import { bytes, count, short, span, plural } from "../lib/format.js";

const period = 3000; // ms

const columns = [
  { name: "Client", of: (c) => c.client || "unix socket", show: (c) => h("span", { class: "mono" }, c.client || "unix socket") },
  { name: "Listener", minor: true, of: (c) => c.listener, show: (c) => h("span", { class: "mono soft" }, c.listener) },
  { name: "Protocol", of: (c) => c.protocol, show: (c) => [c.protocol || "–", c.tls && h("span", { class: "tag" }, "TLS")] },
  { name: "User", of: (c) => c.user || "", show: (c) => c.user || "" },
  { name: "Age", of: (c) => -new Date(c.since), show: (c, now) => span((now - new Date(c.since)) / 1000), number: true },
  { name: "Idle", of: (c) => -new Date(c.last_active), show: (c, now) => span(Math.max(0, now - new Date(c.last_active)) / 1000), number: true },
  { name: "Last verb", of: (c) => c.last_verb || "", show: (c) => h("span", { class: "mono" }, c.last_verb || "") },
  { name: "Requests", of: (c) => c.requests, show: (c) => short(c.requests), number: true },
  { name: "In", of: (c) => c.bytes_in, show: (c) => bytes(c.bytes_in), number: true },
  { name: "Out", of: (c) => c.bytes_out, show: (c) => bytes(c.bytes_out), number: true },
];

export class Connections {
  title = "Connections";

  constructor({ access }) {
    this.access = access;
    this.sort = { column: 5, descending: false }; // by idleness, busiest first
    this.list = { connections: [], total: 0 };
  }

  mount(main) {
    this.search = h("input", { type: "search", placeholder: "Client, user or verb…", aria: { label: "Filter connections" }, data: { search: "" }, on: { input: () => this.#draw() } });
    this.total = h("span", { class: "soft", role: "status" });
    this.headers = columns.map((column, i) => h("th", { class: (column.number ? "num" : "") + (column.minor ? " optional" : "") }, h("button", { type: "button", on: { click: () => this.#sortBy(i) } }, column.name)));
    this.body = h("tbody");
    this.empty = h("div", { class: "empty", hidden: true });
    main.append(h("section", { class: "panel" },
      h("header", {}, h("h1", {}, "Connections"), this.total, h("div", { class: "end" }, this.search)),
      h("div", { class: "scroll" }, h("table", { class: "clients" }, h("thead", {}, h("tr", {}, this.headers, h("th", {}, h("span", { class: "visually-hidden" }, "Close")))), this.body)), this.empty));
    this.load();
    this.timer = setInterval(() => this.load(), period);
  }

  unmount() { clearInterval(this.timer); }
  update() {}

  async load() {
    try {
      this.list = await get("/v1/connections");
      this.#draw();
    } catch (problem) {
      this.body.replaceChildren();
      this.empty.hidden = false;
      fill(this.empty, h("strong", {}, "The connections could not be loaded"), problem.message);
    }
  }

  #sortBy(i) {
    this.sort = { column: i, descending: this.sort.column === i ? !this.sort.descending : Boolean(columns[i].number) };
    this.#draw();
  }

  #draw() {
    const words = this.search.value.toLowerCase();
    const { column, descending } = this.sort;
    const { of } = columns[column];
    const shown = this.list.connections
      .filter((c) => [c.client, c.user, c.last_verb, c.protocol, c.listener].join(" ").toLowerCase().includes(words))
      .sort((a, b) => (of(a) < of(b) ? -1 : of(a) > of(b) ? 1 : 0) * (descending ? -1 : 1));
    this.headers.forEach((th, i) => {
      if (i === column) th.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else th.removeAttribute("aria-sort");
    });
    const now = Date.now(), focused = document.activeElement?.closest("tr")?.dataset.id;
    fill(this.body, shown.map((c) => h("tr", { data: { id: c.id } },
      columns.map((col) => h("td", { class: "nowrap" + (col.number ? " num" : "") + (col.minor ? " optional" : ""), data: { name: col.name } }, col.show(c, now))),
      h("td", { class: "num close" }, this.access.admin && h("button", { type: "button", class: "quiet danger", aria: { label: "Close connection " + (c.client || c.id) }, on: { click: () => this.#close(c) } }, "Close…")))));
    if (focused) this.body.querySelector(`tr[data-id="${CSS.escape(focused)}"] button`)?.focus();
    const listed = this.list.connections.length < this.list.total ? `, the ${count(this.list.connections.length)} oldest listed` : "";
    text(this.total, plural(this.list.total, "open connection") + listed);
    this.empty.hidden = shown.length > 0;
    if (!shown.length) fill(this.empty, h("strong", {}, words ? "No connection matches" : "No client is connected"));
  }

  async #close(c) {
    const done = await ask({
      title: "Close this connection?", confirm: "Close connection", danger: true,
      content: h("p", {}, "The client ", h("span", { class: "mono" }, c.client || "on the unix socket"), " will connect again if it needs to. Some clients answer their users without a session until then."),
      submit: async () => { await remove("/v1/connections/" + encodeURIComponent(c.id)); return true; },
    });
    if (done) toast("Connection closed");
    this.load();
  }

  key(event) {
    if (event.key !== "/") return false;
    this.search.focus();
    return true;
  }
}
