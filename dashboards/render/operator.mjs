// What an operator would say of the ModelServices: there is none without a cluster. Names and labels are those of
// operator/src/metrics.
import { createServer } from 'node:http';

const SERVICES = [
  { namespace: 'clinic', name: 'diabetes', version: '1', desired: 2, ready: 2 },
  { namespace: 'clinic', name: 'progression', version: '3', desired: 1, ready: 1 },
  { namespace: 'cellar', name: 'wine', version: '2', desired: 2, ready: 1 },
];

function ofService({ namespace, name, version, desired, ready }) {
  const labels = `namespace="${namespace}",name="${name}"`;
  const replicas = { desired, total: desired, ready };
  const holds = { Ready: ready === desired, ModelLoaded: true, MonitoringReady: true };
  return [
    `modelservice_info{${labels},version="${version}"} 1`,
    ...Object.entries(replicas).map(([kind, count]) => `modelservice_replicas{${labels},kind="${kind}"} ${count}`),
    ...Object.entries(holds).flatMap(([condition, holds]) =>
      ['True', 'False', 'Unknown'].map((status) =>
        `modelservice_status_condition{${labels},condition="${condition}",status="${status}"} ${Number(status === (holds ? 'True' : 'False'))}`)),
  ];
}

function ofItself(seconds) {
  const reconciles = Math.floor(seconds / 2);
  return [
    'modelservice_leader 1',
    'modelservice_reconciles_active 0',
    'modelservice_reconciles_waiting 0',
    ...[0.01, 0.05, 0.25, '+Inf'].map((le, n) => `modelservice_reconcile_duration_seconds_bucket{le="${le}"} ${n === 0 ? Math.floor(reconciles * 0.6) : reconciles}`),
    `modelservice_reconcile_duration_seconds_count ${reconciles}`,
    `modelservice_reconcile_duration_seconds_sum ${reconciles * 0.012}`,
    `modelservice_reconcile_errors_total{category="api"} ${Math.floor(seconds / 40)}`,
    `modelservice_api_requests_total{verb="patch",code="200"} ${reconciles * 3}`,
    `modelservice_api_requests_total{verb="patch",code="409"} ${Math.floor(seconds / 40)}`,
    `process_resident_memory_bytes ${21e6}`,
    `process_cpu_seconds_total ${(seconds * 0.004).toFixed(3)}`,
  ];
}

/** Serves the metrics on this port until it is closed. */
export function pretendOperator(port) {
  const began = Date.now();
  const server = createServer((_, answer) => {
    const lines = [...SERVICES.flatMap(ofService), ...ofItself((Date.now() - began) / 1000)];
    answer.setHeader('content-type', 'text/plain; version=0.0.4').end(lines.join('\n') + '\n');
  });
  server.listen(port, '127.0.0.1');
  return server;
}
