import { ApiError } from './api';
import type { IProblem } from './tokens';
import { VERSION } from './version';
import { messageOf } from './words';

class VersionSkew extends Error {
  constructor(server: string) {
    super(
      `This page is TinyTorch ${VERSION}, the server runs ${server}. ` +
        'Stop JupyterLab, start it again, and reload this page.'
    );
  }
}

/** Both halves come from one package; they differ when only one of them was restarted after an update. */
export function requireVersion(server: string): void {
  if (server !== VERSION) {
    throw new VersionSkew(server);
  }
}

/** What kept the course from being read, and what to do about it. */
export function problemOf(error: unknown): IProblem {
  if (error instanceof VersionSkew) {
    return { kind: 'version', message: error.message };
  }
  if (error instanceof ApiError && error.status === 404) {
    return {
      kind: 'missing',
      message:
        'The server half of TinyTorch is not running. Start JupyterLab with `tito lab`, or enable it with ' +
        '`jupyter server extension enable tinytorch_core`, then reload this page.'
    };
  }
  if (error instanceof ApiError) {
    return { kind: 'failed', message: error.message };
  }
  return {
    kind: 'offline',
    message: `The server does not answer (${messageOf(error)}). Is JupyterLab still running?`
  };
}
