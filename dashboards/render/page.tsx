// A dashboard as Grafana lays it out; what its panels show goes to window.REPORT.
import { createTheme, dateTime, LoadingState, ThemeContext, type TimeRange } from '@grafana/data';
import { GlobalStyles, PanelChrome } from '@grafana/ui';
import { Component, type ReactNode } from 'react';
import { createRoot } from 'react-dom/client';
import { prepare } from './fields';
import { type Drawn, Panel, shows } from './panels';
import { annotations, frames, replace, resolve, type Variables } from './queries';

const GAP = 8;
const CELL_HEIGHT = 38;
const { from, to, width } = (window as any).SETTINGS;
const theme = createTheme({ colors: { mode: 'dark' } });
const range: TimeRange = { from: dateTime(from), to: dateTime(to), raw: { from: dateTime(from), to: dateTime(to) } };

type Placed = { panel: any; variables: Variables };
type Line = { title: string; shows: string[]; error?: string };

/** Panels in their places: a panel that is repeated takes more, and what is below it moves down. */
function place(dashboard: any, variables: Variables, lists: Record<string, string[]>): Placed[] {
  let down = 0;
  return dashboard.panels.flatMap((panel: any) => {
    const { gridPos, repeat, maxPerRow } = panel;
    const top = gridPos.y + down;
    if (!repeat) return [{ panel: { ...panel, gridPos: { ...gridPos, y: top } }, variables }];
    const values = lists[repeat];
    const w = 24 / Math.min(maxPerRow, values.length);
    down += gridPos.h * (Math.ceil(values.length / maxPerRow) - 1);
    return values.map((value, n) => {
      const at = { h: gridPos.h, w, x: (n % maxPerRow) * w, y: top + Math.floor(n / maxPerRow) * gridPos.h };
      return { panel: { ...panel, gridPos: at }, variables: { ...variables, [repeat]: value } };
    });
  });
}

/** Notes what a component throws instead of losing the whole page. */
class Guard extends Component<{ line: Line; children: ReactNode }> {
  state = { failed: false };
  static getDerivedStateFromError = () => ({ failed: true });
  componentDidCatch(error: unknown) {
    this.props.line.error = String(error);
  }
  render() {
    return this.state.failed ? this.props.line.error : this.props.children;
  }
}

function position({ x, y, w, h }: any) {
  const column = width / 24;
  return { position: 'absolute', left: x * column + GAP / 2, top: y * CELL_HEIGHT + GAP / 2, width: w * column - GAP, height: h * CELL_HEIGHT - GAP } as const;
}

async function element({ panel, variables }: Placed, at: number, report: Line[]) {
  const style = position(panel.gridPos);
  const title = replace(panel.title, variables);
  if (panel.type === 'row') return <div key={at} style={{ ...style, padding: '6px 4px', fontWeight: 500, fontSize: 16 }}>⌄ {title}</div>;
  const line: Line = { title, shows: [] };
  report.push(line);
  const drawn = { panel, data: [], width: style.width, height: style.height, range, theme } as Drawn;
  try {
    const data = await frames(panel, variables, range, style.width);
    drawn.data = await prepare(panel, data, (text) => replace(text, variables), theme);
    line.shows = shows(drawn);
  } catch (error) {
    line.error = String(error);
  }
  return (
    <div key={at} style={style}>
      <PanelChrome title={title} description={panel.description} width={style.width} height={style.height} loadingState={LoadingState.Done}>
        {(width, height) => <Guard line={line}>{line.error ?? <Panel {...drawn} width={width} height={height} />}</Guard>}
      </PanelChrome>
    </div>
  );
}

async function main() {
  const dashboard = await (await fetch('dashboard.json')).json();
  const { variables, lists } = await resolve(dashboard);
  const placed = place(dashboard, variables, lists);
  const report: Line[] = [{ title: 'annotations', shows: await annotations(dashboard, variables, range) }];
  const elements = await Promise.all(placed.map((one, at) => element(one, at, report)));
  const bottom = Math.max(...placed.map(({ panel: { gridPos } }) => gridPos.y + gridPos.h));
  const { text, background } = theme.colors;
  const style = { position: 'relative', width, height: bottom * CELL_HEIGHT + GAP, color: text.primary, background: background.canvas } as const;
  createRoot(document.getElementById('root')!).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div style={style}>{elements}</div>
    </ThemeContext.Provider>
  );
  // Canvases are drawn after the components.
  await new Promise((resolve) => setTimeout(resolve, 3000));
  return report;
}

main()
  .catch((error) => [{ title: 'dashboard', shows: [], error: String(error) }])
  .then((report) => ((window as any).REPORT = report));
