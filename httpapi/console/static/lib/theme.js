// Light, dark, or as the system has it.

import { redraw } from "./chart.js";

const key = "cairn.theme";
const names = { auto: "◐", light: "○", dark: "●" };

export function themeButton(button) {
  let theme = localStorage.getItem(key) || "auto";
  const apply = () => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = names[theme];
    button.setAttribute("aria-label", "Theme: " + theme);
    redraw();
  };
  button.addEventListener("click", () => {
    const all = Object.keys(names);
    theme = all[(all.indexOf(theme) + 1) % all.length];
    localStorage.setItem(key, theme);
    apply();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  apply();
}
