// Opens a dashboard in headless Chromium and takes its picture.
import chromium from '@sparticuz/chromium';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import puppeteer from 'puppeteer-core';
import sharp from 'sharp';

const WIDTH = 1600;
const LARGEST = 400_000;

/** Serves the page, its script and the dashboard on a port of its own. */
function serve(root, { prometheus, began, ended }, { file, variables }) {
  const settings = JSON.stringify({ prometheus, from: began, to: ended, variables, width: WIDTH });
  const files = {
    '/': ['text/html', () => `<!doctype html><link rel=stylesheet href=page.css><body style="margin:0"><div id=root></div>
      <script>window.SETTINGS=${settings}</script><script type=module src=page.js></script>`],
    '/page.js': ['text/javascript', () => readFileSync('page.js')],
    '/page.css': ['text/css', () => readFileSync('page.css')],
    '/dashboard.json': ['application/json', () => readFileSync(`${root}/dashboards/${file}.json`)],
  };
  const server = createServer((request, answer) => {
    const [type, read] = files[request.url] ?? [];
    if (!read) return answer.writeHead(404).end();
    answer.setHeader('content-type', type).end(read());
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

/** What each panel shows; the picture goes to the file, if one is named. */
export async function draw(root, world, dashboard, file) {
  const server = await serve(root, world, dashboard);
  const english = { LANG: 'en_US.UTF-8', LC_ALL: 'en_US.UTF-8', LANGUAGE: 'en-US' };
  const browser = await puppeteer.launch({
    args: puppeteer.defaultArgs({ args: [...chromium.args, '--lang=en-US'], headless: 'shell' }),
    executablePath: await chromium.executablePath(), headless: 'shell', env: { ...process.env, ...english },
    // So high that everything is in sight: tables draw no rows that are not.
    defaultViewport: { width: WIDTH, height: 6000 },
  });
  try {
    const page = await browser.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    await page.waitForFunction('window.REPORT', { timeout: 120_000 }).catch(() => {
      throw new Error(`the page did not get ready: ${errors.join('\n')}`);
    });
    const report = await page.evaluate('window.REPORT');
    if (file) await save(await (await page.$('#root > div')).screenshot(), file);
    return report;
  } finally {
    await browser.close();
    server.close();
  }
}

/** Writes a picture with few colours, so that the repository stays small. */
async function save(picture, file) {
  const { size } = await sharp(picture).png({ palette: true, colours: 200, dither: 0, effort: 10 }).toFile(file);
  if (size > LARGEST) throw new Error(`${file} has ${size} bytes, more than ${LARGEST}`);
}
