/** What JupyterLab's packages expect of a browser and jsdom does not have. */
import { cleanup } from '@testing-library/react';
import { afterEach } from 'vitest';

const browser = globalThis as unknown as Record<string, unknown>;

browser.DragEvent ??= class extends MouseEvent {};
browser.ResizeObserver ??= class {
  observe(): void {}
  unobserve(): void {}
  disconnect(): void {}
};
browser.matchMedia ??= () => ({
  matches: false,
  addEventListener(): void {},
  removeEventListener(): void {}
});
browser.requestIdleCallback ??= (callback: () => void) => setTimeout(callback, 0);
browser.cancelIdleCallback ??= clearTimeout;
(document as unknown as Record<string, unknown>).queryCommandSupported ??= () => false;
(navigator as unknown as Record<string, unknown>).clipboard ??= {};
Element.prototype.scrollIntoView ??= () => undefined;

afterEach(cleanup);
