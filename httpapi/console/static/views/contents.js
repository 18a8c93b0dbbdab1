// What fills the sessions, from a sample that the server takes when it is asked.

import { h, fill, text, panel } from "../lib/dom.js";
import { get } from "../lib/api.js";
import { bytes, count, percent, span } from "../lib/format.js";
import { facts } from "./health.js";

const samples = [1000, 10_000, 100_000];

export class Contents {
  title = "Contents";

  mount(main) {
    this.prefix = h("input", { name: "prefix", type: "search", placeholder: "Keys that begin with…", aria: { label: "Prefix of the keys" }, data: { search: "" } });
    this.sample = h("select", { name: "sample", aria: { label: "Sessions to look at" } },
      samples.map((n) => h("option", { value: n, selected: n === 10_000 }, count(n) + " sessions")));
    this.button = h("button", { type: "submit", class: "main" }, "Analyze");
    this.state = h("span", { class: "soft", role: "status" });
    this.results = h("div", { class: "contents" });
    main.append(
      h("section", { class: "panel" },
        h("header", {}, h("h1", {}, "What fills the sessions"), this.state),
        h("form", { class: "search", on: { submit: (event) => { event.preventDefault(); this.#analyze(); } } }, this.prefix, this.sample, this.button)),
      this.results);
    fill(this.results, h("div", { class: "empty" }, "By rule: how many sessions, how large, how old, and which members of their values take the space. The server looks at a sample for some seconds."));
  }

  unmount() { this.request?.abort(); }
  update() {}

  async #analyze() {
    this.request?.abort();
    const request = this.request = new AbortController();
    this.button.disabled = true;
    text(this.state, "The server is looking…");
    try {
      const found = await get("/v1/analysis", { query: { prefix: this.prefix.value, sample: this.sample.value }, signal: request.signal });
      text(this.state, count(found.sampled) + " were looked at" + (found.complete ? ", all of them" : ""));
      fill(this.results, found.rules.length
        ? found.rules.map((rule) => rulePanel(rule, found.complete))
        : h("div", { class: "empty" }, h("strong", {}, "There are no such sessions")));
    } catch (problem) {
      if (problem.name === "AbortError") return;
      text(this.state, "");
      fill(this.results, h("div", { class: "empty" }, h("strong", {}, "The sessions could not be analyzed"), problem.message));
    }
    this.button.disabled = false;
  }

  key(event) {
    if (event.key !== "/") return false;
    this.prefix.focus();
    return true;
  }
}

function rulePanel(rule, complete) {
  const about = complete ? "" : "about ";
  const list = h("dl", { class: "facts" });
  const of = (p, write, most) => `p50 ${write(p.p50)}, p90 ${write(p.p90)}, p99 ${write(p.p99)}, ${most} ${write(p.max)}`;
  facts(list, [
    [rule.kind === "lock" ? "Locks" : "Keys", about + count(rule.sessions), ""],
    ["Bytes of values", about + bytes(rule.bytes), ""],
    ["Size", of(rule.size, bytes, "largest"), ""],
    ["Age", rule.age_of ? of(rule.age_seconds, span, "oldest") : "not kept", ""],
    ["Never read", rule.remembered ? `${percent(rule.never_read)} of ${count(rule.remembered)} in memory` : "not known", ""],
    ["Formats", rule.formats.map((f) => `${f.format} ${percent(f.share)}`).join("; "), ""],
  ]);
  const name = rule.rule ? `${rule.rule}, ${rule.kind}` : "No rule";
  return panel(name, {}, h("div", { class: "body" }, list), rule.members.length > 0 && memberTable(rule.members));
}

function memberTable(members) {
  return h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, h("th", {}, "Member"), h("th", { class: "num" }, "Of the bytes"), h("th", {}, h("span", { class: "visually-hidden" }, "Share")), h("th", { class: "num optional" }, "In"), h("th", { class: "num" }, "Mean size"))),
    h("tbody", {}, members.map((m) => h("tr", {},
      h("td", { class: "mono" }, m.path),
      h("td", { class: "num" }, percent(m.share)),
      h("td", {}, h("span", { class: "meter", aria: { hidden: "true" } }, h("i", { style: { width: 100 * m.share + "%" } }))),
      h("td", { class: "num optional" }, percent(m.present)),
      h("td", { class: "num" }, bytes(m.mean)))))));
}
