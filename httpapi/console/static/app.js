// The page: signs in, polls the figures, shows the view that the address names
// and hands keys to it.

import { h, fill, text } from "./lib/dom.js";
import { refused, setToken, token, get } from "./lib/api.js";
import { Feed } from "./lib/feed.js";
import { ask, show } from "./lib/dialog.js";
import { clock } from "./lib/format.js";
import { themeButton } from "./lib/theme.js";
import { Overview } from "./views/overview.js";
import { Sessions } from "./views/sessions.js";
import { Owners } from "./views/owners.js";
import { Contents } from "./views/contents.js";
import { Connections } from "./views/connections.js";
import { ClusterView } from "./views/cluster.js";
import { ServerView } from "./views/server.js";

const views = {
  overview: { make: Overview, scope: "metrics" },
  sessions: { make: Sessions, scope: "read" },
  users: { make: Owners, scope: "read" },
  contents: { make: Contents, scope: "admin" },
  connections: { make: Connections, scope: "read" },
  cluster: { make: ClusterView, scope: "metrics" },
  server: { make: ServerView, scope: "read" },
};
const scopes = ["none", "metrics", "read", "admin"];

const main = document.getElementById("main");
const status = document.querySelector("#status .pill");
const caller = document.getElementById("caller");

const feed = new Feed();
const access = { scope: "none", admin: false, may: (scope) => scopes.indexOf(access.scope) >= scopes.indexOf(scope) };
let current = null; // { name, view }

// Views

function address() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { name: views[path] ? path : "overview", parameters: new URLSearchParams(query) };
}

function navigate() {
  const { name, parameters } = address();
  if (current?.name === name && current.view.navigate) return current.view.navigate(parameters);
  current?.view.unmount();
  main.replaceChildren();
  const { make: View, scope } = views[name];
  if (!access.may(scope)) {
    current = { name, view: { unmount() {}, update() {} } };
    main.append(h("div", { class: "empty" }, h("strong", {}, "Not with this token"), "This needs the scope " + scope + "."));
  } else {
    current = { name, view: new View({ feed, access }) };
    document.title = current.view.title + " · Cairn";
    current.view.mount(main, parameters);
  }
  for (const link of document.querySelectorAll("#nav a")) {
    if (link.dataset.view === name) {
      link.setAttribute("aria-current", "page");
      link.scrollIntoView({ block: "nearest", inline: "nearest" });
    } else link.removeAttribute("aria-current");
  }
}

// State of the server

const words = { draining: "Draining", stalled: "Writes stalled", out_of_space: "Disk full", read_only: "Read-only", no_leader: "No leader", removed: "Removed from the cluster", drained: "Drained" };

function showStatus() {
  const { problem, server } = feed;
  let state = "wait", message = "Connecting";
  if (problem && problem.status !== 401) [state, message] = ["bad", problem.status ? problem.message : "No connection"];
  else if (problem) [state, message] = ["warn", "Token needed"];
  else if (server?.ready) [state, message] = ["good", "Ready"];
  else if (server) [state, message] = ["warn", server.reasons.map((r) => words[r] || r).join(", ")];
  text(status, message);
  status.dataset.state = state;
}

const stale = document.getElementById("stale");

/** Greys figures that are not of now. */
function showStale() {
  const since = feed.problem && feed.problem.status !== 401 && feed.stats && feed.seen;
  main.classList.toggle("stale", Boolean(since));
  stale.hidden = !since;
  if (since) text(stale.firstElementChild, `No figures since ${clock(since)}: ${feed.problem.message}. What is shown is from then.`);
}

feed.addEventListener("change", () => {
  showStatus();
  showStale();
  if (feed.server && feed.server.scope !== access.scope) signedIn(feed.server);
  if (feed.server) showLinks(feed.server);
  if (!feed.problem) current?.view.update();
});

/** Shows the links to what this token may see, and what there is. */
function showLinks(server) {
  for (const link of document.querySelectorAll("#nav a")) {
    const { view } = link.dataset;
    link.hidden = !access.may(views[view].scope) || view === "cluster" && !server.cluster;
  }
}

// Signing in

async function signIn(reason) {
  feed.stop();
  let server;
  do {
    server = await ask({
      title: "Sign in", confirm: "Sign in",
      content: [h("p", {}, reason), h("label", { for: "token" }, "Token"),
        h("input", { type: "text", autocomplete: "username", value: "cairn", hidden: true }), h("input", { id: "token", name: "token", type: "password", autocomplete: "current-password", required: true, autofocus: true })],
      submit: async (form) => {
        setToken(form.get("token").trim());
        try {
          return await get("/v1/server");
        } catch (problem) {
          setToken("");
          throw problem.status === 401 ? new Error("This token is not valid here.") : problem;
        }
      },
    });
  } while (!server);
  signedIn(server);
  feed.start();
}

function signedIn(server) {
  const again = access.scope !== server.scope;
  access.scope = server.scope;
  access.admin = server.scope === "admin";
  showLinks(server);
  fill(caller, server.open ? "" : [server.caller, token() && h("button", { class: "quiet", on: { click: signOut } }, "Sign out")]);
  if (!again && current) return;
  current?.view.unmount();
  current = null;
  navigate();
}

function signOut() {
  setToken("");
  location.reload();
}

let asking = false;
refused.addEventListener("refused", async () => {
  if (asking || document.querySelector("dialog #token")) return;
  asking = true;
  showStatus();
  await signIn(token() ? "The token is not valid any more." : "This server asks for a token of the HTTP API.");
  asking = false;
});

// Keys

const shortcuts = [
  [["g", "o"], "Overview"], [["g", "s"], "Sessions"], [["g", "u"], "Users"], [["g", "f"], "Contents"], [["g", "c"], "Connections"], [["g", "l"], "Cluster, if there is one"], [["g", "a"], "Server"],
  [["/"], "Search"], [["j"], "Next row"], [["k"], "Previous row"], [["Enter"], "Open a session"], [["Esc"], "Close it"],
  [["x"], "Select a row"], [["d"], "Delete the selected, or the open session"],
  [["n"], "Next page"], [["p"], "Previous page"], [["r"], "Load again"], [["?"], "This list"],
];
const places = { o: "overview", s: "sessions", u: "users", f: "contents", c: "connections", l: "cluster", a: "server" };

function help() {
  show("Keyboard", h("dl", { class: "shortcuts" }, shortcuts.map(([keys, what]) => [h("dt", {}, keys.map((k) => [h("kbd", {}, k), " "])), h("dd", {}, what)])));
}

let gone = 0; // when g was pressed
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const field = event.target.closest("input:not([type=checkbox]), select, textarea");
  if (field) {
    if (event.key === "Escape") field.blur();
    return;
  }
  if (event.target.closest("button, summary, a, input, [role=img]") && ["Enter", " ", "ArrowLeft", "ArrowRight"].includes(event.key)) return;
  const place = performance.now() - gone < 1000 && places[event.key];
  gone = event.key === "g" ? performance.now() : 0;
  if (place) location.hash = "#/" + place;
  else if (event.key === "?") help();
  else if (!current?.view.key?.(event)) return;
  event.preventDefault();
});

// Start

document.getElementById("help").addEventListener("click", help);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the part after # names a view here
  main.focus();
});
themeButton(document.getElementById("theme"));
window.addEventListener("hashchange", navigate);
get("/v1/server").then((server) => { signedIn(server); feed.start(); }, (problem) => {
  feed.problem = problem;
  showStatus();
  if (problem.status !== 401) { access.scope = "metrics"; feed.start(); }
});
