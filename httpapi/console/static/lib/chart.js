// Lines over time on a canvas, with a crosshair that all charts share.

import { h, fill, text } from "./dom.js";
import { clock, mark, moment } from "./format.js";
import { kinds } from "./history.js";
import { ticks, powers, moments } from "./ticks.js";

const live = new Set();
let cross = null; // the moment under the pointer, in seconds

function point(at) {
  cross = at;
  for (const chart of live) chart.draw();
}

/**
 * A chart of `points`. Series are { name, color: 1..5, of: (point) => number or
 * null }. Options: format (of values), scale ("linear", "log"), stacked, area,
 * top (fixed end of the axis), base (fixed begin), binary (marks at powers of
 * 1024), limit ({ value, name }, a line that is always in sight).
 */
export class Chart {
  #points = [];
  #span = 300;
  #events = [];
  #values = [];
  #area = { left: 0, right: 1 }; // as last drawn

  constructor(title, series, options) {
    this.title = title;
    this.series = series;
    this.options = { scale: "linear", format: String, ...options };
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.tip = h("div", { class: "tip", hidden: true });
    this.plot = h("div", { class: "plot", tabindex: "0", role: "img", aria: { label: title } }, this.canvas);
    this.legend = h("div", { class: "legend" }, series.map((s) => {
      const value = h("b", {}, "–");
      this.#values.push(value);
      return h("span", {}, series.length > 1 && h("i", { style: { background: `var(--s${s.color})` } }), s.name, value);
    }));
    this.element = h("section", { class: "panel" },
      h("header", {}, h("h2", {}, title), h("div", { class: "end" }, this.legend)),
      h("div", { class: "chart" }, this.plot, this.tip));
    this.#listen();
  }

  connect() {
    live.add(this);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.plot);
  }

  disconnect() {
    live.delete(this);
    this.observer?.disconnect();
  }

  /** Shows the last `span` seconds of points, and marks events { t, end, kind }. */
  show(points, span, events = []) {
    this.#points = points;
    this.#events = events;
    this.#span = span;
    this.draw();
  }

  #listen() {
    this.plot.addEventListener("pointermove", (event) => point(this.#timeAt(event.offsetX)));
    this.plot.addEventListener("pointerleave", () => point(null));
    this.plot.addEventListener("blur", () => point(null));
    this.plot.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight" && event.key !== "Escape") return;
      event.preventDefault();
      if (event.key === "Escape") return point(null);
      const visible = this.#visible();
      const i = cross == null ? visible.length - 1 : visible.indexOf(nearest(visible, cross)) + (event.key === "ArrowLeft" ? -1 : 1);
      if (visible.length) point(visible[Math.max(0, Math.min(visible.length - 1, i))].t);
    });
  }

  #end() { return this.#points.at(-1)?.t ?? Date.now() / 1000; }
  #visible() { return this.#points.filter((p) => p.t >= this.#end() - this.#span); }
  #timeAt(x) {
    const { left, right } = this.#area;
    return this.#end() - this.#span * (right - x) / (right - left);
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.plot;
    if (!width || !this.element.isConnected) return;
    const style = getComputedStyle(this.plot);
    const g = context(this.canvas, width, height, style);
    const area = frame(width, height);
    const points = this.#visible();
    const layers = this.#layers(points);
    const y = this.#axis(layers, area);
    area.left = leftOf(g, y.marks.map(this.options.format));
    this.#area = area;
    const x = (t) => area.right - (this.#end() - t) / this.#span * (area.right - area.left);
    this.#grid(g, style, area, x, y);
    this.#marks(g, style, area, x);
    this.#limit(g, style, area, y);
    this.#lines(g, style, area, points, layers, x, y);
    const chosen = cross == null ? points.at(-1) : nearest(points, cross);
    if (cross != null && chosen) this.#crosshair(g, style, area, chosen, layers[points.indexOf(chosen)], x, y);
    this.#label(chosen, x);
  }

  /** The heights to draw for each point: sums if the series are stacked. */
  #layers(points) {
    return points.map((p) => {
      let sum = 0;
      return this.series.map((s) => {
        const value = s.of(p);
        if (value == null || !this.options.stacked) return value ?? null;
        return (sum += value);
      });
    });
  }

  #axis(layers, area) {
    const { scale, top, base, binary, limit } = this.options;
    const all = layers.flat().filter((v) => v != null && (scale !== "log" || v > 0));
    if (limit) all.push(limit.value);
    const height = area.bottom - area.top;
    if (scale === "log") {
      const marks = powers(all.length ? Math.min(...all) : 1e-4, all.length ? Math.max(...all) : 1e-2);
      const [low, high] = [Math.log(marks[0]), Math.log(marks.at(-1))];
      const place = (v) => area.bottom - (Math.log(Math.max(v, marks[0])) - low) / (high - low) * height;
      return { marks, place };
    }
    const from = base ? base(all) : 0;
    const marks = top ? [from, from + (top - from) / 2, top] : ticks(Math.max(0, ...all) - from, 3, binary).map((m) => m + from);
    const high = marks.at(-1);
    return { marks, place: (v) => area.bottom - (v - from) / (high - from) * height };
  }

  #grid(g, style, area, x, y) {
    g.strokeStyle = style.getPropertyValue("--line");
    g.fillStyle = style.getPropertyValue("--ink-3");
    g.textAlign = "right";
    g.textBaseline = "middle";
    for (const m of y.marks) {
      const at = Math.round(y.place(m)) + 0.5;
      stroke(g, area.left, at, area.right, at);
      g.fillText(this.options.format(m), area.left - 6, at);
    }
    g.textAlign = "center";
    g.textBaseline = "top";
    const { step, marks } = moments(this.#end() - this.#span, this.#end(), (area.right - area.left) / 80);
    for (const t of marks) {
      const at = x(t);
      if (at < area.left + 12 || at > area.right - 16) continue;
      g.fillText(mark(new Date(t * 1000), step), at, area.bottom + 6);
    }
  }

  #limit(g, style, area, y) {
    const { limit } = this.options;
    if (!limit) return;
    const at = Math.round(y.place(limit.value)) + 0.5;
    g.strokeStyle = g.fillStyle = style.getPropertyValue("--bad");
    g.setLineDash([4, 3]);
    stroke(g, area.left, at, area.right, at);
    g.setLineDash([]);
    g.textAlign = "left";
    g.textBaseline = at - area.top > 16 ? "bottom" : "top";
    g.fillText(limit.name, area.left + 4, at + (g.textBaseline === "bottom" ? -2 : 3));
  }

  /** A line where something happened, a band while it went on. */
  #marks(g, style, area, x) {
    for (const e of this.#events) {
      const from = Math.max(area.left, x(e.t)), to = Math.min(area.right, x(e.end));
      if (to < area.left || from > area.right) continue;
      const state = kinds[e.kind]?.[1];
      g.fillStyle = style.getPropertyValue(state ? "--" + state : "--ink-3");
      g.globalAlpha = 0.15;
      g.fillRect(from, area.top, to - from, area.bottom - area.top);
      g.globalAlpha = 0.7;
      g.fillRect(Math.round(from), area.top, 1, area.bottom - area.top);
      g.globalAlpha = 1;
      g.fillRect(Math.round(from) - 2, area.bottom - 2, 5, 4);
    }
  }

  /** What happened within a few pixels of a moment. */
  #eventsAt(t, x) {
    return this.#events.filter((e) => x(e.t) < x(t) + 5 && x(e.end) > x(t) - 5);
  }

  #lines(g, style, area, points, layers, x, y) {
    g.save();
    g.beginPath();
    g.rect(area.left, 0, area.right - area.left + 2, area.bottom + 1);
    g.clip();
    g.lineWidth = 1.5;
    g.lineJoin = "round";
    for (let s = this.series.length - 1; s >= 0; s--) {
      const color = style.getPropertyValue("--s" + this.series[s].color);
      const at = points.map((p, i) => (layers[i][s] == null ? null : [x(p.t), y.place(layers[i][s])]));
      for (const run of runs(at)) {
        if (this.options.area || this.options.stacked) shade(g, run, color, s > 0 && this.options.stacked ? 0.5 : 0.14, area.bottom, this.#floor(points, layers, s, x, y, run));
        g.strokeStyle = color;
        g.beginPath();
        run.forEach(([px, py], i) => (i ? g.lineTo(px, py) : g.moveTo(px, py)));
        if (run.length === 1) { g.fillStyle = color; g.fillRect(run[0][0] - 1, run[0][1] - 1, 2, 2); }
        g.stroke();
      }
    }
    g.restore();
  }

  /** The line below a stacked series, right to left. */
  #floor(points, layers, s, x, y, run) {
    if (!this.options.stacked || s === 0) return null;
    const from = run[0][0], to = run.at(-1)[0];
    return points.map((p, i) => [x(p.t), layers[i][s - 1]]).filter(([px, v]) => v != null && px >= from - 0.01 && px <= to + 0.01)
      .map(([px, v]) => [px, y.place(v)]).reverse();
  }

  #crosshair(g, style, area, p, values, x, y) {
    const at = Math.round(x(p.t)) + 0.5;
    g.strokeStyle = style.getPropertyValue("--line-strong");
    stroke(g, at, area.top, at, area.bottom);
    values.forEach((v, s) => {
      if (v == null) return;
      g.fillStyle = style.getPropertyValue("--s" + this.series[s].color);
      g.beginPath();
      g.arc(at, y.place(v), 3, 0, 7);
      g.fill();
    });
  }

  #label(p, x) {
    const words = this.series.map((s, i) => {
      const value = p ? s.of(p) : null;
      const shown = value == null ? "–" : this.options.format(value);
      text(this.#values[i], shown);
      return s.name + " " + shown;
    });
    this.plot.setAttribute("aria-label", this.title + ": " + words.join(", "));
    this.tip.hidden = cross == null || !p;
    if (this.tip.hidden) return;
    const at = new Date(p.t * 1000);
    const events = new Set(this.#eventsAt(cross, x).map((e) => kinds[e.kind]?.[0] || e.kind));
    fill(this.tip, [this.#span > 43200 ? moment(at) : clock(at), ...events].join(", "));
    const left = 8 + x(p.t), width = this.tip.offsetWidth;
    this.tip.style.left = Math.max(8, Math.min(left + 8, this.plot.clientWidth - width)) + "px";
  }
}

/** Where lines or bars go; marks are left of it and below. */
export function frame(width, height) {
  return { left: 0, right: width - 10, top: 8, bottom: height - 20 };
}

/** Where the frame begins so that the labels of its marks fit. */
export function leftOf(g, labels) {
  return Math.ceil(Math.max(28, ...labels.map((l) => g.measureText(l).width))) + 8;
}

/** A canvas cleared, scaled to the screen's pixels, ready for labels. */
export function context(canvas, width, height, style) {
  const ratio = devicePixelRatio || 1;
  const [w, hgt] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== hgt) { canvas.width = w; canvas.height = hgt; }
  const g = canvas.getContext("2d");
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, width, height);
  g.lineWidth = 1;
  g.font = "11px " + style.fontFamily;
  return g;
}

export function stroke(g, x1, y1, x2, y2) {
  g.beginPath();
  g.moveTo(x1, y1);
  g.lineTo(x2, y2);
  g.stroke();
}

/** Splits places at the gaps. */
function runs(at) {
  const all = [];
  let run = [];
  for (const place of [...at, null]) {
    if (place) run.push(place);
    else if (run.length) { all.push(run); run = []; }
  }
  return all;
}

function shade(g, run, color, alpha, bottom, floor) {
  g.fillStyle = color;
  g.globalAlpha = alpha;
  g.beginPath();
  run.forEach(([x, y], i) => (i ? g.lineTo(x, y) : g.moveTo(x, y)));
  for (const [x, y] of floor?.length ? floor : [[run.at(-1)[0], bottom], [run[0][0], bottom]]) g.lineTo(x, y);
  g.fill();
  g.globalAlpha = 1;
}

function nearest(points, t) {
  let best = null;
  for (const p of points) if (!best || Math.abs(p.t - t) < Math.abs(best.t - t)) best = p;
  return best;
}

/** Draws everything again, after a change of the theme. */
export function redraw() { for (const chart of live) chart.draw(); }
