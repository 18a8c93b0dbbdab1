// Deleting many sessions, never without counting them first.

import { h, fill } from "../lib/dom.js";
import { get, post, remove, sessionPath } from "../lib/api.js";
import { ask, toast } from "../lib/dialog.js";
import { bytes, count, plural } from "../lib/format.js";
import { ended } from "./kick.js";

const parallel = 6;
const namedMost = 8; // keys that a dialog names
const undoFrom = 100; // sessions above which the server may keep what is deleted
const typedFrom = 100; // sessions from which the number must be typed

/** Deletes what matches the list's query; resolves to whether it did. */
export async function deleteMatching(query) {
  const filter = bodyFilter(query);
  const counted = await dryRun(filter);
  if (!counted) return false;
  if (counted.matched === 0) {
    toast("No session matches");
    return false;
  }
  const { sessions } = await get("/v1/sessions", { query: { ...query, limit: namedMost } }).catch(() => ({ sessions: [] }));
  const result = await ask({
    title: "Delete " + plural(counted.matched, "session") + "?", confirm: "Delete " + count(counted.matched), danger: true,
    typed: counted.matched >= typedFrom ? String(counted.matched) : "",
    content: [h("p", {}, `${plural(counted.matched, "session")} of ${bytes(counted.bytes)} ${counted.matched === 1 ? "matches" : "match"}`, describe(filter), "."),
      named(sessions, counted.matched),
      h("p", {}, "Their users are logged out. What changes or is stored until it is done is decided then.", counted.matched > undoFrom ? "" : " This cannot be undone.")],
    submit: () => post("/v1/bulk-delete", { filter, dry_run: false }),
  });
  if (result) ended(plural(result.deleted, "session") + " deleted", result.undo);
  return Boolean(result);
}

/** Counts, behind a dialog that can be cancelled; null if it was. */
async function dryRun(filter) {
  const abort = new AbortController(), done = new AbortController();
  const waiting = setTimeout(() => {
    ask({ title: "Counting…", confirm: "Stop", content: h("p", {}, "Looking at every session that may match."), signal: done.signal, submit: async () => true })
      .then(() => abort.abort());
  }, 400);
  try {
    return await post("/v1/bulk-delete", { filter, dry_run: true }, { signal: abort.signal });
  } catch (problem) {
    if (problem.name !== "AbortError") toast(problem.message, "bad");
    return null;
  } finally {
    clearTimeout(waiting);
    done.abort();
  }
}

/** The list's query as the filter of a request body. */
export function bodyFilter(query) {
  const filter = {};
  if (query.prefix) filter.prefix = query.prefix;
  if (query.contains) filter.contains = query.contains;
  if (query.owner) filter[query.owner_encoding ? "owner_base64" : "owner"] = query.owner;
  if (query.expires_after) filter.expires_after = query.expires_after;
  if (query.expires_before) filter.expires_before = query.expires_before;
  if (query.min_size) filter.min_size = Number(query.min_size);
  if (query.max_size) filter.max_size = Number(query.max_size);
  return filter;
}

function describe(filter) {
  const parts = [];
  if (filter.prefix) parts.push(["the key prefix ", h("span", { class: "mono" }, filter.prefix)]);
  if (filter.contains) parts.push(["“", h("span", { class: "mono" }, filter.contains), "” in the key"]);
  if (filter.owner) parts.push(["the user ", h("span", { class: "mono" }, filter.owner)]);
  if (filter.expires_after || filter.expires_before) parts.push(["the expiry"]);
  if (filter.min_size || filter.max_size) parts.push(["the size"]);
  return parts.flatMap((part, i) => [i === 0 ? " " : i === parts.length - 1 ? " and " : ", ", ...part]);
}

/** The keys of the first sessions of so many. */
function named(sessions, total) {
  const shown = sessions.slice(0, namedMost);
  return shown.length > 0 && h("ul", { class: "keys", aria: { label: "Keys" } }, shown.map((s) => h("li", { class: "mono" }, s.key || s.key_base64)),
    total > shown.length && h("li", {}, "and " + plural(total - shown.length, "other")));
}

/** Deletes sessions one by one; resolves to whether any was. */
export async function deleteChosen(sessions) {
  const progress = h("p", { role: "status" });
  const result = await ask({
    title: "Delete " + plural(sessions.length, "selected session") + "?", confirm: "Delete " + count(sessions.length), danger: true,
    typed: sessions.length >= typedFrom ? String(sessions.length) : "",
    content: [named(sessions, sessions.length), h("p", {}, "Their users are logged out. This cannot be undone."), progress],
    submit: () => removeAll(sessions, (n) => fill(progress, `${count(n)} of ${count(sessions.length)} done`)),
  });
  if (result) toast(plural(result.deleted, "session") + " deleted" + (result.gone ? `, ${count(result.gone)} were gone already` : ""));
  return Boolean(result);
}

async function removeAll(sessions, report) {
  const result = { deleted: 0, gone: 0 };
  const left = sessions.slice();
  const work = async () => {
    for (let session = left.pop(); session; session = left.pop()) {
      const { path, query } = sessionPath(session);
      try {
        await remove(path, { query });
        result.deleted++;
      } catch (problem) {
        if (problem.status !== 404) throw problem;
        result.gone++;
      }
      report(result.deleted + result.gone);
    }
  };
  await Promise.all(Array.from({ length: parallel }, work));
  return result;
}
