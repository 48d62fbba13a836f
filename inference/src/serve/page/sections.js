// The parts of the page below the cards.

import { confusion, drift, histogram, profiles, quantile, select, total, totals } from "./metrics.js";
import { at, bar, bins, count, figure, fill, make, once, percent, row, span, table, write } from "./draw.js";

const PREDICTION = "@prediction";
const MOST_OUTCOMES = 12;
const MOST_CLASSES = 8;
const MOST_FEATURES = 25;

const nothing = (parent, text) => once(parent, text, () => parent.append(make("p", "none", {}, text)));

/** How often each class was predicted, or between what the values lie. */
export function outcomes(found, task) {
  const parent = at("outcomes");
  const all = total(found, "predictions_total");
  write(at("prediction-count"), count(all));
  if (task === "regression") return values(parent, found, all);
  const sums = [...totals(found, "predictions_total", "outcome")];
  const shown = sums.length > MOST_OUTCOMES ? sums.sort((one, other) => other[1] - one[1]).slice(0, MOST_OUTCOMES) : sums;
  const lines = once(parent, JSON.stringify(shown.map(([name]) => name)), () => {
    const { body, whole } = table(["Class", "", "Share", "Rows"]);
    parent.append(whole);
    if (shown.length < sums.length) parent.append(make("p", "quiet", {}, `The most frequent of ${sums.length} classes.`));
    return shown.map(([name]) => {
      const [line, share, rows] = [bar(), make("td"), make("td")];
      body.append(row(name, make("td", "bars", {}, line), share, rows));
      return { line, share, rows };
    });
  });
  lines.forEach(({ line, share, rows }, index) => {
    const number = shown[index][1];
    fill(line, all ? number / all : 0);
    write(share, all ? percent(number / all) : "–");
    write(rows, count(number));
  });
}

function values(parent, found, all) {
  const name = "prediction_distribution";
  const counts = histogram(found, name);
  const mean = all ? total(found, `${name}_sum`) / total(found, `${name}_count`) : null;
  // The outer buckets have no end: within them nothing can be told.
  const edges = [...counts.keys()].filter(Number.isFinite).sort((one, other) => one - other);
  const median = quantile(0.5, counts);
  const open = median === null ? "" : median <= edges[0] ? "below " : median >= edges.at(-1) ? "above " : "";
  const middle = open === "below " ? edges[0] : median;
  scores(parent, [
    { title: "Mean", text: figure(mean), beside: "" },
    { title: "Median", text: open + figure(middle), beside: "" },
  ]);
}

/** Named numbers, each with something beside it to compare it with. */
function scores(parent, list) {
  const cells = once(parent, JSON.stringify(list.map(({ title }) => title)), () => {
    const parts = list.map(({ title }) => {
      const [now, then] = [make("span"), make("small")];
      return { now, then, block: make("div", "", {}, make("dt", "", {}, title), make("dd", "", {}, now, " ", then)) };
    });
    parent.append(make("dl", "scores", {}, ...parts.map(({ block }) => block)));
    return parts;
  });
  cells.forEach(({ now, then }, index) => {
    write(now, list[index].text);
    write(then, list[index].beside);
  });
}

/** Predictions and features against training; `before` are counts not to look at. */
export function distributions(found, before) {
  const all = profiles(found);
  const prediction = all.get(PREDICTION);
  if (prediction) bins(at("distribution"), prediction, prediction.map(({ count }) => count));
  const names = [...all.keys()].filter((name) => name !== PREDICTION);
  const lines = once(at("drift"), JSON.stringify(names), (parent) => names.map((name) => feature(parent, name)));
  names.forEach((name, index) => {
    const profile = all.get(name);
    const old = before?.get(name);
    const fresh = profile.map(({ bin, count }) => Math.max(0, count - (old?.find((one) => one.bin === bin)?.count ?? 0)));
    show(lines[index], profile, fresh);
  });
}

function feature(parent, name) {
  const [line, value, level, inside] = [bar(), make("span", "value"), make("span", "level"), make("div")];
  const summary = make("summary", "", {}, make("span", "name", {}, name), line, value, level);
  const block = make("details", "", { "data-feature": name }, summary, inside);
  parent.append(block);
  return { block, line, value, level, inside, numbers: make("p", "quiet"), list: make("div") };
}

function show({ block, line, value, level, inside, numbers, list }, profile, counts) {
  const found = drift(counts, profile.map(({ share }) => share));
  if (block.className !== found.level) block.className = found.level;
  fill(line, (found.index ?? 0) / 0.4);
  write(value, found.index === null ? "–" : found.index.toFixed(3));
  write(level, found.word);
  if (!block.open) return;
  if (!inside.firstChild) inside.append(numbers, list);
  write(numbers, `${count(found.all)} values`);
  bins(list, profile, counts);
}

/** Values that the model was not trained for. */
export function quality(found) {
  const parent = at("quality");
  const name = "model_feature_invalid_total";
  const reasons = [...totals(found, name, "reason").keys()].sort();
  const counts = new Map();
  for (const { labels, value } of select(found, name)) {
    if (!counts.has(labels.feature)) counts.set(labels.feature, new Map());
    counts.get(labels.feature).set(labels.reason, value);
  }
  const bad = [...counts].filter(([, of]) => [...of.values()].some((value) => value > 0));
  const shown = counts.size <= MOST_FEATURES ? [...counts] : bad.slice(0, MOST_FEATURES);
  if (!shown.length) return nothing(parent, "All values of all features were as in training.");
  const words = { missing: "missing", type: "not a number", range: "out of range" };
  const cells = once(parent, JSON.stringify([shown.map(([feature]) => feature), bad.length > shown.length]), () => {
    const { body, whole } = table(["Feature", ...reasons.map((reason) => words[reason] ?? reason)]);
    parent.append(make("div", "scroll", {}, whole));
    if (shown.length < counts.size) parent.append(make("p", "quiet", {}, `${shown.length} of ${counts.size} features.`));
    return shown.map(([feature]) => {
      const cells = reasons.map((reason) => make("td", "", { "data-reason": reason }));
      body.append(row(feature, ...cells));
      return cells;
    });
  });
  shown.forEach(([, of], line) => reasons.forEach((reason, column) => {
    const number = of.get(reason) ?? 0;
    write(cells[line][column], count(number));
    cells[line][column].className = number ? "" : "none";
  }));
}

/** What feedback said, beside what training said. */
export function truth(found, task) {
  const rejected = total(found, "model_feedback_rejected_total");
  const last = total(found, "model_feedback_last_timestamp_seconds");
  const age = last ? `, the last ${span(Date.now() / 1000 - last)} ago` : "";
  write(at("truth-rejected"), `${age}${rejected ? `; ${count(rejected)} refused` : ""}`);
  const trained = (score) => select(found, "model_reference_score", (labels) => labels.score === score)[0]?.value;
  return task === "regression" ? errors(found, trained) : classes(found, trained);
}

const beside = (value, write) => (value === undefined ? "" : `${write(value)} in training`);

function errors(found, trained) {
  const rows = total(found, "model_feedback_rows_total");
  const mean = (name) => (rows ? total(found, name) / rows : null);
  const squared = mean("model_feedback_squared_error_total");
  const rmse = squared === null ? null : Math.sqrt(squared);
  write(at("truth-count"), count(rows));
  scores(at("truth"), [
    { title: "RMSE", text: figure(rmse), beside: beside(trained("rmse"), figure) },
    { title: "MAE", text: figure(mean("model_feedback_absolute_error_total")), beside: beside(trained("mae"), figure) },
  ]);
}

function classes(found, trained) {
  const matrix = confusion(found);
  write(at("truth-count"), count(matrix.rows));
  const [summary, cells, list] = once(at("truth"), "classes", (parent) => {
    const parts = [make("div"), make("div", "scroll"), make("div", "scroll")];
    parent.append(...parts);
    return parts;
  });
  scores(summary, [{ title: "Accuracy", text: percent(matrix.accuracy), beside: beside(trained("accuracy"), percent) }]);
  cells.hidden = matrix.classes.length > MOST_CLASSES;
  if (!cells.hidden) square(cells, matrix);
  const shown = [...matrix.scores].sort((one, other) => (matrix.classes.length > MOST_OUTCOMES ? other.rows - one.rows : 0)).slice(0, MOST_OUTCOMES);
  const lines = once(list, JSON.stringify(shown.map(({ name }) => name)), () => {
    const { body, whole } = table(["Class", "Precision", "Recall", "Rows"]);
    list.append(whole);
    return shown.map(({ name }) => {
      const cells = [make("td"), make("td"), make("td")];
      body.append(row(name, ...cells));
      return cells;
    });
  });
  lines.forEach(([precision, recall, rows], index) => {
    write(precision, percent(shown[index].precision));
    write(recall, percent(shown[index].recall));
    write(rows, count(shown[index].rows));
  });
}

function square(parent, { classes, of }) {
  const cells = once(parent, JSON.stringify(classes), () => {
    const { body, whole } = table(["Actual", ...classes.map((name) => `→ ${name}`)], "Rows by actual class and prediction (→)");
    parent.append(whole);
    return classes.map((actual) => {
      const cells = classes.map(() => make("td"));
      body.append(row(actual, ...cells));
      return cells;
    });
  });
  classes.forEach((actual, line) => classes.forEach((predicted, column) => {
    const number = of(actual, predicted);
    const cell = cells[line][column];
    write(cell, `${count(number)}${number ? (line === column ? " ✓" : " ✗") : ""}`);
    cell.className = number ? (line === column ? "right" : "wrong") : "none";
  }));
}
