/** A real `jupyter lab` on a free port and an empty folder, and the words a student's actions are made of. */
import { test as base, expect, type Locator, type Page } from '@playwright/test';
import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const BIN = resolve(import.meta.dirname, '../../../.venv/bin');
const CONFIG = resolve(import.meta.dirname, '../jupyter_server_test_config.py');

export interface ILab {
  url: string;
  folder: string;
  /** Runs `tito` in the folder that JupyterLab shows, and gives what it printed. */
  tito(...args: string[]): Promise<string>;
}

async function freePort(): Promise<number> {
  return new Promise((done, failed) => {
    const server = createServer().on('error', failed);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });
}

async function startLab(limits: Record<string, number>): Promise<ILab & { stop(): Promise<void> }> {
  const home = await mkdtemp(join(tmpdir(), 'tinytorch-ui-'));
  const folder = join(home, 'folder');
  await mkdir(folder);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let log = '';
  const server = spawn(join(BIN, 'jupyter'), ['lab', '--config', CONFIG], {
    cwd: folder,
    env: {
      ...process.env,
      JUPYTER_CONFIG_DIR: join(home, 'config'),
      TINYTORCH_UI_HOME: home,
      TINYTORCH_UI_PORT: String(port),
      TINYTORCH_UI_LIMITS: JSON.stringify(limits)
    },
    stdio: ['ignore', 'ignore', 'pipe']
  });
  server.stderr.on('data', text => (log += text));
  const ended = new Promise(done => server.once('exit', done));
  const stop = async (): Promise<void> => {
    server.kill('SIGTERM');
    await ended;
    await rm(home, { recursive: true, force: true });
  };
  const answers = (): Promise<boolean> =>
    fetch(`${url}/api/status`).then(
      answer => answer.ok,
      () => false
    );
  try {
    await expect.poll(() => server.exitCode !== null || answers(), { timeout: 90_000 }).toBe(true);
    expect(server.exitCode, 'jupyter lab still runs').toBeNull();
  } catch (error) {
    await stop();
    throw new Error(`jupyter lab did not start:\n${log}`, { cause: error });
  }
  return {
    url,
    folder,
    tito: async (...args) =>
      (await promisify(execFile)(join(BIN, 'tito'), [...args, '--workspace', folder])).stdout,
    stop
  };
}

export const test = base.extend<{ limits: Record<string, number>; lab: ILab }>({
  /** Limits of the grader that differ from a student's, such as a short time for a cell. */
  limits: [{}, { option: true }],
  lab: [
    async ({ limits }, use) => {
      const lab = await startLab(limits);
      await use(lab);
      await lab.stop();
    },
    { timeout: 120_000 }
  ],
  page: async ({ page, lab }, use) => {
    await page.goto(`${lab.url}/lab?reset`);
    await page.locator('#jupyterlab-splash').waitFor({ state: 'detached' });
    await use(page);
  }
});

export { expect, type Locator, type Page };
