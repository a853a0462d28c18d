// Numbers: medians, percentiles, and how they are written.

export function percentile(values, p) {
  if (values.length === 0) return NaN;
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p / 100))];
}

export function median(values) {
  if (values.length === 0) return NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const mid = sorted.length >> 1;
  return sorted.length % 2 ? sorted[mid] : (sorted[mid - 1] + sorted[mid]) / 2;
}

export const sum = (values) => values.reduce((a, b) => a + b, 0);

/** Three digits are as much as a benchmark on a shared machine knows. */
export function figure(value) {
  if (!Number.isFinite(value)) return 'n/a';
  const size = Math.abs(value);
  return size >= 100 ? String(Math.round(value)) : value.toFixed(size >= 10 ? 1 : 2);
}

export const us = (value) => `${figure(value)} µs`;
