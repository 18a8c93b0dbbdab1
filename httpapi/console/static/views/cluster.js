// The nodes of the cluster that the server belongs to, who leads, how far and how well
// each is, and who led before.

import { h, fill, text } from "../lib/dom.js";
import { get, post } from "../lib/api.js";
import { bytes, count, latency, moment, plural } from "../lib/format.js";
import { ask, toast } from "../lib/dialog.js";

export class ClusterView {
  title = "Cluster";

  constructor({ access }) { this.access = access; }

  mount(main) {
    this.state = h("span", { class: "soft", role: "status" });
    this.nodes = h("tbody");
    this.figures = new Map(); // by node: its cells that change all the time
    this.groups = h("tbody");
    this.elections = h("tbody");
    this.trouble = h("div", { class: "empty", hidden: true });
    main.append(
      h("section", { class: "panel" },
        h("header", {}, h("h1", {}, "Cluster"), this.state),
        table("Nodes", [["Node"], ["Address"], ["Zone"], ["State"], ["Leads", "num"], ["Behind", "num"], ["Round trip", "num"], ["Disk free", "num"]], this.nodes), this.trouble),
      h("section", { class: "panel" },
        h("header", {}, h("h2", {}, "Groups, as this server sees them")),
        table("Groups", [["Group"], ["Leader"], ["Term", "num"], ["Committed", "num"], ["Applied here", "num"], ["Behind", "num"]], this.groups)),
      h("section", { class: "panel" },
        h("header", {}, h("h2", {}, "Last elections, as this server has seen them")),
        table("Last elections", [["When"], ["Group"], ["Term", "num"], ["Leader from then on"]], this.elections)),
      h("p", { class: "soft" }, "Nodes are added and replaced with ", h("code", {}, "cairn cluster"), ", at any node. ",
        h("a", { href: "/docs/cluster", target: "_blank" }, "Documentation")));
    this.update();
  }

  unmount() { this.gone = true; }

  async update() {
    if (this.loading) return;
    this.loading = true;
    try {
      const cluster = await get("/v1/cluster");
      if (!this.gone) this.#draw(cluster);
    } catch (problem) {
      this.drawn = "";
      this.trouble.hidden = false;
      fill(this.trouble, h("strong", {}, "The cluster could not be loaded"), problem.message);
    }
    this.loading = false;
  }

  #draw(cluster) {
    const { name, node, nodes, groups } = cluster;
    const drawn = JSON.stringify(nodes, (key, value) => measured.includes(key) ? undefined : value) + node + name;
    if (drawn !== this.drawn) this.#drawNodes(cluster); // else buttons stay, with their focus
    this.drawn = drawn;
    for (const n of nodes) {
      const cells = this.figures.get(n.node);
      text(cells.behind, n.lag === undefined ? "–" : count(n.lag));
      text(cells.trip, n.round_trip_seconds ? latency(n.round_trip_seconds) : "–");
      text(cells.disk, (n.disk_full ? "full: " : "") + (n.disk_size_bytes ? `${bytes(n.disk_free_bytes || 0)} of ${bytes(n.disk_size_bytes)}` : "–"));
    }
    // A proxy has no copy of a group, so no position either.
    fill(this.groups, groups.map((g) => h("tr", {},
      h("td", {}, count(g.group)),
      h("td", { class: g.leader ? "mono" : "bad" }, g.leader || "none"),
      [g.term, node && g.committed, node && g.applied, node && g.committed - g.applied].map((n) => h("td", { class: "num" }, n === "" ? "–" : count(n))))));
    const elections = groups.flatMap((g) => (g.elections || []).map((e) => ({ ...e, group: g.group }))).sort((a, b) => b.at < a.at ? -1 : b.at > a.at ? 1 : 0);
    fill(this.elections, elections.slice(0, 10).map((e) => h("tr", {},
      h("td", {}, moment(new Date(e.at))),
      h("td", {}, count(e.group)),
      h("td", { class: "num" }, count(e.term)),
      h("td", { class: e.leader ? "mono" : "bad" }, e.leader ? `${e.leader} ${nodes.find((n) => n.node === e.leader)?.address || ""}` : "none"))),
      elections.length === 0 && h("tr", {}, h("td", { colspan: "4", class: "soft" }, node ? "None since this server was started" : "A proxy keeps none")));
  }

  #drawNodes({ name, node, nodes }) {
    this.trouble.hidden = Boolean(name);
    if (!name) fill(this.trouble, h("strong", {}, "This server is not in a cluster now"));
    this.figures.clear();
    const focused = document.activeElement?.closest("tr[data-node] button")?.getAttribute("aria-label");
    const members = nodes.filter((n) => n.member).length, away = nodes.filter((n) => !n.self && !n.connected).length;
    text(this.state, name && `${name}: ${plural(members, "member")}, ${away ? plural(away, "node") + " without a connection" : "all connected"}`);
    fill(this.nodes, nodes.map((n) => h("tr", { data: { node: n.node } },
      h("td", { class: "mono" }, n.node, " ", this.access.admin && node && n.member && orders.filter((o) => o.fits(n)).map((o) => this.#button(o, n))),
      h("td", { class: "mono" }, n.address),
      h("td", {}, n.zone || "–"),
      h("td", { class: !n.self && !n.connected || n.clock_wrong ? "bad" : n.drained ? "warn" : "" }, nodeState(n)),
      h("td", { class: "num" }, n.leads ? plural(n.leads, "group") : ""),
      this.#cells(n))));
    if (focused) this.nodes.querySelector(`button[aria-label="${CSS.escape(focused)}"]`)?.focus();
  }

  /** The cells of a node for what is measured, which are filled later. */
  #cells(n) {
    const cells = { behind: h("td", { class: "num" }), trip: h("td", { class: "num" }), disk: h("td", { class: n.disk_full ? "num bad" : "num" }) };
    this.figures.set(n.node, cells);
    return Object.values(cells);
  }

  #button(order, n) {
    return h("button", { type: "button", class: "quiet", aria: { label: `${order.words}: ${n.node}` }, on: { click: () => this.#give(order, n) } }, order.words + "…");
  }

  async #give({ op, words, title, danger, explain, done }, { node, address }) {
    const given = await ask({
      title, danger, confirm: words, typed: danger ? node : "",
      content: h("p", {}, address, explain),
      submit: () => post("/v1/cluster", { op, node }),
    });
    if (given) toast(done);
    this.update();
  }
}

/** What an administrator can order of a member, and of which. */
const orders = [
  {
    op: "transfer", words: "Make leader", title: "Make this node the leader?", done: "Another node leads",
    fits: (n) => here(n) && !n.leads && !n.drained && !n.clock_wrong,
    explain: " will lead. Requests wait for some milliseconds meanwhile.",
  },
  {
    op: "drain", words: "Drain", title: "Drain this node?", done: "Node drained",
    fits: (n) => here(n) && !n.drained,
    explain: " will not be ready, so that load balancers send it no new clients, and will lead only while no other node can. Clients that are connected stay; it replicates and votes as before. This lasts until you put it back, also over restarts.",
  },
  {
    op: "undrain", words: "Undo drain", title: "Put this node back into service?", done: "Node put back into service",
    fits: (n) => here(n) && n.drained,
    explain: " will be ready for new clients, and may lead.",
  },
  {
    op: "remove", words: "Remove", title: "Remove this node from the cluster?", done: "Node is being removed", danger: true,
    fits: () => true,
    explain: " will not be a member any more, and nothing takes its place: the cluster can lose fewer nodes. A node that has lost its disk, or its machine, is replaced by a new one by itself: do not remove it. To let this node join again, empty its data directory.",
  },
];

/** What of a node is measured. */
const measured = ["lag", "round_trip_seconds", "disk_free_bytes", "disk_size_bytes"];

function here(n) { return n.self || n.connected; }

function table(label, heads, body) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", aria: { label } },
    h("table", { class: "cluster" }, h("thead", {}, h("tr", {}, heads.map(([name, kind]) => h("th", { scope: "col", class: kind || "" }, name)))), body));
}

/** What a node is to this server, in the words of `cairn cluster status`. */
function nodeState(n) {
  return [n.self ? "this server" : n.connected ? "connected" : "no connection", !n.member && "not a member", n.learner && "learns", n.clock_wrong && "wrong clock", n.drained && "drained"].filter(Boolean).join(", ");
}
