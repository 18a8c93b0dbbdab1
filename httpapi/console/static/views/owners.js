// The users that have sessions, where rules say whose these are.

import { h, fill, text } from "../lib/dom.js";
import { get } from "../lib/api.js";
import { count, plural, span } from "../lib/format.js";

const pageSize = 100;
const typingPause = 200; // ms
const countPage = 1000; // users asked for at once while they are counted
const countMost = 10_000; // users beyond which they are not counted

export class Owners {
  title = "Users";

  constructor() {
    this.cursors = [""]; // one per page up to this one
    this.shown = 0; // users on this page
    this.total = null; // of users that the filter lets through: { n, more }; null: not counted yet
  }

  mount(main) {
    this.search = h("input", { type: "search", placeholder: "Beginning of an id…", autocomplete: "off", spellcheck: "false", autocapitalize: "off", aria: { label: "Beginning of a user's id" }, data: { search: "" } });
    this.search.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.#first(), typingPause);
    });
    this.exact = h("form", { on: { submit: (event) => { event.preventDefault(); this.#openTyped(); } } }, this.search);
    this.summary = h("span", { class: "soft", role: "status" });
    this.body = h("tbody");
    this.table = h("table", { class: "owners" },
      h("thead", {}, h("tr", {}, h("th", {}, "User"), h("th", { class: "num" }, "Sessions"), h("th", { class: "num optional" }, "Oldest"), h("th", { class: "num" }, "Last access"))), this.body);
    this.empty = h("div", { class: "empty", hidden: true });
    this.partial = h("p", { class: "notice", hidden: true }, "Sessions that were stored before the rules were as they are are still being looked at: the list is not complete.");
    this.previous = h("button", { type: "button", on: { click: () => this.page(-1) }, title: "Previous page (p)" }, "← Previous");
    this.next = h("button", { type: "button", on: { click: () => this.page(1) }, title: "Next page (n)" }, "Next →");
    main.append(h("section", { class: "panel" },
      h("header", {}, h("h1", {}, "Users"), this.summary, h("div", { class: "end" }, this.exact)),
      this.partial, h("div", { class: "scroll" }, this.table), this.empty,
      h("div", { class: "foot" }, h("span", { class: "end" }, this.previous, this.next))));
    this.load();
  }

  unmount() { this.loading?.abort(); }
  update() {}

  #first() {
    this.cursors = [""];
    this.total = null;
    this.load();
  }

  /** Enter: the sessions of the user with exactly this id, which a hash stands for too. */
  #openTyped() {
    const id = this.search.value.trim();
    if (id) location.hash = "#/sessions?" + new URLSearchParams({ owner: id });
  }

  async load() {
    this.loading?.abort();
    const { signal } = this.loading = new AbortController();
    const prefix = this.search.value.trim();
    try {
      const page = await get("/v1/owners", { query: { prefix, limit: pageSize, cursor: this.cursors.at(-1) }, signal });
      this.#show(page);
      this.total ??= await this.#count(page, prefix, signal);
      this.#summarize();
    } catch (problem) {
      if (problem.name === "AbortError") return;
      this.#show({ owners: [], complete: true }, problem);
    }
  }

  /** How many there are, of whom a page is given, but no more than countMost. */
  async #count(page, prefix, signal) {
    let n = (this.cursors.length - 1) * pageSize + page.owners.length;
    let cursor = page.next_cursor;
    while (cursor && n < countMost) {
      const next = await get("/v1/owners", { query: { prefix, limit: countPage, cursor }, signal });
      n += next.owners.length;
      cursor = next.next_cursor;
    }
    return { n, more: Boolean(cursor) };
  }

  #summarize() {
    const { shown, total } = this;
    const paged = this.cursors.length > 1 || this.after;
    text(this.summary, !paged ? plural(shown, "user")
      : `Page ${this.cursors.length}: ${count(shown)}` + (total ? ` of ${total.more ? "more than " : ""}${plural(total.n, "user")}` : ""));
  }

  page(direction) {
    if (direction > 0 && this.after) this.cursors.push(this.after);
    else if (direction < 0 && this.cursors.length > 1) this.cursors.pop();
    else return;
    this.load();
  }

  #show(page, problem) {
    this.after = page.next_cursor || "";
    fill(this.body, page.owners.map((o) => this.#row(o)));
    this.table.hidden = page.owners.length === 0;
    this.empty.hidden = page.owners.length > 0;
    if (problem) fill(this.empty, h("strong", {}, "The list could not be loaded"), problem.message);
    else if (this.search.value.trim()) fill(this.empty, h("strong", {}, "No id begins like this"), "Enter looks for the user with exactly this id, also where only hashes are kept.");
    else fill(this.empty, h("strong", {}, "No session has a user"), "A rule of --session-rules says where the user's id is in a session.");
    this.partial.hidden = page.complete;
    this.shown = page.owners.length;
    if (problem) text(this.summary, "");
    else this.#summarize();
    this.previous.disabled = this.cursors.length < 2;
    this.next.disabled = !this.after;
  }

  #row(o) {
    const ago = (t) => (t ? span((Date.now() - new Date(t)) / 1000) + " ago" : "");
    const address = "#/sessions?" + new URLSearchParams(o.owner_base64 ? { owner64: o.owner_base64 } : { owner: o.owner });
    return h("tr", {},
      h("td", {}, h("a", { class: "mono", href: address }, o.owner), o.owner_base64 && h("span", { class: "tag" }, "binary")),
      h("td", { class: "num" }, count(o.sessions)),
      h("td", { class: "num optional soft" }, ago(o.oldest_at)),
      h("td", { class: "num soft" }, ago(o.last_access)));
  }

  key(event) {
    switch (event.key) {
      case "/": this.search.focus(); this.search.select(); return true;
      case "n": this.page(1); return true;
      case "p": this.page(-1); return true;
      case "r": this.total = null; this.load(); return true;
    }
    return false;
  }
}
