// Quantiles of an interval from cumulative histograms.

/**
 * What was added between two lists of histograms, all verbs together:
 * { count, bounds, counts }, where counts[i] were at most bounds[i] seconds and
 * more than the bound before.
 */
export function difference(before, now) {
  const cumulative = new Map();
  let count = 0;
  const add = (histograms, sign) => {
    for (const h of histograms) {
      count += sign * h.count_total;
      for (const b of h.buckets) cumulative.set(b.le_seconds, (cumulative.get(b.le_seconds) || 0) + sign * b.count_total);
    }
  };
  add(now, 1);
  add(before, -1);
  const bounds = [...cumulative.keys()].sort((a, b) => a - b);
  let below = 0;
  const counts = bounds.map((bound) => {
    const n = cumulative.get(bound) - below;
    below = cumulative.get(bound);
    return Math.max(0, n);
  });
  return { count: Math.max(0, count), bounds, counts };
}

/**
 * Estimates quantiles in seconds, each by linear interpolation in its bucket.
 * What is slower than the last bound counts as that; without any request they
 * are null.
 */
export function quantiles({ count, bounds, counts }, wanted) {
  if (count <= 0 || bounds.length === 0) return wanted.map(() => null);
  return wanted.map((q) => {
    let below = 0, lower = 0;
    for (let i = 0; i < bounds.length; i++) {
      if (counts[i] > 0 && below + counts[i] >= q * count) {
        return lower + ((q * count - below) / counts[i]) * (bounds[i] - lower);
      }
      below += counts[i];
      lower = bounds[i];
    }
    return bounds.at(-1);
  });
}
