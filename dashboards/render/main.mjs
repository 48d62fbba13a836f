// Has everything work for a while, draws both dashboards, prints what each panel shows and judges it.
import { build } from 'esbuild';
import { draw } from './picture.mjs';
import { stopAll } from './processes.mjs';
import { live } from './world.mjs';

const [root] = process.argv.slice(2);
const SECONDS = Number(process.env.SECONDS_OF_TRAFFIC ?? 150);

/** What is drawn; and what may be empty, with the reason in a comment. */
const DASHBOARDS = [
  { file: 'model-service', variables: { namespace: 'clinic', modelservice: 'diabetes' },
    // The first is about regressions, the second needs cAdvisor.
    mayBeEmpty: ['RMSE and MAE', 'Network'] },
  { file: 'model-service', variables: { namespace: 'clinic', modelservice: 'progression' }, only: ['RMSE and MAE', 'Score'] },
  { file: 'fleet', variables: {}, mayBeEmpty: [] },
];

/** Panels that fail, or show nothing where they should; what fails as a whole is one of them. */
function judge({ only, mayBeEmpty = [] }, report) {
  const wanted = report.filter(({ title, error }) => !only || only.includes(title) || error);
  return wanted.filter(({ title, error, shows }) => error || (shows.length === 0 && !mayBeEmpty.includes(title)));
}

async function main() {
  const stop = () => stopAll().finally(() => process.exit(1));
  process.once('SIGINT', stop).once('SIGTERM', stop);
  await build({
    entryPoints: ['page.tsx'], outfile: 'page.js', bundle: true, format: 'esm', jsx: 'automatic', logLevel: 'error',
    define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
    loader: Object.fromEntries(['.svg', '.png', '.woff', '.woff2', '.ttf'].map((end) => [end, 'dataurl'])),
  });
  console.log(`serving and asking three models for ${SECONDS} s`);
  const world = await live(root, SECONDS);
  let failed = 0;
  for (const dashboard of DASHBOARDS) {
    const picture = dashboard.only ? null : `${root}/docs/images/${dashboard.file}.png`;
    const report = await draw(root, world, dashboard, picture);
    console.log(`\n${dashboard.file} ${Object.values(dashboard.variables).join('/')}`);
    for (const { title, error, shows } of report) console.log(`  ${title}: ${error ?? (shows.join('; ') || 'nothing')}`);
    for (const { title, error } of judge(dashboard, report)) {
      failed += 1;
      console.error(`FAILED: ${title}: ${error ?? 'shows nothing'}`);
    }
  }
  world.close();
  return failed;
}

let failed = 1;
try {
  failed = await main();
} finally {
  await stopAll();
}
process.exit(failed ? 1 : 0);
