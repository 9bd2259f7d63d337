// The range of a series without outliers: values beyond Tukey's outer fences, three interquartile ranges away from the
// quartiles.
const FENCE = 3;
/** Quartiles of fewer values say little. */
const MIN_VALUES = 8;

/** [lowest, highest] of ``values`` without outliers, on a logarithmic axis by their logarithms; null without values. */
export function rangeWithoutOutliers(values, { log = false } = {}) {
  const known = values.filter((value) => Number.isFinite(value) && (!log || value > 0)).sort((a, b) => a - b);
  if (!known.length) return null;
  const inside = known.length < MIN_VALUES ? known : withinFences(known, log ? Math.log : (value) => value);
  return [inside[0], inside[inside.length - 1]];
}

function withinFences(sorted, scale) {
  const [lower, upper] = [0.25, 0.75].map((share) => scale(sorted[Math.round(share * (sorted.length - 1))]));
  const reach = FENCE * (upper - lower);
  return sorted.filter((value) => scale(value) >= lower - reach && scale(value) <= upper + reach);
}
