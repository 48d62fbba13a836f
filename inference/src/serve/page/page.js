// Asks for the metrics every other second while anybody looks, and shows them.

import { histogram, increase, parse, profiles, quantile, select, total, totals } from "./metrics.js";
import { at, bytes, count, figure, seconds, span, sparkline, write } from "./draw.js";
import { distributions, outcomes, quality, truth } from "./sections.js";

const PERIOD = 2;
const HISTORY = 600;
const SHORTEST_LINE = 60;
const RATE_WINDOW = 10;
const LATENCY_WINDOW = 60;
const PATIENCE = 5000;
// Who is refused asks seldom: each time is an error in the metrics of the server.
const REFUSED_PERIOD = 60;
const PREDICTING = ["/predict", "/v2/models/{model}/infer", "/v1/models/{model}:predict", "/invocations", "grpc/ModelInfer"];
const WORK = new Set([...PREDICTING, "/feedback"]);

let token = "";
let ticks = [];
let latest = null;
let opened = null;
let api = null;
let timer = 0;

const works = ({ endpoint }) => WORK.has(endpoint);
const others = ({ endpoint }) => endpoint !== "/" && endpoint !== "/metrics";
const predicts = ({ endpoint }) => PREDICTING.includes(endpoint);

/** What the cards need of a scrape. */
function tick(found, time) {
  return {
    time,
    requests: total(found, "api_requests_total", works),
    errors: total(found, "api_errors_total", others),
    // On the port of the predictions the request for the metrics is one.
    active: Math.max(0, total(found, "api_active_requests") - (api ? 1 : 0)),
    memory: total(found, "app_memory_usage_bytes", ({ type }) => type === "rss"),
    latency: histogram(found, "api_request_duration_seconds", predicts),
    inference: histogram(found, "model_inference_duration_seconds"),
  };
}

function remember(found) {
  const now = tick(found, performance.now() / 1000);
  const last = ticks.at(-1);
  // A server that counts less than before has begun anew.
  if (last && (now.requests < last.requests || now.errors < last.errors)) {
    ticks = [];
    opened = new Map();
  }
  opened ??= profiles(found);
  ticks = [...ticks.filter(({ time }) => now.time - time <= HISTORY), now];
  return now;
}

/** The oldest tick within so many seconds before `now`. */
const since = (now, length) => ticks.find(({ time }) => now.time - time <= length) ?? now;

function rate(now, before, name) {
  return now.time > before.time ? (now[name] - before[name]) / (now.time - before.time) : null;
}

/** Counts of the last minute, or since the start if nothing happened in it. */
function recent(now, name) {
  const fresh = increase(now[name], since(now, LATENCY_WINDOW)[name]);
  const enough = (fresh.get(Infinity) ?? 0) > 0;
  return { counts: enough ? fresh : now[name], window: enough ? "last minute" : "since start" };
}

function cards(found, now) {
  const before = since(now, RATE_WINDOW);
  write(at("request-rate"), figure(rate(now, before, "requests")));
  write(at("request-count"), count(now.requests));
  write(at("error-rate"), figure(rate(now, before, "errors")));
  write(at("error-count"), count(now.errors));
  const types = [...totals(found, "api_errors_total", "error_type", others)].filter(([, value]) => value);
  write(at("error-types"), types.map(([type, value]) => `${type} ${count(value)}`).join(", ") || "none of any type");
  const { counts, window } = recent(now, "latency");
  for (const [id, share] of [["p50", 0.5], ["p95", 0.95], ["p99", 0.99]]) write(at(id), seconds(quantile(share, counts)));
  write(at("latency-window"), window);
  write(at("model-p95"), seconds(quantile(0.95, recent(now, "inference").counts)));
  write(at("active"), count(now.active));
  write(at("memory"), bytes(now.memory));
  lines(now);
}

function lines(now) {
  const length = Math.max(SHORTEST_LINE, now.time - ticks[0].time);
  const place = (time) => 1 - (now.time - time) / length;
  const each = (value) => ticks.map((one, index) => [place(one.time), value(one, ticks[index - 1])]);
  sparkline(at("request-line"), each((one, last) => last ? rate(one, last, "requests") : null));
  sparkline(at("error-line"), each((one, last) => last ? rate(one, last, "errors") : null));
  sparkline(at("latency-line"), each((one, last) => last ? quantile(0.95, increase(one.latency, last.latency)) : null));
  sparkline(at("active-line"), each((one) => one.active));
  sparkline(at("memory-line"), each((one) => one.memory));
}

function about(found) {
  const { model = "Model server", version, algorithm, task, sha256 } = select(found, "model_info")[0]?.labels ?? {};
  const began = total(found, "process_start_time_seconds");
  const loaded = total(found, "model_loaded") ? [] : ["NOT LOADED"];
  const parts = [`version ${version}`, algorithm, task, `up ${span(Date.now() / 1000 - began)}`, `sha256 ${(sha256 ?? "").slice(0, 12)}`];
  write(at("model"), model);
  write(at("about"), [...loaded, ...parts].join(" · "));
  if (document.title !== model) document.title = model;
  return task;
}

function show(found) {
  const task = about(found);
  outcomes(found, task);
  distributions(found, at("since").value === "open" ? opened : null);
  quality(found);
  truth(found, task);
  hint(found);
}

/** A row that the model may have been trained on: the middles of the profiles. */
function example(found) {
  const row = {};
  for (const [feature, bins] of profiles(found)) {
    if (feature === "@prediction") continue;
    const edges = bins[bins.length >> 1].range.match(/-?\d[\d.e+-]*/g) ?? ["0"];
    row[feature] = Number(edges[0]);
  }
  return row;
}

function hint(found) {
  const fresh = total(found, "predictions_total") === 0;
  at("hint").hidden = !fresh;
  if (!fresh || at("hint").done) return;
  at("hint").done = true;
  const row = api?.components?.schemas?.Row?.examples?.[0] ?? example(found);
  const key = api?.paths?.["/predict"]?.post?.security?.length ? " -H 'Authorization: Bearer KEY'" : "";
  const base = api ? new URL(".", location.href).href : "http://localhost:8080/";
  const body = JSON.stringify(row).replaceAll("'", "'\\''");
  if (!api) write(at("hint-text"), "Predictions are asked on another port, in a cluster after kubectl port-forward deploy/NAME 8080. Try:");
  write(at("hint-command"), `curl${key} -d '${body}' ${base}predict`);
}

function say(look, text) {
  at("state").className = look;
  write(at("state"), text);
}

/** Shows why there are no metrics: `null` if there are. */
function explain(status) {
  at("figures").hidden = status !== null && !latest;
  at("locked").hidden = status !== 401;
  at("elsewhere").hidden = status !== 403 && status !== 404;
  write(at("elsewhere-why"), `This port answers ${status} to a request for them.`);
  if (status === 401 && token) write(at("locked-why"), "The server did not take this token.");
}

async function ask(path) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  return fetch(path, { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
}

async function poll() {
  const answer = await ask("metrics");
  explain(answer.ok ? null : answer.status);
  if (!answer.ok) {
    say("lost", `no metrics: status ${answer.status}`);
    return REFUSED_PERIOD;
  }
  latest = parse(await answer.text());
  cards(latest, remember(latest));
  show(latest);
  say("live", "live");
  return PERIOD;
}

/** The description of the API is there where predictions are. */
async function describe() {
  const answer = await fetch("openapi.json").catch(() => null);
  api = answer?.ok ? await answer.json().catch(() => null) : null;
  at("docs-link").hidden = !api;
}

async function again() {
  clearTimeout(timer);
  if (document.hidden) return say("", "paused");
  const begin = performance.now();
  const period = await poll().catch((failure) => {
    if (!(failure instanceof TypeError || failure.name === "TimeoutError")) console.error(failure);
    say("lost", "no answer, trying again");
    return PERIOD;
  });
  clearTimeout(timer);
  timer = setTimeout(again, Math.max(0, 1000 * period - (performance.now() - begin)));
}

document.addEventListener("visibilitychange", again);
at("since").addEventListener("change", () => latest && show(latest));
at("drift").addEventListener("toggle", () => latest && show(latest), true);
at("locked").addEventListener("submit", (event) => {
  event.preventDefault();
  token = at("token").value.trim();
  at("token").value = "";
  again();
});
await describe();
again();
