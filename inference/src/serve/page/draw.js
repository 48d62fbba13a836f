// Elements and numbers as the page shows them. Names come from the model file: they are only ever text.

export const at = (id) => document.getElementById(id);

/** Writes `text` into an element, if it says something else. */
export function write(element, text) {
  const now = String(text);
  if (element.textContent !== now) element.textContent = now;
}

/** An element with a class, attributes and children, which are text or elements. */
export function make(tag, look = "", attributes = {}, ...children) {
  const element = document.createElement(tag);
  if (look) element.className = look;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });

export const count = (number) => whole.format(number);

/** Three digits that matter. */
export function figure(number) {
  if (number === null || Number.isNaN(number)) return "–";
  if (number === 0) return "0";
  const size = Math.abs(number);
  if (size >= 1000 && size < 1e9) return whole.format(number);
  return size >= 1e9 || size < 1e-3 ? number.toExponential(2) : String(Number(number.toPrecision(3)));
}

export const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(1)} %`);

export function seconds(time) {
  if (time === null) return "–";
  if (time < 1e-3) return `${figure(time * 1e6)} µs`;
  return time < 1 ? `${figure(time * 1e3)} ms` : `${figure(time)} s`;
}

export function bytes(size) {
  return size < 2 ** 30 ? `${(size / 2 ** 20).toFixed(1)} MiB` : `${(size / 2 ** 30).toFixed(2)} GiB`;
}

/** How long `time` seconds are, roughly. */
export function span(time) {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const [unit, length] = units.find(([, length]) => time >= length) ?? units[3];
  return `${Math.max(0, Math.floor(time / length))} ${unit}`;
}

/** A line through `points`, `[0 to 1 from left to right, value]`, from 0 to their highest. */
export function sparkline(svg, points) {
  if (!svg.firstChild) {
    svg.setAttribute("viewBox", "0 0 100 100");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.append(document.createElementNS("http://www.w3.org/2000/svg", "polyline"));
  }
  const known = points.filter(([, value]) => value !== null);
  const highest = Math.max(...known.map(([, value]) => value), Number.MIN_VALUE);
  const place = ([x, value]) => `${(100 * x).toFixed(2)},${(98 - (94 * value) / highest).toFixed(2)}`;
  svg.firstChild.setAttribute("points", known.map(place).join(" "));
}

/** A bar of which `share` is filled, beside which its number is written. */
export function bar(look = "") {
  return make("span", `bar ${look}`, { "aria-hidden": "true" }, make("span"));
}

export function fill(element, share) {
  element.firstChild.style.width = `${(100 * Math.min(1, Math.max(0, share))).toFixed(2)}%`;
}

/** A table with a line of `titles`; `look` of each column. */
export function table(titles, caption) {
  const line = make("tr", "", {}, ...titles.map((title) => make("th", "", { scope: "col" }, title)));
  const body = make("tbody");
  const text = caption ? [make("caption", "", {}, caption)] : [];
  return { body, whole: make("table", "", {}, ...text, make("thead", "", {}, line), body) };
}

/** The line of a table: its name, and cells. */
export function row(name, ...cells) {
  const cell = (content) => (content instanceof HTMLTableCellElement ? content : make("td", "", {}, content));
  return make("tr", "", {}, make("th", "", { scope: "row" }, name), ...cells.map(cell));
}

/** Makes the content of `parent` anew if `shape` is not the one from before; returns what was made. */
export function once(parent, shape, build) {
  if (parent.shape !== shape) {
    parent.shape = shape;
    parent.replaceChildren();
    parent.parts = build(parent);
  }
  return parent.parts;
}

/** `(1.23456, 2.5]` as people read it. */
function words(range) {
  const [low, high] = range.slice(1, -1).split(", ").map((edge) => edge.endsWith("Inf") ? null : String(Number(Number(edge).toPrecision(4))));
  if (low === null) return high === null ? "all" : `to ${high}`;
  return high === null ? `over ${low}` : `${low} to ${high}`;
}

/** Actual shares of `bins` beside those of training. */
export function bins(parent, bins, counts) {
  const all = counts.reduce((sum, count) => sum + count, 0);
  const lines = once(parent, JSON.stringify(bins.map(({ range }) => range)), () => {
    const { body, whole } = table(["Range", "", "Now", "Training"]);
    parent.append(whole);
    return bins.map(({ range }) => {
      const [now, then] = [bar(), bar("then")];
      const [actual, expected] = [make("td"), make("td")];
      const line = row(words(range), make("td", "bars", {}, now, then), actual, expected);
      line.title = range;
      line.firstChild.className = "range";
      body.append(line);
      return { now, then, actual, expected };
    });
  });
  const shares = counts.map((count) => (all ? count / all : 0));
  const most = Math.max(...shares, ...bins.map(({ share }) => share));
  lines.forEach(({ now, then, actual, expected }, bin) => {
    fill(now, shares[bin] / most);
    fill(then, bins[bin].share / most);
    write(actual, all ? percent(shares[bin]) : "–");
    write(expected, percent(bins[bin].share));
  });
}
