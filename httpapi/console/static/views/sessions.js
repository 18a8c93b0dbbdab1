// The session browser: a page of sessions by key, filters, and one in detail.

import { h, fill, text } from "../lib/dom.js";
import { get } from "../lib/api.js";
import { count, bytes, span, moment, plural } from "../lib/format.js";
import { toast } from "../lib/dialog.js";
import { Detail } from "./detail.js";
import { deleteMatching, deleteChosen } from "./bulk.js";
import { endSessions } from "./kick.js";

const pageSize = 100;
const typingPause = 200; // ms

const lifetimes = [
  ["", "any expiry"], ["60", "within 1 min"], ["600", "within 10 min"], ["3600", "within 1 h"], ["86400", "within 1 d"], ["604800", "within 7 d"],
];

export class Sessions {
  title = "Sessions";

  constructor({ feed, access }) {
    this.feed = feed;
    this.access = access;
    this.rows = [];
    this.chosen = new Map(); // by identity: sessions
    this.cursors = [""]; // one per page up to this one
  }

  mount(main, parameters) {
    this.main = main;
    this.#build();
    main.append(h("h1", { class: "visually-hidden" }, "Sessions"), this.element);
    this.timer = setInterval(() => this.#tick(), 1000);
    this.restored = () => this.load();
    window.addEventListener("restored", this.restored);
    this.navigate(parameters);
  }

  unmount() {
    clearInterval(this.timer);
    window.removeEventListener("restored", this.restored);
    this.loading?.abort();
  }

  update() {
    if (this.counted) text(this.summary, this.#summed(...this.counted));
  }

  /** Shows what the address says: the filter and the session in detail. */
  navigate(parameters) {
    const read = (name) => parameters.get(name) || "";
    const filter = Object.fromEntries(["prefix", "contains", "owner", "owner64", "after", "before", "within", "min", "max"].map((n) => [n, read(n)]));
    const changed = JSON.stringify(filter) !== JSON.stringify(this.filter);
    this.filter = filter;
    if (changed) this.#forgetChosen(); // what is selected is always in sight
    const key = { key: read("key"), key_base64: read("key64") || undefined };
    this.#openDetail(key.key || key.key_base64 ? key : null);
    if (!changed) return;
    this.#showFilter();
    this.cursors = [""];
    this.load();
  }

  #build() {
    this.how = h("select", { aria: { label: "How keys are compared" } }, h("option", { value: "prefix" }, "begins with"), h("option", { value: "contains" }, "contains"), h("option", { value: "owner" }, "belongs to user"));
    this.words = h("input", { type: "search", placeholder: "Part of a key…", autocomplete: "off", spellcheck: "false", autocapitalize: "off", aria: { label: "Part of a key" } });
    this.within = h("select", { aria: { label: "Expires" } }, lifetimes.map(([value, name]) => h("option", { value }, name)));
    this.min = h("input", { type: "number", min: "0", placeholder: "min bytes", aria: { label: "Smallest size in bytes" } });
    this.max = h("input", { type: "number", min: "0", placeholder: "max bytes", aria: { label: "Largest size in bytes" } });
    this.span = h("span", { class: "tag", hidden: true });
    this.clear = h("button", { type: "button", class: "quiet", hidden: true, on: { click: () => this.#go({}) } }, "Clear");
    this.bulk = h("button", { type: "button", class: "danger", disabled: true, on: { click: () => this.#deleteMatching() } }, "Delete matching…");
    const search = h("form", { class: "search", role: "search", on: { submit: (event) => { event.preventDefault(); this.#applyFilter(); } } },
      h("div", { class: "key" }, this.how, h("span", {}, this.words, h("kbd", {}, "/"))), this.within, this.min, this.max, this.span, this.clear, h("span", { class: "grow" }), this.bulk);
    search.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.#applyFilter(), typingPause);
      this.pending = true;
    });
    search.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault(); // the field is not emptied behind the filter's back
      this.#applyTyped(); // what was typed counts before Escape does
      event.target.blur();
      event.stopPropagation();
    });
    this.all = h("input", { type: "checkbox", aria: { label: "Select all on this page" }, on: { change: () => this.#chooseAll(this.all.checked) } });
    this.body = h("tbody");
    this.body.addEventListener("click", (event) => this.#click(event));
    this.table = h("table", { class: "list" },
      h("thead", {}, h("tr", {}, h("th", { class: "pick" }, this.all), h("th", { class: "key" }, "Key"), h("th", { class: "size num" }, "Size"),
        h("th", { class: "expires" }, "Expires in"), h("th", { class: "kind" }, "Kind"), h("th", { class: "user" }, "User"), h("th", { class: "flags num" }, "Flags"), h("th", { class: "seen" }, "Last access"))),
      this.body);
    this.message = h("div", { class: "empty", hidden: true });
    this.summary = h("span", { role: "status" });
    this.stop = h("button", { type: "button", hidden: true, on: { click: () => this.#stop() } }, "Stop");
    this.previous = h("button", { type: "button", on: { click: () => this.page(-1) }, title: "Previous page (p)" }, "← Previous");
    this.next = h("button", { type: "button", on: { click: () => this.page(1) }, title: "Next page (n)" }, "Next →");
    this.foot = h("div", { class: "foot" }, this.summary, this.stop, h("span", { class: "end" }, this.previous, this.next));
    this.chosenCount = h("b");
    this.chosenBar = h("div", { class: "foot chosen-bar", hidden: true }, this.chosenCount,
      h("span", { class: "end" }, h("button", { type: "button", on: { click: () => this.#forgetChosen() } }, "Unselect"),
        h("button", { type: "button", class: "danger main", on: { click: () => this.#deleteChosen() } }, "Delete selected…")));
    this.listPanel = h("section", { class: "panel", aria: { label: "Sessions" } }, search, this.table, this.message, this.foot, this.chosenBar);
    this.element = h("div", { class: "browser" }, this.listPanel);
    if (!this.access.admin) {
      this.bulk.hidden = true;
      this.table.classList.add("read-only");
    }
  }

  // Filter and address

  /** Applies what was typed a moment ago; a filter of the address stays as it is. */
  #applyTyped() {
    if (this.pending) this.#applyFilter();
  }

  #applyFilter() {
    clearTimeout(this.typing);
    this.pending = false;
    this.typed = true; // what is in the field stays as it is, with its caret
    try {
      this.#filterBy();
    } finally { this.typed = false; }
  }

  #filterBy() {
    const { after, before } = this.filter;
    this.#go({ [this.how.value]: this.words.value, within: this.within.value, min: this.min.value, max: this.max.value, ...(this.within.value ? {} : { after, before }) }, true);
  }

  #showFilter() {
    const f = this.filter;
    clearTimeout(this.typing);
    this.pending = false;
    const how = ["contains", "owner", "prefix"].find((name) => f[name]);
    if (how) this.how.value = how;
    if (!this.typed) this.words.value = how ? f[how] : "";
    this.within.value = f.within;
    this.min.value = f.min;
    this.max.value = f.max;
    this.span.hidden = !f.after && !f.before;
    if (!this.span.hidden) text(this.span, "expires " + [f.after && "from " + moment(new Date(f.after)).slice(0, 16), f.before && "to " + moment(new Date(f.before)).slice(0, 16)].filter(Boolean).join(" "));
    const any = Object.values(f).some(Boolean);
    this.clear.hidden = !any;
    this.bulk.disabled = !any;
    text(this.bulk, this.#ownerOnly() ? "End all sessions of this user…" : "Delete matching…");
  }

  /** The owner that the filter names if it names nothing else; else null. */
  #ownerOnly() {
    const { owner, owner64, ...others } = this.filter;
    if (!(owner || owner64) || Object.values(others).some(Boolean)) return null;
    return owner64 ? { owner: "this user", owner_base64: owner64 } : { owner };
  }

  #go(filter, replace = false) {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(filter)) if (value) parameters.set(name, value);
    if (this.detail && replace) {
      const { key, key_base64: encoded } = this.detail.session;
      parameters.set(encoded ? "key64" : "key", encoded || key);
    }
    const hash = "#/sessions" + (parameters.size ? "?" + parameters : "");
    if (hash === location.hash) return;
    if (replace) history.replaceState(null, "", hash);
    else history.pushState(null, "", hash);
    this.navigate(parameters);
  }

  /** The filter as the API's query parameters; as of now. */
  query() {
    const f = this.filter;
    const within = f.within && new Date(Date.now() + Number(f.within) * 1000).toISOString();
    return { prefix: f.prefix, contains: f.contains, owner: f.owner64 || f.owner, owner_encoding: f.owner64 ? "base64url" : "", expires_after: f.after, expires_before: within || f.before, min_size: f.min, max_size: f.max };
  }

  // Pages

  /**
   * Loads a page. One answer of the API looks at a bounded number of sessions,
   * so a page of a filter that seldom matches takes several.
   */
  async load() {
    this.loading?.abort();
    const { signal } = this.loading = new AbortController();
    this.table.setAttribute("aria-busy", "true");
    const began = performance.now();
    const page = { sessions: [], examined: 0, next_cursor: this.cursors.at(-1) };
    try {
      do {
        const part = await get("/v1/sessions", { query: { ...this.query(), kinds: true, limit: pageSize - page.sessions.length, cursor: page.next_cursor }, signal });
        page.sessions.push(...part.sessions);
        page.examined += part.examined;
        page.next_cursor = part.next_cursor;
        page.partial = Boolean(part.next_cursor) && page.sessions.length < pageSize;
        this.#show(page, performance.now() - began);
      } while (page.partial);
    } catch (problem) {
      if (problem.name === "AbortError") return;
      this.#show({ ...page, partial: false }, 0, problem);
    }
    this.table.removeAttribute("aria-busy");
  }

  #stop() {
    this.loading.abort();
    this.stop.hidden = true;
    this.counted = null;
    text(this.summary, this.summary.textContent + ", stopped");
    if (!this.rows.length) this.#explainEmpty({});
  }

  page(direction) {
    if (direction > 0 && this.after) this.cursors.push(this.after);
    else if (direction < 0 && this.cursors.length > 1) this.cursors.pop();
    else return;
    this.focusFirst = true;
    this.load();
  }

  #show(page, took, problem) {
    this.rows = page.sessions;
    this.after = page.next_cursor || "";
    this.loadedAt = Date.now();
    fill(this.body, this.rows.map((session, i) => this.#row(session, i)));
    this.table.hidden = this.rows.length === 0;
    this.table.classList.toggle("owned", this.rows.some((s) => s.owner));
    this.message.hidden = this.rows.length > 0;
    if (problem) fill(this.message, h("strong", {}, "The list could not be loaded"), problem.message);
    else if (!this.rows.length) this.#explainEmpty(page);
    this.counted = problem ? null : [page, took];
    text(this.summary, problem ? "" : this.#summed(page, took));
    this.stop.hidden = !page.partial;
    this.previous.disabled = this.cursors.length < 2;
    this.next.disabled = !this.after;
    this.#showChosen();
    this.#markCurrent();
    if (this.focusFirst) this.body.rows[0]?.focus({ preventScroll: true });
    if (this.focusFirst) this.listPanel.scrollIntoView({ block: "nearest" });
    this.focusFirst = false;
  }

  /** How many there are, as far as the list knows. */
  #summed(page, took) {
    const all = this.feed.stats ? " of " + plural(this.feed.stats.sessions.items, "session") : "";
    const number = this.cursors.length > 1 || this.after ? "Page " + this.cursors.length + ": " : "";
    const any = Object.values(this.filter).some(Boolean);
    if (!any) return number + count(this.rows.length) + all;
    const more = this.after ? ", more follow" : "";
    return `${number}${count(this.rows.length)} match${this.rows.length === 1 ? "es" : ""} of ${count(page.examined)} looked at${more}${all && "," + all + " in all"}, ${Math.round(took)} ms`.replace(", of ", ", ");
  }

  #explainEmpty(page) {
    if (page.partial) fill(this.message, h("strong", {}, "Searching…"), `None of the ${count(page.examined)} sessions looked at so far matches.`);
    else if (this.after) fill(this.message, h("strong", {}, "Nothing so far"), h("button", { type: "button", on: { click: () => this.page(1) } }, "Look further"));
    else if (Object.values(this.filter).some(Boolean)) fill(this.message, h("strong", {}, "No session matches"), this.filter.prefix && "Try “contains”: keys often begin with a prefix of their application.");
    else fill(this.message, h("strong", {}, "There are no sessions"), "They appear here as soon as a client stores one.");
  }

  #row(session, i) {
    const tags = [session.stale && "stale", session.claimed && "claimed", session.key_base64 && "binary"].filter(Boolean);
    return h("tr", { tabindex: i === 0 ? "0" : "-1", data: { i }, title: session.key },
      h("td", { class: "pick" }, this.access.admin && h("input", { type: "checkbox", tabindex: "-1", aria: { label: "Select " + session.key }, checked: this.chosen.has(identity(session)) })),
      h("td", { class: "key" }, this.#marked(session), tags.map((t) => h("span", { class: "tag" }, t))),
      h("td", { class: "size num" }, bytes(session.size)),
      h("td", { class: "expires" }, this.#expires(session)),
      h("td", { class: "kind soft" }, session.kind || ""),
      h("td", { class: "user" }, session.owner || ""),
      h("td", { class: "flags num" }, session.flags || ""),
      h("td", { class: "seen soft" }, session.last_access ? span((this.loadedAt - new Date(session.last_access)) / 1000) + " ago" : ""));
  }

  /** The key, with what the filter asks for set apart. */
  #marked({ key, key_base64: encoded }) {
    const { prefix, contains } = this.filter;
    const words = contains || prefix, at = contains ? key.indexOf(words) : 0;
    if (encoded || !words || at < 0 || !key.startsWith(words, at)) return key;
    return [key.slice(0, at), h("mark", { class: contains ? "found" : "" }, words), key.slice(at + words.length)];
  }

  #expires(session) {
    if (session.never_expires) return "never";
    const left = session.ttl_seconds - (Date.now() - this.loadedAt) / 1000;
    if (left <= 0) return h("span", { class: "faint" }, "expired");
    return left < 60 ? h("span", { class: "soon" }, span(left)) : span(left);
  }

  #tick() {
    for (const row of this.body.rows) {
      const cell = row.querySelector(".expires"), now = this.#expires(this.rows[row.dataset.i]);
      if (cell.textContent !== (now.textContent ?? now)) fill(cell, now);
    }
    this.detail?.tick();
  }

  // Choosing rows

  #click(event) {
    const row = event.target.closest("tr");
    if (!row) return;
    if (event.target.closest(".pick")) {
      const box = row.querySelector("input");
      if (box && event.target !== box) box.checked = !box.checked;
      if (box) this.#choose(row, box.checked);
      return;
    }
    this.#open(row);
  }

  #choose(row, yes) {
    const session = this.rows[row.dataset.i];
    if (yes) this.chosen.set(identity(session), session);
    else this.chosen.delete(identity(session));
    this.#showChosen();
  }

  #chooseAll(yes) {
    for (const row of this.body.rows) {
      row.querySelector("input").checked = yes;
      this.#choose(row, yes);
    }
  }

  #forgetChosen() {
    this.chosen.clear();
    for (const box of this.body.querySelectorAll("input:checked")) box.checked = false;
    this.#showChosen();
  }

  #showChosen() {
    const here = this.rows.filter((s) => this.chosen.has(identity(s))).length;
    this.all.checked = here > 0 && here === this.rows.length;
    this.all.indeterminate = here > 0 && here < this.rows.length;
    this.all.disabled = !this.access.admin || !this.rows.length;
    this.chosenBar.hidden = this.chosen.size === 0;
    text(this.chosenCount, count(this.chosen.size) + " selected");
  }

  async #deleteChosen() {
    const deleted = await deleteChosen([...this.chosen.values()]);
    if (!deleted) return;
    this.#forgetChosen();
    this.load();
  }

  async #deleteMatching() {
    this.#applyTyped(); // what the fields say now
    const owner = this.#ownerOnly();
    if (await (owner ? endSessions(owner) : deleteMatching(this.query()))) {
      this.cursors = [""];
      this.#forgetChosen();
      this.load();
    }
  }

  // Detail

  #open(row) {
    const { key, key_base64: encoded } = this.rows[row.dataset.i];
    this.#setFocus(row);
    const parameters = new URLSearchParams(location.hash.split("?")[1]);
    parameters.delete("key");
    parameters.delete("key64");
    parameters.set(encoded ? "key64" : "key", encoded || key);
    history.replaceState(null, "", "#/sessions?" + parameters);
    this.navigate(parameters);
  }

  #openDetail(session) {
    if (session && this.detail && identity(this.detail.session) === identity(session)) return;
    this.detail?.element.remove();
    this.detail = null;
    this.element.classList.toggle("open", Boolean(session));
    if (session) {
      this.detail = new Detail(session, this.access, {
        close: () => this.closeDetail(),
        gone: () => { toast("Session deleted"); this.closeDetail(); this.load(); },
        changed: () => this.load(),
        list: (owner) => this.#go(owner.owner_base64 ? { owner64: owner.owner_base64 } : { owner: owner.owner }),
      });
      this.element.append(this.detail.element);
    }
    this.#markCurrent();
  }

  closeDetail() {
    if (!this.detail) return false;
    const parameters = new URLSearchParams(location.hash.split("?")[1]);
    parameters.delete("key");
    parameters.delete("key64");
    history.replaceState(null, "", "#/sessions" + (parameters.size ? "?" + parameters : ""));
    this.navigate(parameters);
    this.#focused()?.focus();
    return true;
  }

  #markCurrent() {
    for (const row of this.body.rows) {
      if (this.detail && identity(this.rows[row.dataset.i]) === identity(this.detail.session)) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  }

  // Keys

  #focused() { return this.body.querySelector('tr[tabindex="0"]'); }

  #setFocus(row) {
    for (const r of this.body.querySelectorAll('tr[tabindex="0"]')) r.tabIndex = -1;
    row.tabIndex = 0;
  }

  #move(step) {
    const current = this.#focused();
    const row = document.activeElement === current ? this.body.rows[current.rowIndex - 1 + step] : current;
    if (!row) return;
    this.#setFocus(row);
    row.focus();
    if (this.detail) this.#open(row);
  }

  /** Handles a key outside of inputs; reports whether it did. */
  key(event) {
    const row = document.activeElement?.closest?.(".list tbody tr");
    switch (event.key) {
      case "/": this.words.focus(); this.words.select(); return true;
      case "j": case "ArrowDown": this.#move(1); return true;
      case "k": case "ArrowUp": this.#move(-1); return true;
      case "n": this.page(1); return true;
      case "p": this.page(-1); return true;
      case "r": this.load(); return true;
      case "Enter": if (row) { this.#open(row); return true; } return false;
      case "x": case " ": return this.#toggle(row);
      case "Delete": case "d": return this.#deleteByKey();
      case "Escape": return this.#escape();
    }
    return false;
  }

  /** Closes what is open, then unselects, then clears the filter. */
  #escape() {
    if (this.closeDetail()) return true;
    if (this.chosen.size) this.#forgetChosen();
    else if (Object.values(this.filter).some(Boolean)) this.#go({});
    else return false;
    return true;
  }

  #toggle(row) {
    const box = row?.querySelector("input");
    if (!box) return false;
    box.checked = !box.checked;
    this.#choose(row, box.checked);
    return true;
  }

  #deleteByKey() {
    if (!this.access.admin) return false;
    if (this.chosen.size) this.#deleteChosen();
    else if (this.detail) this.detail.delete();
    else return false;
    return true;
  }
}

function identity(session) {
  return session.key_base64 ? "b" + session.key_base64 : "t" + session.key;
}
