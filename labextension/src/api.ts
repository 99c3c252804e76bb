import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { CourseView, Report } from './schema';

/** The server answered, and the answer is no. `message` is fit for a student to read. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly reason: string = ''
  ) {
    super(message);
  }
}

export interface IHealth {
  readonly version: string;
  readonly ok: boolean;
}

/** The server half, as DESIGN.md's table has it: one method a route. */
export class Api {
  constructor(private readonly _settings: ServerConnection.ISettings) {}

  health(): Promise<IHealth> {
    return this._ask('GET', 'health');
  }

  course(): Promise<CourseView> {
    return this._ask('GET', 'course');
  }

  async start(): Promise<void> {
    await this._ask('POST', 'workspace');
  }

  open(module: string): Promise<{ path: string }> {
    return this._ask('POST', `modules/${module}/open`);
  }

  openHistorical(id: string): Promise<{ path: string }> {
    return this._ask('POST', `historical/${id}/open`);
  }

  reset(module: string): Promise<{ path: string; backup?: string | null }> {
    return this._ask('POST', `modules/${module}/reset`);
  }

  restore(module: string): Promise<{ path: string; backup?: string | null; done?: string[] }> {
    return this._ask('POST', `modules/${module}/restore`);
  }

  /** Begin grading, or join the grading that is under way. */
  complete(module: string, checkOnly: boolean): Promise<Report> {
    return this._ask('POST', `modules/${module}/complete`, { check_only: checkOnly });
  }

  attempt(id: string): Promise<Report> {
    return this._ask('GET', `attempts/${id}`);
  }

  async cancel(id: string): Promise<void> {
    await this._ask('DELETE', `attempts/${id}`);
  }

  attempts(module: string): Promise<readonly Report[]> {
    return this._ask('GET', `modules/${module}/attempts`);
  }

  solution(module: string): Promise<{ source: string }> {
    return this._ask('GET', `modules/${module}/solution`);
  }

  /** Against the solution, or else against what was accepted, or else what the student began with. */
  diff(module: string, against: 'solution' | ''): Promise<{ source: string }> {
    return this._ask('GET', `modules/${module}/diff${against && `?against=${against}`}`);
  }

  private async _ask<T>(method: string, route: string, body?: object): Promise<T> {
    const url = URLExt.join(this._settings.baseUrl, 'tinytorch/api', route);
    const init = { method, body: body && JSON.stringify(body) };
    const response = await ServerConnection.makeRequest(url, init, this._settings);
    const text = await response.text();
    if (!response.ok) {
      throw refusal(response, text);
    }
    return (text ? JSON.parse(text) : null) as T;
  }
}

/** A refusal in words, whoever wrote it: our handlers, JupyterLab's server, or a proxy in between. */
function refusal(response: Response, text: string): ApiError {
  let said: { message?: unknown; reason?: unknown } = {};
  try {
    said = JSON.parse(text) ?? {};
  } catch {
    // not JSON: a proxy's page, which is no help to a student
  }
  const fallback = `The server answered ${response.status} ${response.statusText}.`;
  return new ApiError(
    response.status,
    typeof said.message === 'string' && said.message ? said.message : fallback,
    typeof said.reason === 'string' ? said.reason : ''
  );
}
