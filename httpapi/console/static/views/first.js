// What to do with a server that no client has used yet.

import { h, fill, panel, segments } from "../lib/dom.js";
import { toast } from "../lib/dialog.js";
import { address, recipes } from "../lib/recipes.js";

/** Where a client on the machine of this page would connect to. */
export function reachable({ network, address: at }, host = location.hostname) {
  if (network === "unix") return at;
  const port = at.slice(at.lastIndexOf(":") + 1);
  const name = at.slice(0, -port.length - 1);
  return (["0.0.0.0", "[::]", ""].includes(name) ? host : name) + ":" + port;
}

export class FirstRun {
  #where = null;

  constructor() {
    this.recipe = recipes[0];
    this.place = h("span", { class: "mono" });
    this.file = h("p", { class: "soft" });
    this.code = h("pre", { tabindex: "0", role: "group", aria: { label: "Recipe" } });
    this.try = h("pre", { tabindex: "0", role: "group", aria: { label: "Try it" } });
    this.element = panel("No client has connected yet", {},
      h("div", { class: "body first" },
        h("p", {}, "Memcached clients connect to ", this.place, "."),
        segments("Framework", recipes.map((r) => [r.name, r.name]), this.recipe.name, (name) => { this.recipe = recipes.find((r) => r.name === name); this.#draw(); }),
        this.file, this.code,
        h("div", { class: "row" }, h("button", { type: "button", on: { click: () => this.#copy() } }, "Copy"),
          h("a", { href: "/docs/frameworks", target: "_blank" }, "More frameworks")),
        h("h3", {}, "Or try it yourself"), this.try));
    this.element.hidden = true;
  }

  update(stats, server) {
    const place = server?.listening.find((l) => l.network === "tcp") || server?.listening[0];
    this.element.hidden = !place || stats.connections.opened_total > 0 || stats.sessions.items > 0;
    if (this.element.hidden) return;
    const where = reachable(place);
    if (where === this.#where) return;
    this.#where = where;
    fill(this.place, where, place.tls && ", with TLS");
    const [host, port] = [where.slice(0, where.lastIndexOf(":")), where.slice(where.lastIndexOf(":") + 1)];
    fill(this.try, place.network === "unix"
      ? `printf 'set hello 0 60 5\\r\\nworld\\r\\nget hello\\r\\nquit\\r\\n' | nc -U ${where}`
      : `printf 'set hello 0 60 5\\r\\nworld\\r\\nget hello\\r\\nquit\\r\\n' | nc ${host} ${port}`);
    this.#draw();
  }

  #text() { return this.recipe.text.replaceAll(address, this.#where); }

  #draw() {
    fill(this.file, "In ", h("span", { class: "mono" }, this.recipe.file), ":");
    fill(this.code, this.#text());
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.#text());
      toast("Copied");
    } catch { toast("The browser does not allow copying here", "bad"); }
  }
}
