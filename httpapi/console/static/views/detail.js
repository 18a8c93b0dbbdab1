// One session: what is known of it, its value, and what can be done to it.

import { h, fill, text } from "../lib/dom.js";
import { get, post, remove, blob, sessionPath } from "../lib/api.js";
import { bytes, count, span, moment } from "../lib/format.js";
import { ask, toast } from "../lib/dialog.js";
import { tree } from "./tree.js";
import { endSessions } from "./kick.js";

const formats = ["json", "php", "php_session", "php_binary", "igbinary", "msgpack", "java", "msm", "msm_validity", "pickle", "marshal", "django_signed", "text", "hex"];

export class Detail {
  constructor(session, access, { close, gone, changed, list }) {
    this.session = session;
    this.access = access;
    Object.assign(this, { gone, changed, list });
    this.facts = h("dl", { class: "facts" });
    this.view = h("div", { class: "value", tabindex: "0", role: "group", aria: { label: "Value" } });
    this.format = h("select", { aria: { label: "Format" }, on: { change: () => this.#loadValue() } },
      h("option", { value: "" }, "recognise format"), formats.map((f) => h("option", { value: f }, f)));
    this.layers = h("span", { class: "faint" });
    this.others = h("button", { type: "button", class: "danger", hidden: true, on: { click: () => this.#endOthers() } }, "End all others of this user…");
    this.actions = h("div", { class: "row" },
      h("button", { type: "button", on: { click: () => this.#touch() } }, "Change expiry…"),
      h("button", { type: "button", on: { click: () => this.#download() } }, "Download value"),
      h("button", { type: "button", class: "danger", on: { click: () => this.delete() } }, "Delete…"), this.others);
    this.element = h("aside", { class: "panel detail", aria: { label: "Session" } },
      h("header", {}, h("h2", { class: "name" }, session.key || session.key_base64),
        h("button", { type: "button", class: "quiet", aria: { label: "Copy key" }, title: "Copy key", on: { click: () => this.#copy() } }, "Copy"),
        h("button", { type: "button", class: "quiet close", aria: { label: "Close" }, title: "Close (Esc)", on: { click: close } }, "✕")),
      h("section", {}, access.admin && this.actions, this.facts),
      h("section", {}, h("div", { class: "row" }, h("h3", { class: "grow" }, "Value ", this.layers), access.admin && this.format), this.view));
    this.load();
  }

  async load() {
    const { path, query } = sessionPath(this.session);
    try {
      this.session = { ...this.session, ...await get(path, { query }) };
    } catch (problem) {
      fill(this.facts, h("dt", {}, problem.status === 404 ? "This session does not exist, or no more." : problem.message));
      fill(this.view);
      return;
    }
    this.loadedAt = Date.now();
    this.#showFacts();
    if (this.access.admin) this.#loadValue();
    else fill(this.view, h("p", { class: "notice" }, "Values are shown to administrators only."));
  }

  #showFacts() {
    const s = this.session;
    this.left = h("span");
    const since = (t) => span((Date.now() - new Date(t)) / 1000) + " ago";
    this.others.hidden = !s.owner;
    const rows = [
      s.owner && ["User", h("button", { type: "button", class: "quiet mono", title: "All sessions of this user", on: { click: () => this.list(s) } }, s.owner)],
      s.created_at && ["Began", since(s.created_at)],
      ["Expires", s.never_expires ? "never" : [moment(new Date(s.expires_at)), ", ", this.left]],
      ["Size", bytes(s.size) + (s.size >= 1024 ? ` (${count(s.size)} B)` : "")],
      ["Client flags", s.flags + (s.flags ? ` (0x${s.flags.toString(16)})` : "")],
      ["Version", h("span", { class: "mono" }, s.version)],
      ["Last access", s.last_access ? since(s.last_access) : "not remembered"],
      ["Read since stored", s.fetched ? "yes" : "no, as far as remembered"],
      (s.stale || s.claimed) && ["State", [s.stale && "stale", s.claimed && "claimed"].filter(Boolean).join(", ")],
    ];
    fill(this.facts, rows.filter(Boolean).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
    this.tick();
  }

  /** Keeps the time left up to date. */
  tick() {
    if (!this.left || this.session.never_expires) return;
    const left = (new Date(this.session.expires_at) - Date.now()) / 1000;
    text(this.left, left > 0 ? "in " + span(left) : "(expired)");
  }

  async #loadValue() {
    const { path, query } = sessionPath(this.session, "/decoded");
    try {
      const view = await get(path, { query: { ...query, format: this.format.value } });
      text(this.layers, [...view.layers, view.format].join(" › ") + (view.size !== this.session.size ? ", " + bytes(view.size) + " unwrapped" : ""));
      fill(this.view, show(view));
    } catch (problem) {
      fill(this.view, h("p", { class: "notice warn" }, problem.status === 404 ? "The session is gone." : problem.message));
    }
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.session.key);
      toast("Key copied");
    } catch { toast("The browser does not allow copying here", "bad"); }
  }

  async #download() {
    const { path, query } = sessionPath(this.session, "/value");
    try {
      const url = URL.createObjectURL(await blob(path, { query }));
      h("a", { href: url, download: this.session.key.replaceAll(/[^\w.-]/g, "_") + ".bin" }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
    } catch (problem) { toast(problem.message, "bad"); }
  }

  async #touch() {
    const { path, query } = sessionPath(this.session, "/touch");
    const units = [["60", "minutes"], ["3600", "hours"], ["86400", "days"]];
    const touched = await ask({
      title: "Change expiry", confirm: "Change",
      content: [h("p", {}, "From now, ", h("span", { class: "mono" }, this.session.key), " lives for"),
        h("div", { class: "row" }, h("input", { name: "amount", class: "grow", type: "number", min: "0", step: "any", value: "30", required: true, autofocus: true, aria: { label: "Amount" } }),
          h("select", { name: "unit", aria: { label: "Unit" } }, units.map(([value, name]) => h("option", { value }, name)))),
        h("label", { class: "row" }, h("input", { name: "never", type: "checkbox" }), "until it is deleted")],
      submit: (form) => post(path, form.get("never") ? { never_expires: true } : { ttl_seconds: Number(form.get("amount")) * Number(form.get("unit")) }, { query }),
    });
    if (!touched) return;
    toast("Expiry changed");
    this.changed();
    this.load();
  }

  async #endOthers() {
    if (await endSessions(this.session, this.session)) this.changed();
  }

  async delete() {
    const { path, query } = sessionPath(this.session);
    const done = await ask({
      title: "Delete this session?", confirm: "Delete", danger: true,
      content: h("p", {}, "Whoever uses ", h("span", { class: "mono" }, this.session.key), " is logged out. This cannot be undone."),
      submit: async () => {
        try { await remove(path, { query }); } catch (problem) { if (problem.status !== 404) throw problem; }
        return true;
      },
    });
    if (done) this.gone();
  }
}

function show(view) {
  const note = view.truncated && h("p", { class: "notice" }, "Only the beginning is shown.");
  if (view.text !== undefined) return [h("pre", {}, view.text), note];
  if (view.hex !== undefined) return [h("pre", { class: "hex" }, dump(view.hex)), note];
  if (view.value !== undefined) return h("div", { class: "tree" }, tree(view.value));
  return h("p", { class: "soft" }, "The value is empty.");
}

/** Hex digits as lines of offset, sixteen bytes, and their ASCII. */
export function dump(digits) {
  const lines = [];
  for (let at = 0; at < digits.length; at += 32) {
    const pairs = digits.slice(at, at + 32).match(/../g);
    const ascii = pairs.map((p) => { const c = parseInt(p, 16); return c >= 32 && c < 127 ? String.fromCharCode(c) : "·"; }).join("");
    lines.push((at / 2).toString(16).padStart(6, "0") + "  " + pairs.join(" ").padEnd(47) + "  " + ascii);
  }
  return lines.join("\n");
}
