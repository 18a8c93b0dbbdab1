// A decoded value as a tree that opens and closes. Long lists are shown piece
// by piece, so a session of 100,000 values does not stop the page.

import { h } from "../lib/dom.js";
import { BigNumber } from "../lib/api.js";
import { plural } from "../lib/format.js";

const openLevels = 3;
const piece = 200;

export function tree(value, key = null, level = 0) {
  if (value === null || typeof value !== "object" || value instanceof BigNumber) {
    return h("div", { class: "leaf" }, label(key), scalar(value));
  }
  const note = value["@ref"] ? "same as " + value["@ref"] : value["@class"];
  const entries = Array.isArray(value) ? value.map((v, i) => [i, v]) : Object.entries(value).filter(([k]) => k !== "@class");
  if (value["@ref"] || entries.length === 0) {
    return h("div", { class: "leaf" }, label(key), h("span", { class: "hint" }, note || (Array.isArray(value) ? "[]" : "{}")));
  }
  const size = Array.isArray(value) ? plural(entries.length, "item") : plural(entries.length, "field");
  const body = h("div");
  const details = h("details", { open: level < openLevels && entries.length <= piece },
    h("summary", {}, label(key), h("span", { class: "hint" }, note ? note + ", " + size : size)), body);
  const grow = () => {
    const from = body.childElementCount;
    body.append(...entries.slice(from, from + piece).map(([k, v]) => tree(v, k, level + 1)));
    if (entries.length > body.childElementCount) more(body, entries.length - body.childElementCount, grow);
  };
  if (details.open) grow();
  else details.addEventListener("toggle", grow, { once: true });
  return details;
}

function more(body, left, grow) {
  const button = h("button", { type: "button", on: { click: () => { button.remove(); grow(); } } }, "Show more of " + left);
  body.append(button);
}

function label(key) {
  return key === null ? null : h("span", { class: "k" }, String(key), ": ");
}

function scalar(value) {
  switch (typeof value) {
    case "string": return h("span", { class: "str" }, JSON.stringify(value));
    case "number": return h("span", { class: "numeric" }, value);
    case "object": return value ? h("span", { class: "numeric" }, value.toString()) : h("span", { class: "word" }, "null");
    default: return h("span", { class: "word" }, String(value));
  }
}
