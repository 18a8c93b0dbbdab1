// Elements without markup in strings: the page's policy forbids that.

/**
 * Makes an element. Properties: `class`, `data` (dataset), `on` (listeners),
 * `style` (single properties), `aria` and, for everything else, attributes;
 * true sets an empty attribute, false and null none. Children are nodes,
 * strings and numbers; null and false are left out, arrays are flattened.
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) set(element, name, value);
  element.append(...flat(children));
  return element;
}

function set(element, name, value) {
  if (value == null || value === false) return;
  switch (name) {
    case "class": element.className = value; break;
    case "data": Object.assign(element.dataset, value); break;
    case "on": for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener); break;
    case "style": for (const [property, v] of Object.entries(value)) element.style.setProperty(property, v); break;
    case "aria": for (const [part, v] of Object.entries(value)) element.setAttribute("aria-" + part, v); break;
    default: element.setAttribute(name, value === true ? "" : value);
  }
}

function flat(children) {
  return children.flat(Infinity).filter((c) => c != null && c !== false).map((c) => (c instanceof Node ? c : String(c)));
}

/** Replaces all children. */
export function fill(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

/** Sets text only if it differs, so that nothing is laid out for nothing. */
export function text(element, value) {
  value = String(value);
  if (element.textContent !== value) element.textContent = value;
}

/** A titled panel. `end` are the tools at the right of its title. */
export function panel(title, { end, className = "", level = "h2" } = {}, ...body) {
  return h("section", { class: "panel " + className },
    h("header", {}, h(level, {}, title), end && h("div", { class: "end" }, end)),
    ...body);
}

/** Buttons of which one is pressed. `choose` is called with the new value. */
export function segments(label, options, value, choose) {
  const group = h("div", { class: "segments", role: "group", aria: { label } });
  for (const [option, name] of options) {
    group.append(h("button", {
      type: "button", data: { value: option }, aria: { pressed: String(option === value) },
      on: {
        click(event) {
          for (const button of group.children) button.setAttribute("aria-pressed", String(button === event.currentTarget));
          choose(option);
        },
      },
    }, name));
  }
  return group;
}
