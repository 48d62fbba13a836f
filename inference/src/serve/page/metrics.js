// Reads the Prometheus text exposition, and computes what is shown from it. Touches no page.

/** Families by name of their samples: lists of `{labels, value}`. */
export function parse(text) {
  const found = new Map();
  for (const line of text.split("\n")) {
    const sample = line && !line.startsWith("#") && /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!sample) continue;
    const [, name, labels, value] = sample;
    if (!found.has(name)) found.set(name, []);
    found.get(name).push({ labels: labels ? pairs(labels) : {}, value: number(value) });
  }
  return found;
}

function pairs(text) {
  // No prototype: a label may be called as a property of objects is.
  const labels = Object.create(null);
  const plain = { n: "\n" };
  for (const [, name, value] of text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
    labels[name] = value.replace(/\\(.)/g, (_, char) => plain[char] ?? char);
  }
  return labels;
}

function number(text) {
  return text.endsWith("Inf") ? Number(text.replace("Inf", "Infinity")) : Number(text);
}

/** The samples called `name` whose labels pass `filter`. */
export function select(found, name, filter = () => true) {
  return (found.get(name) ?? []).filter(({ labels }) => filter(labels));
}

/** The sum of them. */
export function total(found, name, filter) {
  return select(found, name, filter).reduce((sum, sample) => sum + sample.value, 0);
}

/** Sums by the value of `label`, in the order of the exposition. */
export function totals(found, name, label, filter) {
  const sums = new Map();
  for (const { labels, value } of select(found, name, filter)) {
    sums.set(labels[label], (sums.get(labels[label]) ?? 0) + value);
  }
  return sums;
}

/** Counts by upper edge of the histogram called `name`, added up over its series. */
export function histogram(found, name, filter = () => true) {
  const counts = new Map();
  for (const { labels, value } of select(found, `${name}_bucket`, filter)) {
    const edge = number(labels.le);
    counts.set(edge, (counts.get(edge) ?? 0) + value);
  }
  return counts;
}

/** What `now` counts beyond `before`. */
export function increase(now, before) {
  return new Map([...now].map(([edge, count]) => [edge, count - (before.get(edge) ?? 0)]));
}

/** The quantile as Prometheus interpolates it; null of nothing. */
export function quantile(share, counts) {
  const edges = [...counts.keys()].sort((one, other) => one - other);
  const all = counts.get(Infinity) ?? 0;
  if (!all) return null;
  const rank = share * all;
  const at = edges.findIndex((edge) => counts.get(edge) >= rank);
  if (edges[at] === Infinity) return edges[at - 1] ?? null;
  const low = at > 0 ? edges[at - 1] : Math.min(edges[at], 0);
  const below = at > 0 ? counts.get(edges[at - 1]) : 0;
  const inside = counts.get(edges[at]) - below;
  return inside ? low + ((edges[at] - low) * (rank - below)) / inside : edges[at];
}

const FEWEST = 500;

/** How far `counts` are from the shares of training, and what that is called. */
export function drift(counts, shares) {
  const bins = counts.length;
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (all < FEWEST) return { all, index: null, level: "few", word: "too few" };
  const terms = counts.map((count, bin) => {
    const actual = (count + 0.5) / (all + 0.5 * bins);
    const expected = Math.max(shares[bin], 1e-4);
    return (actual - expected) * Math.log(actual / expected);
  });
  const index = Math.max(0, terms.reduce((sum, term) => sum + term, 0) - (bins - 1) / all);
  const level = index < 0.1 ? "stable" : index < 0.2 ? "moderate" : "drifted";
  return { all, index, level, word: level };
}

/** Profiles by feature: bins with their range, share in training and count. */
export function profiles(found) {
  const counts = new Map();
  const key = ({ feature, bin }) => `${bin} ${feature}`;
  for (const { labels, value } of found.get("model_feature_bin_total") ?? []) {
    counts.set(key(labels), value);
  }
  const features = new Map();
  for (const { labels, value } of found.get("model_feature_reference_ratio") ?? []) {
    const { feature, bin, range } = labels;
    if (!features.has(feature)) features.set(feature, []);
    features.get(feature).push({ bin, range, share: value, count: counts.get(key(labels)) ?? 0 });
  }
  for (const bins of features.values()) bins.sort((one, other) => (one.bin < other.bin ? -1 : 1));
  return features;
}

/** Rows by actual and predicted class, with what follows from them. */
export function confusion(found) {
  const cells = new Map();
  const names = new Set();
  for (const { labels, value } of found.get("model_feedback_total") ?? []) {
    names.add(labels.predicted).add(labels.actual);
    cells.set(JSON.stringify([labels.actual, labels.predicted]), value);
  }
  const classes = [...names].sort((one, other) => one - other || (one < other ? -1 : 1));
  const of = (actual, predicted) => cells.get(JSON.stringify([actual, predicted])) ?? 0;
  const sum = (part) => classes.reduce((all, name) => all + part(name), 0);
  const share = (part, whole) => (whole ? part / whole : null);
  const rows = sum((actual) => sum((predicted) => of(actual, predicted)));
  const scores = classes.map((name) => {
    const actual = sum((other) => of(name, other));
    const predicted = sum((other) => of(other, name));
    const right = of(name, name);
    return { name, rows: actual, precision: share(right, predicted), recall: share(right, actual) };
  });
  return { classes, of, rows, accuracy: share(sum((name) => of(name, name)), rows), scores };
}
