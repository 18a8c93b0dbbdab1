// Ending the sessions of a user: never without counting them, and what many are can
// be undone.

import { h } from "../lib/dom.js";
import { get, post, remove, ownerPath } from "../lib/api.js";
import { ask, toast } from "../lib/dialog.js";
import { count, plural } from "../lib/format.js";

/**
 * Ends the sessions of an owner ({ owner, owner_base64 }), but for `except`, a session,
 * if there is one. Resolves to whether it did.
 */
export async function endSessions(owner, except) {
  const { path, query } = ownerPath(owner, "/sessions");
  if (except) Object.assign(query, except.key_base64 ? { except: except.key_base64, key_encoding: "base64url" } : { except: except.key });
  const others = except ? "other " : "";
  let counted;
  try {
    counted = await remove(path, { query: { ...query, dry_run: "true" } });
  } catch (problem) {
    toast(problem.message, "bad");
    return false;
  }
  if (counted.matched === 0) {
    toast(`There is no ${others}session of this user`);
    return false;
  }
  const result = await ask({
    title: `End ${plural(counted.matched, others + "session")}?`, confirm: "End " + count(counted.matched), danger: true,
    content: h("p", {}, h("span", { class: "mono" }, owner.owner), except ? " is logged out everywhere else." : " is logged out everywhere."),
    submit: () => remove(path, { query }),
  });
  if (result) ended(plural(result.deleted, "session") + " ended", result.undo);
  return Boolean(result);
}

/** Says what has happened, with a way back if there is one. */
export function ended(message, undo) {
  toast(message, "", undo && { name: "Undo", run: () => bringBack(undo) });
}

/** Applies an undo point and says what came of it. */
export async function bringBack(id) {
  try {
    const result = await post("/v1/undo/" + encodeURIComponent(id), {});
    toast(plural(result.restored, "session") + " back" + (result.deleted ? `, ${count(result.deleted)} were deleted since` : ""));
    window.dispatchEvent(new CustomEvent("restored"));
    return true;
  } catch (problem) {
    toast(problem.message, "bad");
    return false;
  }
}

/** What can be undone. */
export async function undoPoints() { return (await get("/v1/undo")).points; }
