// Figures for people. Missing figures (null, NaN) are dashes.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const two = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const missing = (n) => n == null || !Number.isFinite(n);

export function count(n) {
  return missing(n) ? "–" : whole.format(n);
}

/** At most four digits and a unit: 12.3 k, 4.56 M. */
export function short(n) {
  if (missing(n)) return "–";
  const size = Math.abs(n);
  for (const [limit, unit] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (size >= limit) {
      const divided = n / (unit === "k" ? 1e3 : limit);
      return (Math.abs(divided) >= 100 ? whole : one).format(divided) + " " + unit;
    }
  }
  return (size >= 100 || Number.isInteger(n) ? whole : size >= 10 ? one : two).format(n);
}

export function bytes(n) {
  if (missing(n)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let i = 0;
  while (Math.abs(n) >= 1024 && i < units.length - 1) { n /= 1024; i++; }
  return (i === 0 || Math.abs(n) >= 100 ? whole : one).format(n) + " " + units[i];
}

/** A fraction as per cent; near 100 it keeps what tells 99.9 from 100. */
export function percent(f) {
  if (missing(f)) return "–";
  const p = f * 100;
  if (p > 99.95 && p < 100) return "> 99.9 %";
  return (p >= 10 && p < 99 ? one : two).format(p) + " %";
}

/** Seconds of a latency. */
export function latency(s) {
  if (missing(s)) return "–";
  if (s < 1e-3) return (s < 1e-5 ? one : whole).format(s * 1e6) + " µs";
  if (s < 1) return (s < 0.1 ? two : whole).format(s * 1e3) + " ms";
  return two.format(s) + " s";
}

/** Seconds of a span of time, in its two largest units. */
export function span(s) {
  if (missing(s)) return "–";
  if (s < 1) return "0 s";
  const parts = [];
  for (const [length, unit] of [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]) {
    const n = Math.floor(s / length);
    s -= n * length;
    if (n > 0 || parts.length > 0) parts.push([n, unit]);
    if (parts.length === 2) break;
  }
  return parts.filter(([n]) => n > 0).map(([n, unit]) => n + " " + unit).join(" ");
}

const pad = (n) => String(n).padStart(2, "0");

export function clock(date) {
  return pad(date.getHours()) + ":" + pad(date.getMinutes()) + ":" + pad(date.getSeconds());
}

export function moment(date) {
  return date.getFullYear() + "-" + pad(date.getMonth() + 1) + "-" + pad(date.getDate()) + " " + clock(date);
}

/** Label of a moment on an axis whose marks are `step` seconds apart. */
export function mark(date, step) {
  if (step >= 86400) return date.toLocaleDateString("en", { day: "numeric", month: "short", year: step > 200 * 86400 ? "numeric" : undefined });
  const time = pad(date.getHours()) + ":" + pad(date.getMinutes());
  return step < 60 ? time + ":" + pad(date.getSeconds()) : time;
}

export function plural(n, noun) {
  return count(n) + " " + noun + (n === 1 ? "" : "s");
}
