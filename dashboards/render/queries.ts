// Asks Prometheus as Grafana's data source does, and gives Grafana's data frames.
import { type DataFrame, FieldType, type TimeRange, toDataFrame } from '@grafana/data';

export type Variables = Record<string, string>;
type Labels = Record<string, string>;
type Query = { refId: string; expr: string; legendFormat?: string; instant?: boolean; format?: string };

/** What the data source would be told of the scrape interval: rates look back four times as far. */
const SCRAPE_SECONDS = 5;
const settings = (window as any).SETTINGS;

async function ask(path: string, parameters: Record<string, string>) {
  const answer = await fetch(`${settings.prometheus}/api/v1/${path}?${new URLSearchParams(parameters)}`);
  const { status, data, error } = await answer.json();
  if (status !== 'success') throw new Error(error);
  return data;
}

/** Puts values in the place of variables; longer names first, as they contain others. */
export function replace(text: string, variables: Variables): string {
  const names = Object.keys(variables).sort((a, b) => b.length - a.length);
  return names.reduce((text, name) => text.replaceAll(`$${name}`, variables[name]).replaceAll(`\${${name}}`, variables[name]), text);
}

const seconds = (range: TimeRange) => (range.to.valueOf() - range.from.valueOf()) / 1000;

/** The variables of a dashboard, and the values of those that panels are repeated for. */
export async function resolve(dashboard: any) {
  const variables: Variables = {};
  const lists: Record<string, string[]> = {};
  for (const { name, type, query, definition, includeAll } of dashboard.templating.list) {
    if (type === 'constant') variables[name] = query;
    if (type !== 'query') continue;
    const [, series, label] = /^label_values\((.*),\s*(\w+)\)$/.exec(definition)!;
    lists[name] = await ask(`label/${label}/values`, { 'match[]': replace(series, variables) });
    variables[name] = settings.variables[name] ?? (includeAll ? lists[name].join('|') : lists[name][0]);
    if (variables[name] === undefined) throw new Error(`variable ${name} has no value`);
  }
  return { variables, lists };
}

/** The frames of all queries of a panel that is so many pixels wide. */
export async function frames(panel: any, variables: Variables, range: TimeRange, width: number): Promise<DataFrame[]> {
  const step = Math.max(Math.ceil(seconds(range) / width), 1);
  const known = {
    ...variables,
    __rate_interval: `${Math.max(step + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS)}s`,
    __range: `${Math.round(seconds(range))}s`,
  };
  const tables = panel.targets.filter((query: Query) => query.format === 'table').length;
  const all = panel.targets.map((query: Query) => {
    const expr = replace(query.expr, known);
    if (!query.instant) return series(query, expr, range, step);
    return query.format === 'table' ? table(query, expr, range, tables > 1) : instant(query, expr, range);
  });
  return (await Promise.all(all)).flat();
}

function name({ legendFormat }: Query, labels: Labels) {
  return legendFormat?.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? '');
}

/** Prometheus writes numbers as texts. */
const number = (text: string) => (text.endsWith('Inf') ? Number(text.replace('Inf', 'Infinity')) : Number(text));

function frame(query: Query, labels: Labels, samples: [number, string][], interval?: number): DataFrame {
  const displayNameFromDS = name(query, labels);
  return toDataFrame({
    refId: query.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: samples.map(([time]) => time * 1000), config: { interval } },
      { name: 'Value', type: FieldType.number, labels, values: samples.map(([, value]) => number(value)), config: { displayNameFromDS } },
    ],
  });
}

async function series(query: Query, expr: string, range: TimeRange, step: number) {
  const times = { start: String(range.from.valueOf() / 1000), end: String(range.to.valueOf() / 1000), step: String(step) };
  const { result } = await ask('query_range', { query: expr, ...times });
  return result.map(({ metric, values }: any) => frame(query, metric, values, step * 1000));
}

async function instant(query: Query, expr: string, range: TimeRange) {
  const { result } = await ask('query', { query: expr, time: String(range.to.valueOf() / 1000) });
  return result.map(({ metric, value }: any) => frame(query, metric, [value]));
}

/** One frame with a column for each label. */
async function table(query: Query, expr: string, range: TimeRange, isOneOfMany: boolean) {
  const { result } = await ask('query', { query: expr, time: String(range.to.valueOf() / 1000) });
  if (result.length === 0) return [];
  const labels = [...new Set<string>(result.flatMap(({ metric }: any) => Object.keys(metric)))];
  const column = (label: string) => ({ name: label, type: FieldType.string, values: result.map(({ metric }: any) => metric[label] ?? '') });
  return [
    toDataFrame({
      refId: query.refId,
      fields: [
        { name: 'Time', type: FieldType.time, values: result.map(({ value }: any) => value[0] * 1000) },
        ...labels.map(column),
        { name: isOneOfMany ? `Value #${query.refId}` : 'Value', type: FieldType.number, values: result.map(({ value }: any) => number(value[1])) },
      ],
    }),
  ];
}

/** How many things the annotations mark; fails if one of their queries does. */
export async function annotations(dashboard: any, variables: Variables, range: TimeRange) {
  const times = { start: String(range.from.valueOf() / 1000), end: String(range.to.valueOf() / 1000), step: '5' };
  const marks = dashboard.annotations.list.map(async ({ name, expr }: any) => {
    const { result } = await ask('query_range', { query: replace(expr, variables), ...times });
    return `${name}: ${result.length}`;
  });
  return Promise.all(marks) as Promise<string[]>;
}
