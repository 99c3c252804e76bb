import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  test: {
    environment: 'jsdom',
    isolate: false, // JupyterLab's libraries are loaded once, not once for each file: a quarter of the time
    globals: true,
    setupFiles: ['./vitest.setup.ts'],
    include: ['src/**/*.spec.{ts,tsx}'],
    server: { deps: { inline: [/@jupyterlab/, /@jupyter-widgets/, /@jupyter\//, /@lumino/] } }
  }
});
