// Questions and short messages.

import { h } from "./dom.js";

/**
 * Shows a modal dialog with content and resolves to what `submit` returned, or
 * null if it was cancelled. If submit throws, the message is shown and the
 * dialog stays. `typed` must be typed before the button works; `ready` is a
 * promise to wait for, whose rejection disables the button.
 */
export function ask({ title, content = [], confirm = "OK", danger = false, typed = "", submit = async () => true, signal }) {
  return new Promise((resolve) => {
    const error = h("div", { class: "notice bad", role: "alert", hidden: true });
    const input = typed && h("input", { autocomplete: "off", spellcheck: "false", aria: { label: "Confirmation" } });
    const button = h("button", { type: "submit", class: "main" + (danger ? " danger" : ""), disabled: Boolean(typed) }, confirm);
    const form = h("form", { method: "dialog" }, content,
      typed && h("label", {}, "Type ", h("b", { class: "mono" }, typed), " to confirm"), input, error,
      h("div", { class: "buttons" }, h("button", { type: "button", on: { click: () => dialog.close() } }, "Cancel"), button));
    const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, h("h1", { id: "dialog-title" }, title), form);
    let result = null;
    input && input.addEventListener("input", () => { button.disabled = input.value.trim() !== typed; });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      button.disabled = true;
      try {
        result = await submit(new FormData(form));
        dialog.close();
      } catch (problem) {
        error.textContent = problem.message;
        error.hidden = false;
        button.disabled = false;
      }
    });
    dialog.addEventListener("close", () => { dialog.remove(); resolve(result); });
    signal?.addEventListener("abort", () => dialog.close());
    document.body.append(dialog);
    dialog.showModal();
    if (!input) form.querySelector("[autofocus]")?.focus();
  });
}

/** Shows a dialog with nothing to decide. */
export function show(title, ...content) {
  const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, h("h1", { id: "dialog-title" }, title), ...content,
    h("form", { method: "dialog" }, h("div", { class: "buttons" }, h("button", { class: "main" }, "Close"))));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/** A message that goes by itself; later if there is something to do: { name, run }. */
export function toast(message, state = "", action) {
  const note = h("div", { class: "toast", data: { state } }, message,
    action && h("button", { type: "button", on: { click: () => { note.remove(); action.run(); } } }, action.name));
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), action ? 30_000 : state === "bad" ? 8000 : 4000);
}
