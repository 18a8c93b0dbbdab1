// Round places for the marks of an axis.

/** Values from 0 to at least `top` at 1, 2 or 5 times a power of ten (or two). */
export function ticks(top, wanted, binary = false) {
  if (!(top > 0)) top = binary ? 1024 : 1;
  const unit = binary ? 1024 ** Math.floor(Math.log(top) / Math.log(1024)) : 1;
  const step = niceStep(top / unit / wanted) * unit;
  const marks = [];
  for (let i = 0; i * step < top + step * 0.999; i++) marks.push(i * step);
  return marks;
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  for (const factor of [1, 2, 5, 10]) {
    if (rough <= factor * power * 1.0001) return factor * power;
  }
  return 10 * power;
}

/** Powers of ten that enclose the range from low to high. */
export function powers(low, high) {
  const first = Math.floor(Math.log10(low)), last = Math.max(first + 1, Math.ceil(Math.log10(high)));
  return Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i));
}

const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200,
  86400, 2 * 86400, 7 * 86400, 14 * 86400, 30 * 86400, 90 * 86400, 365 * 86400];

/** Moments, in seconds, at round local times between from and to. */
export function moments(from, to, wanted) {
  const step = steps.find((s) => (to - from) / s <= wanted) || steps.at(-1);
  const zone = new Date(from * 1000).getTimezoneOffset() * 60;
  const marks = [];
  for (let t = Math.ceil((from - zone) / step) * step + zone; t <= to; t += step) marks.push(t);
  return { step, marks };
}
