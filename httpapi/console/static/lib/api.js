// The HTTP API. Every failure is a Problem.

const tokenKey = "cairn.token";

export class Problem extends Error {
  constructor(status, title, detail) {
    super(detail || title || "request failed");
    this.status = status;
  }
}

/** Fired with the Problem when a request needs another token. */
export const refused = new EventTarget();

export function token() { return sessionStorage.getItem(tokenKey) || ""; }

/** Keeps the token until the tab is closed. "" forgets it. */
export function setToken(value) {
  if (value) sessionStorage.setItem(tokenKey, value);
  else sessionStorage.removeItem(tokenKey);
}

async function send(method, path, { query, body, signal, headers = {} } = {}) {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query || {})) {
    if (value != null && value !== "") url.searchParams.set(name, value);
  }
  if (token()) headers.Authorization = "Bearer " + token();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(url, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body), credentials: "omit", cache: "no-store" });
  } catch (cause) {
    if (cause.name === "AbortError") throw cause;
    throw new Problem(0, "the server does not answer");
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function problemOf(response) {
  let problem = new Problem(response.status, response.statusText);
  try {
    const body = await response.json();
    const details = (body.errors || []).map((e) => e.message).filter(Boolean);
    problem = new Problem(response.status, body.title, [body.detail, ...details].filter(Boolean).join(": "));
  } catch { /* no problem document: the status has to do */ }
  if (response.status === 401) refused.dispatchEvent(new CustomEvent("refused", { detail: problem }));
  return problem;
}

export async function get(path, options) {
  return parse(await (await send("GET", path, options)).text());
}
export async function post(path, body, options) {
  return parse(await (await send("POST", path, { ...options, body })).text());
}
export async function put(path, body, options) {
  return parse(await (await send("PUT", path, { ...options, body })).text());
}
export async function remove(path, options) {
  return parse(await (await send("DELETE", path, options)).text());
}
export async function blob(path, options) {
  return (await send("GET", path, options)).blob();
}

/** A number that a double cannot hold, as it was written. */
export class BigNumber {
  constructor(source) { this.source = source; }
  toString() { return this.source; }
}

function parse(json) {
  if (json === "") return null;
  return JSON.parse(json, (_, value, context) =>
    typeof value === "number" && context?.source && String(value) !== context.source && /^-?\d+$/.test(context.source)
      ? new BigNumber(context.source) : value);
}

/** Where a session is. Browsers cannot write every key into a path. */
export function sessionPath(session, below = "") {
  const { key, key_base64: encoded } = session;
  if (encoded) return { path: "/v1/sessions/" + encoded + below, query: { key_encoding: "base64url" } };
  if (key === "." || key === "..") return { path: "/v1/sessions/" + base64url(key) + below, query: { key_encoding: "base64url" } };
  return { path: "/v1/sessions/" + encodeURIComponent(key) + below, query: {} };
}

/** Where a user is: { owner, owner_base64 }. */
export function ownerPath({ owner, owner_base64: encoded }, below = "") {
  return { path: "/v1/owners/" + (encoded || base64url(owner)) + below, query: { owner_encoding: "base64url" } };
}

export function base64url(text) {
  const bytes = new TextEncoder().encode(text);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
