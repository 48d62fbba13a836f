// Draws one panel with the component that Grafana has for it.
import { type DataFrame, type FieldDisplay, type GrafanaTheme2, FieldType, formattedValueToString, getDisplayValueAlignmentFactors,
  getFieldDisplayName, getFieldDisplayValues, type TimeRange, VizOrientation } from '@grafana/data';
import { BarGauge, BigValue, BigValueJustifyMode, TimeSeries, VizRepeater } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';

export type Drawn = { panel: any; data: DataFrame[]; width: number; height: number; range: TimeRange; theme: GrafanaTheme2 };

/** A panel's values as a stat or a bar gauge shows them: what it says when there is none, too. */
function values({ panel, data, theme }: Drawn): FieldDisplay[] {
  const { reduceOptions, graphMode } = panel.options;
  const all = { fieldConfig: panel.fieldConfig, reduceOptions, replaceVariables: (text: string) => text, theme, data };
  return getFieldDisplayValues({ ...all, sparkline: graphMode === 'area' } as any);
}

const empty = (data: DataFrame[]) => data.every((frame) => frame.length === 0);
const text = (value: any) => formattedValueToString(value);

/** The data in words, for people and for the judge; nothing if there is none. */
export function shows(drawn: Drawn): string[] {
  const { panel, data } = drawn;
  if (empty(data)) return [];
  if (panel.type === 'stat' || panel.type === 'bargauge') {
    const real = values(drawn).filter(({ display }) => !Number.isNaN(display.numeric));
    return real.map(({ display }) => `${display.title ?? ''} ${text(display)} ${display.color}`.trim());
  }
  if (panel.type === 'table') return rows(data[0]);
  return data.flatMap((frame) => lines(frame, data));
}

function lines(frame: DataFrame, data: DataFrame[]) {
  const numbers = frame.fields.filter((field) => field.type === FieldType.number);
  return numbers.flatMap((field) => {
    const finite = field.values.filter(Number.isFinite);
    const last = finite.at(-1);
    return last === undefined ? [] : [`${getFieldDisplayName(field, frame, data)} ${text(field.display!(last))} (${finite.length})`];
  });
}

function rows(frame: DataFrame) {
  const cell = (field: any, row: number) => `${getFieldDisplayName(field, frame)} ${text(field.display(field.values[row]))}`;
  const some = Math.min(frame.length, 4);
  const shown = Array.from({ length: some }, (_, row) => frame.fields.map((field) => cell(field, row)).join(', '));
  return frame.length > some ? [...shown, `${frame.length - some} more rows`] : shown;
}

function Stat(drawn: Drawn) {
  const { panel, width, height, theme, data } = drawn;
  const one = ({ value, width, height, count, alignmentFactors }: any) => (
    <BigValue theme={theme} width={width} height={height} count={count} value={value.display} sparkline={value.sparkline} alignmentFactors={alignmentFactors}
      colorMode={panel.options.colorMode} graphMode={panel.options.graphMode} textMode={panel.options.textMode} justifyMode={BigValueJustifyMode.Center} wideLayout />
  );
  return <VizRepeater getValues={() => values(drawn)} getAlignmentFactors={(all: any) => getDisplayValueAlignmentFactors(all)} renderValue={one}
    width={width} height={height} source={data} renderCounter={0} autoGrid orientation={VizOrientation.Auto} />;
}

function Bars(drawn: Drawn) {
  const { panel, width, height, theme, data } = drawn;
  const { orientation, displayMode, valueMode, minVizHeight, maxVizHeight } = panel.options;
  const one = ({ value, width, height, alignmentFactors }: any) => (
    <BarGauge theme={theme} width={width} height={height} field={value.field} value={value.display} display={value.view?.getFieldDisplayProcessor(value.colIndex)}
      orientation={orientation} displayMode={displayMode} valueDisplayMode={valueMode} alignmentFactors={alignmentFactors} itemSpacing={8} showUnfilled />
  );
  return <VizRepeater getValues={() => values(drawn)} getAlignmentFactors={(all: any) => getDisplayValueAlignmentFactors(all)} renderValue={one}
    width={width} height={height} source={data} renderCounter={0} itemSpacing={8} orientation={orientation} minVizHeight={minVizHeight} maxVizHeight={maxVizHeight} />;
}

function Lines({ panel, data, width, height, range }: Drawn) {
  return <TimeSeries width={width} height={height} timeRange={range} timeZone="utc" frames={data} legend={panel.options.legend} options={panel.options} />;
}

function Table({ panel, data, width, height, range }: Drawn) {
  const rest = { structureRev: 1, disableSanitizeHtml: true, getActions: () => [], replaceVariables: (text: string) => text } as any;
  return <TableNG data={data[0]} width={width} height={height} timeRange={range} noHeader={!panel.options.showHeader} cellHeight={panel.options.cellHeight}
    initialSortBy={panel.options.sortBy ?? []} onCellFilterAdded={() => {}} {...rest} />;
}

const COMPONENTS: Record<string, (drawn: Drawn) => any> = { stat: Stat, bargauge: Bars, timeseries: Lines, table: Table };

export function Panel(drawn: Drawn) {
  const { panel, data, height } = drawn;
  const Component = COMPONENTS[panel.type];
  if (empty(data) && panel.type !== 'stat') {
    const centred = { height, display: 'flex', alignItems: 'center', justifyContent: 'center', opacity: 0.7 };
    return <div style={centred}>{panel.fieldConfig.defaults.noValue ?? 'No data'}</div>;
  }
  return <Component {...drawn} />;
}
