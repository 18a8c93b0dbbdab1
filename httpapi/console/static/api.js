// The page of the HTTP API: what /openapi.json says, to read.
import { h, fill } from "/lib/dom.js";

const methods = ["get", "put", "post", "delete"];
const main = document.getElementById("main");

/** The schema that a reference names, or the schema itself. */
function resolve(api, schema) {
  const name = schema?.$ref?.split("/").pop();
  return name ? api.components.schemas[name] : schema;
}

/** The type of a schema in words, such as "integer" or "array of Session". */
function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  const type = [schema.type].flat().filter((t) => t && t !== "null").join(" or ");
  if (type === "array") return "array of " + typeOf(schema.items);
  if (typeof schema.additionalProperties === "object") return "object of " + typeOf(schema.additionalProperties);
  return [type || "any", schema.format && `(${schema.format})`].filter(Boolean).join(" ");
}

/** What a value must be besides its type, as a list of short texts. */
function bounds(schema) {
  const texts = [];
  if (schema.enum) texts.push("one of " + schema.enum.join(", "));
  if (schema.minimum != null) texts.push(`at least ${schema.minimum}`);
  if (schema.maximum != null) texts.push(`at most ${schema.maximum}`);
  if (schema.maxLength != null) texts.push(`at most ${schema.maxLength} characters`);
  if (schema.default != null) texts.push(`default ${schema.default}`);
  return texts;
}

function table(caption, heads, rows) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", aria: { label: caption } },
    h("table", {},
      h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell) => h("td", {}, cell)))))));
}

function described(schema, description) {
  return [description, bounds(schema).join("; ")].filter(Boolean).join(" - ");
}

function parameters(list) {
  return [h("h3", {}, "Parameters"), table("Parameters", ["Name", "Type", "Meaning"], list.map((p) => [
    h("code", {}, p.name),
    `${typeOf(p.schema)}, ${p.in}${p.required ? ", required" : ""}`,
    described(p.schema, p.description),
  ]))];
}

/** The members of a JSON body, or what kind of body it is. */
function body(api, title, content) {
  const [type, { schema }] = Object.entries(content)[0];
  const object = resolve(api, schema);
  const head = h("h3", {}, `${title}: ${schema?.$ref ? typeOf(schema) : type}`);
  if (!object?.properties) return [head, object?.description && h("p", {}, object.description)];
  const required = new Set(object.required);
  return [head, table(title, ["Member", "Type", "Meaning"], Object.entries(object.properties).map(([name, member]) => [
    h("code", {}, name),
    typeOf(member) + (required.has(name) ? "" : ", optional"),
    described(member, member.description ?? resolve(api, member)?.description),
  ]))];
}

function scopeOf(operation) {
  const [scope] = Object.values(operation.security?.[0] ?? {}).flat();
  return scope ?? "";
}

/** A request to copy, as curl sends it. */
function example(method, path, operation) {
  const words = ["curl"];
  if (method !== "get") words.push("-X", method.toUpperCase());
  if (scopeOf(operation)) words.push("-H", '"Authorization: Bearer $TOKEN"');
  const type = Object.keys(operation.requestBody?.content ?? {})[0];
  if (type) words.push("-H", `"Content-Type: ${type}"`, "--data-binary", "@FILE");
  words.push(`'${location.origin}${path}'`);
  return words.join(" ");
}

function operationPage(api, method, path, o) {
  const done = Object.entries(o.responses).filter(([status]) => status < "300");
  const refused = Object.entries(o.responses).filter(([status]) => status >= "300");
  const page = h("div", { class: "operation" }, o.description && h("p", {}, o.description));
  if (o.parameters?.length) page.append(...parameters(o.parameters));
  if (o.requestBody?.content) page.append(...body(api, "Request", o.requestBody.content).filter(Boolean));
  for (const [status, response] of done) {
    if (response.content) page.append(...body(api, `Answer ${status}`, response.content).filter(Boolean));
    else page.append(h("h3", {}, `Answer ${status}`), h("p", {}, response.description));
  }
  if (refused.length) page.append(h("h3", {}, "Refused with"), h("p", {}, refused.map(([status, r]) => `${status} ${r.description}`).join(", ")));
  page.append(h("h3", {}, "With curl"), h("pre", { tabindex: "0" }, example(method, path, o)));
  return page;
}

/** One operation, whose page is made when it is first opened. */
function operation(api, method, path, o) {
  const scope = scopeOf(o);
  const element = h("details", { id: o.operationId, data: { text: [method, path, o.summary, o.operationId].join(" ").toLowerCase() } },
    h("summary", {},
      h("span", { class: "method", data: { method } }, method.toUpperCase()),
      h("code", {}, path),
      h("span", { class: "soft" }, o.summary),
      h("span", { class: "scope" }, scope ? `scope ${scope}` : "no token")));
  element.addEventListener("toggle", () => {
    if (!element.open || element.children.length > 1) return;
    element.append(operationPage(api, method, path, o));
  });
  return element;
}

function section(api, tag) {
  const operations = Object.entries(api.paths).flatMap(([path, item]) => methods
    .filter((method) => item[method]?.tags?.includes(tag.name))
    .map((method) => operation(api, method, path, item[method])));
  return h("section", { aria: { label: tag.name } }, h("h2", {}, tag.name), h("p", {}, tag.description), operations);
}

/** Hides what does not have all the words that are looked for. */
function find(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const group of main.querySelectorAll("section")) {
    let shown = 0;
    for (const o of group.querySelectorAll("details")) {
      o.hidden = !words.every((word) => o.dataset.text.includes(word));
      shown += o.hidden ? 0 : 1;
    }
    group.hidden = shown === 0;
    found += shown;
  }
  document.getElementById("none").hidden = found > 0;
}

/** Opens the operation that the address names. */
function openNamed() {
  const named = document.getElementById(location.hash.slice(1));
  if (named?.tagName !== "DETAILS") return;
  named.open = true;
  named.scrollIntoView();
}

function show(api) {
  fill(main,
    h("h1", {}, `HTTP API of ${api.info.title} ${api.info.version}`),
    h("p", { class: "soft" }, api.info.description),
    h("p", { class: "soft" }, Object.values(api.components.securitySchemes)[0]?.description),
    h("p", { id: "none", class: "empty", role: "status", hidden: true }, "No operation has these words."),
    api.tags.map((tag) => section(api, tag)));
  const search = document.getElementById("find");
  search.addEventListener("input", () => find(search.value));
  find(search.value);
  addEventListener("hashchange", openNamed);
  openNamed();
}

try {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
  show(await answer.json());
} catch (error) {
  fill(main, h("p", { class: "notice bad", role: "alert" }, `The description of the API cannot be read: ${error.message}. Load the page again.`));
}
