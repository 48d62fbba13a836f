// Programs that are started here, and ended by their ids.
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';

const running = new Set();

/** Starts a program; what it says is shown only if it fails. */
export function start(program, args, options = {}) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output = (output + data).slice(-4000)));
  running.add(child);
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      running.delete(child);
      if (code === 0 || child.killed) resolve();
      else reject(new Error(`${program} ${args.join(' ')} ended with ${code}:\n${output}`));
    });
  });
  // Whoever waits for it sees the error; nobody has to.
  ended.catch(() => {});
  return { child, ended };
}

/** Ends everything that still runs. */
export async function stopAll() {
  const ends = [...running].map((child) => new Promise((resolve) => child.on('close', resolve)));
  for (const child of running) child.kill();
  const late = setTimeout(() => { for (const child of running) child.kill('SIGKILL'); }, 5000);
  await Promise.all(ends);
  clearTimeout(late);
}

/** A port of 127.0.0.1 that nobody listens on. */
export function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Asks until there is an answer. */
export async function answers(url, seconds = 30) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(100)) {
    const answer = await fetch(url).catch(() => null);
    if (answer?.ok) return;
  }
  throw new Error(`${url} does not answer`);
}
