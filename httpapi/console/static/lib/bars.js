// The expiry forecast: bars over the time ahead.

import { h, fill } from "./dom.js";
import { context, frame, leftOf, stroke } from "./chart.js";
import { mark, moment, span } from "./format.js";
import { ticks, moments } from "./ticks.js";

/**
 * A chart of slots { from (seconds), value }, each `width` seconds long.
 * `describe(slot)` gives the words for one, `choose(slot)` is called when it is
 * clicked or entered.
 */
export class Bars {
  #slots = [];
  #width = 60;
  #now = 0;
  #area = { left: 0, right: 1 }; // as last drawn
  #at = -1; // slot under the pointer or chosen by keys

  constructor(title, { format, binary, describe, choose }) {
    this.title = title;
    Object.assign(this, { format, binary, describe, choose });
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.tip = h("div", { class: "tip", hidden: true });
    this.plot = h("div", { class: "plot", tabindex: "0", role: "img", aria: { label: title } }, this.canvas);
    this.element = h("div", { class: "chart tall" }, this.plot, this.tip);
    this.#listen();
  }

  connect() {
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.plot);
  }

  disconnect() { this.observer?.disconnect(); }

  show(slots, width, now) {
    this.#slots = slots;
    this.#width = width;
    this.#now = now;
    if (this.#at >= slots.length) this.#at = -1;
    this.draw();
  }

  #listen() {
    this.plot.addEventListener("pointermove", (event) => this.#point(this.#slotAt(event.offsetX)));
    this.plot.addEventListener("pointerleave", () => this.#point(-1));
    this.plot.addEventListener("blur", () => this.#point(-1));
    this.plot.addEventListener("click", () => this.#at >= 0 && this.choose(this.#slots[this.#at]));
    this.plot.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step && this.#slots.length) {
        event.preventDefault();
        this.#point(Math.max(0, Math.min(this.#slots.length - 1, this.#at + step)));
      } else if (event.key === "Enter" && this.#at >= 0) this.choose(this.#slots[this.#at]);
      else if (event.key === "Escape") this.#point(-1);
    });
  }

  #point(i) {
    if (i === this.#at) return;
    this.#at = i;
    this.draw();
  }

  #range() {
    const from = Math.min(this.#slots[0].from, Math.floor(this.#now / this.#width) * this.#width);
    const to = this.#slots.at(-1).from + this.#width;
    return { from, to: Math.max(to, from + 20 * this.#width) };
  }

  #slotAt(x) {
    if (!this.#slots.length) return -1;
    const { from, to } = this.#range();
    const { left, right } = this.#area;
    const t = from + (x - left) / (right - left) * (to - from);
    return this.#slots.findIndex((s) => s.from <= t && t < s.from + this.#width);
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.plot;
    if (!width || !this.element.isConnected) return;
    const style = getComputedStyle(this.plot);
    const g = context(this.canvas, width, height, style);
    const area = this.#area = frame(width, height);
    this.tip.hidden = true;
    if (!this.#slots.length) return;
    const { from, to } = this.#range();
    const x = (t) => area.left + (t - from) / (to - from) * (area.right - area.left);
    const marks = ticks(Math.max(...this.#slots.map((s) => s.value)), 3, this.binary);
    area.left = leftOf(g, marks.map(this.format));
    const y = (v) => area.bottom - v / marks.at(-1) * (area.bottom - area.top);
    this.#grid(g, style, area, marks, x, y, from, to);
    const gap = Math.min(2, (x(from + this.#width) - x(from)) * 0.25);
    this.#slots.forEach((slot, i) => {
      g.fillStyle = style.getPropertyValue(i === this.#at ? "--s2" : "--s1");
      const left = x(slot.from), top = Math.min(y(slot.value), area.bottom - 1);
      g.fillRect(left + gap / 2, top, Math.max(1, x(slot.from + this.#width) - left - gap), area.bottom - top);
    });
    this.#label(x);
  }

  #grid(g, style, area, marks, x, y, from, to) {
    g.strokeStyle = style.getPropertyValue("--line");
    g.fillStyle = style.getPropertyValue("--ink-3");
    g.textAlign = "right";
    g.textBaseline = "middle";
    for (const m of marks) {
      const at = Math.round(y(m)) + 0.5;
      stroke(g, area.left, at, area.right, at);
      g.fillText(this.format(m), area.left - 6, at);
    }
    g.textAlign = "center";
    g.textBaseline = "top";
    const { step, marks: times } = moments(from, to, (area.right - area.left) / 80);
    for (const t of times) {
      if (x(t) > area.left + 12 && x(t) < area.right - 16) g.fillText(mark(new Date(t * 1000), step), x(t), area.bottom + 6);
    }
  }

  #label(x) {
    const slot = this.#slots[this.#at];
    this.plot.setAttribute("aria-label", this.title + (slot ? ": " + this.describe(slot) : ""));
    if (!slot) return;
    this.tip.hidden = false;
    const ahead = slot.from - this.#now;
    fill(this.tip, moment(new Date(slot.from * 1000)).slice(0, 16), ahead > 0 ? " (in " + span(ahead) + ")" : " (now)", " – ", this.describe(slot));
    const left = 8 + x(slot.from);
    this.tip.style.left = Math.max(8, Math.min(left + 12, this.plot.clientWidth - this.tip.offsetWidth)) + "px";
  }
}
