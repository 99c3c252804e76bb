import { existsSync } from 'node:fs';
import { defineConfig } from '@playwright/test';

const chromium =
  process.env.CHROMIUM ||
  ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(path =>
    existsSync(path)
  );

// Each test starts a JupyterLab of its own (lab.ts); two cores bear one at a time.
export default defineConfig({
  testDir: 'tests',
  outputDir: 'test-results',
  timeout: 240_000,
  expect: { timeout: 20_000 },
  workers: 1,
  forbidOnly: !!process.env.CI,
  reporter: [['list']],
  use: {
    screenshot: 'only-on-failure',
    viewport: { width: 1440, height: 900 },
    actionTimeout: 20_000,
    ...(chromium ? {} : { channel: 'chrome' }),
    launchOptions: {
      ...(chromium ? { executablePath: chromium } : {}),
      // Containers often run as root, where Chromium's own sandbox can't start. The pages are ours alone.
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync'
      ]
    }
  }
});
