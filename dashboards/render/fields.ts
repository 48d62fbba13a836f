// What Grafana's application sets up before it shows a panel: the properties of fields, and the transformations.
import * as grafana from '@grafana/data';

const STANDARD: [string, any][] = [
  ['unit', grafana.unitOverrideProcessor],
  ['min', grafana.numberOverrideProcessor],
  ['max', grafana.numberOverrideProcessor],
  ['decimals', grafana.numberOverrideProcessor],
  ['displayName', grafana.displayNameOverrideProcessor],
  ['color', grafana.identityOverrideProcessor],
  ['noValue', grafana.stringOverrideProcessor],
  ['links', grafana.dataLinksOverrideProcessor],
  ['mappings', grafana.valueMappingsOverrideProcessor],
  ['thresholds', grafana.thresholdsOverrideProcessor],
];
/** Properties of lines and of columns. Those that are not listed would have no effect here. */
const CUSTOM = ['drawStyle', 'lineWidth', 'lineStyle', 'fillOpacity', 'showPoints', 'spanNulls', 'stacking', 'thresholdsStyle', 'axisSoftMax',
  'align', 'cellOptions', 'filterable', 'width'];

function property(id: string, path: string, process: any, isCustom: boolean) {
  const unused = { settings: {}, editor: () => null, override: () => null };
  return { id, path, name: id, process, isCustom, shouldApply: () => true, ...unused } as any;
}

const registry = new grafana.FieldConfigOptionsRegistry();
for (const [id, process] of STANDARD) registry.register(property(id, id, process, false));
for (const id of CUSTOM) registry.register(property(`custom.${id}`, id, grafana.identityOverrideProcessor, true));

// One of them is listed twice.
const transformers = new Map(Object.values(grafana.standardTransformers).map((one: any) => [one.id, one]));
grafana.standardTransformersRegistry.setInit(() =>
  [...transformers.values()].map((one) => ({ id: one.id, name: one.name, transformation: async () => one, editor: () => null }) as any)
);

/** Properties that a panel sets or overrides, as they are registered. */
function used({ fieldConfig: { defaults, overrides } }: any): string[] {
  const custom = Object.keys(defaults.custom ?? {}).map((key) => `custom.${key}`);
  const standard = Object.keys(defaults).filter((key) => key !== 'custom');
  return [...standard, ...custom, ...overrides.flatMap(({ properties }: any) => properties.map(({ id }: any) => id))];
}

/** Data as a panel of this configuration sees it. */
export async function prepare(panel: any, data: grafana.DataFrame[], replaceVariables: (text: string) => string, theme: grafana.GrafanaTheme2) {
  const steps = panel.transformations ?? [];
  const unknown = steps.find(({ id }: any) => !transformers.has(id));
  if (unknown) throw new Error(`there is no transformation ${unknown.id}`);
  const ineffective = used(panel).find((id) => !registry.getIfExists(id));
  if (ineffective) throw new Error(`there is no property ${ineffective}`);
  const transformed = await new Promise<grafana.DataFrame[]>((resolve, reject) =>
    grafana.transformDataFrame(steps, data).subscribe({ next: resolve, error: reject })
  );
  return grafana.applyFieldOverrides({
    data: transformed, fieldConfig: panel.fieldConfig, replaceVariables, theme, fieldConfigRegistry: registry, timeZone: 'utc',
  } as any);
}
