// Models that are served, asked and watched.
import { readFileSync, writeFileSync } from 'node:fs';
import { pretendOperator } from './operator.mjs';
import { answers, freePort, sleep, start } from './processes.mjs';

const { INFERENCE, OPERATOR, PROMETHEUS } = process.env;

/** One pod each: what is served, and how it is asked in the first and the second half of the time. */
const PODS = [
  { namespace: 'clinic', modelservice: 'diabetes', pod: 'diabetes-6c9f-8x2kd', csv: 'diabetes.csv', target: 'Outcome',
    loads: [['--rate', '40/s'], ['--rate', '40/s', '--drift', '50%', '--broken', '4%']] },
  { namespace: 'clinic', modelservice: 'diabetes', pod: 'diabetes-6c9f-tq7vz', csv: 'diabetes.csv', target: 'Outcome',
    loads: [['--rate', '20/s', '--rows', '5'], ['--rate', '20/s', '--rows', '5', '--drift', '50%']] },
  { namespace: 'clinic', modelservice: 'progression', pod: 'progression-77d4-m2w9c', csv: 'diabetes-progression.csv', target: 'target',
    version: '3', loads: [['--rate', '10/s'], ['--rate', '10/s']] },
  { namespace: 'cellar', modelservice: 'wine', pod: 'wine-5b8d-l4r6h', csv: 'wine.csv', target: 'target',
    version: '2', loads: [['--rate', '15/s'], ['--rate', '15/s', '--drift', '15%']] },
];

/** Trains what is not built in. */
async function train(data) {
  for (const { modelservice, csv, target, version } of PODS.filter((pod) => pod.version)) {
    await start(INFERENCE, ['train', '--data', `${data}/${csv}`, '--target', target, '--algorithm', 'random-forest',
      '--name', modelservice, '--model-version', version, '--out', `${modelservice}.json.gz`]).ended;
  }
}

async function serve(pod) {
  const [port, admin] = [await freePort(), await freePort()];
  const model = pod.version ? ['--model', `${pod.modelservice}.json.gz`] : ['--name', pod.modelservice];
  start(INFERENCE, ['serve', ...model, '--listen', `127.0.0.1:${port}`, '--admin', `127.0.0.1:${admin}`]);
  await answers(`http://127.0.0.1:${admin}/metrics`);
  return { ...pod, url: `http://127.0.0.1:${port}`, admin };
}

/** The rules that the operator makes, as files for Prometheus: the specs of the PrometheusRules. */
async function writeRules() {
  let text = '';
  const { child, ended } = start(OPERATOR, ['render', '--file', 'modelservices.yaml']);
  child.stdout.on('data', (data) => (text += data));
  await ended;
  const documents = text.split(/^---\n/m).filter((part) => /^kind: PrometheusRule$/m.test(part));
  documents.forEach((document, n) => {
    const [, spec] = document.split(/^spec:\n/m);
    writeFileSync(`${n}.rules.yml`, spec.replace(/^ {2}/gm, ''));
  });
  if (documents.length === 0) throw new Error('the operator renders no rules');
}

async function watch(pods, operator) {
  const target = (labels, port) => ({ targets: [`127.0.0.1:${port}`], labels });
  const served = pods.map(({ namespace, modelservice, pod, admin }) => target({ namespace, modelservice, pod }, admin));
  // JSON is YAML.
  writeFileSync('prometheus.yml', JSON.stringify({
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: ['*.rules.yml'],
    scrape_configs: [
      { job_name: 'models', static_configs: served },
      { job_name: 'operator', honor_labels: true,
        static_configs: [target({ namespace: 'modelservice-system', pod: 'modelservice-operator-0' }, operator)] },
    ],
  }));
  const port = await freePort();
  const started = start(PROMETHEUS, ['--config.file=prometheus.yml', '--storage.tsdb.path=data', `--web.listen-address=127.0.0.1:${port}`]);
  await Promise.race([answers(`http://127.0.0.1:${port}/-/ready`), started.ended]);
  return `http://127.0.0.1:${port}`;
}

/** Sends requests, those of the second half with what drifts and what is broken. */
async function ask(pod, data, seconds) {
  for (const load of pod.loads) {
    await start(INFERENCE, ['load', '--url', pod.url, '--data', `${data}/${pod.csv}`, '--target', pod.target,
      '--duration', `${Math.ceil(seconds / 2)}s`, ...load]).ended;
  }
}

/** Predicts rows whose truth is known, and tells it; now and then a truth that is none of the model's. */
async function tell({ url, csv, target }, data, seconds) {
  const [header, ...lines] = readFileSync(`${data}/${csv}`, 'utf8').trim().split('\n').map((line) => line.trim().split(','));
  const post = async (path, body) => {
    const answer = await fetch(url + path, { method: 'POST', body: JSON.stringify(body) });
    return answer.json();
  };
  for (let n = 0, end = Date.now() + seconds * 1000; Date.now() < end; n += 1, await sleep(150)) {
    const row = Object.fromEntries(lines[(n * 7) % lines.length].map((cell, at) => [header[at], Number(cell)]));
    const { [target]: actual, ...features } = row;
    const { prediction_id } = await post('/predict', features);
    await post('/feedback', { prediction_id, actual: n % 25 === 24 ? 'nonsense' : actual });
  }
}

/** Starts everything and has it work for a while; says where Prometheus is, and from when to when. */
export async function live(root, seconds) {
  const data = `${root}/examples/data`;
  await Promise.all([train(data), writeRules()]);
  const pods = await Promise.all(PODS.map(serve));
  const operatorPort = await freePort();
  const operator = pretendOperator(operatorPort);
  const prometheus = await watch(pods, operatorPort);
  const began = Date.now();
  await Promise.all(pods.flatMap((pod) => [ask(pod, data, seconds), tell(pod, data, seconds)]));
  return { prometheus, began, ended: Date.now(), close: () => operator.close() };
}
