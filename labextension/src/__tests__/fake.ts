import { ServerConnection } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';
import { Api } from '../api';
import { CourseModel } from '../model';
import type {
  CheckResult,
  CourseView,
  HistoricalView,
  ModuleView,
  Progress,
  Report
} from '../schema';
import { VERSION } from '../version';

export function aModule(number: number, options: Partial<ModuleView> = {}): ModuleView {
  const name = ['setup', 'tensor', 'layers'][number - 1];
  const id = `0${number}_${name}`;
  return {
    id,
    number,
    title: name[0].toUpperCase() + name.slice(1),
    state: 'available',
    edited: false,
    capability: `Can do ${name}`,
    discovery: `Why ${name}?`,
    achievement: `You have ${name}.`,
    notebook: `notebooks/${id}.ipynb`,
    exercises: [{ id: `${name}-add`, title: `Add ${name}`, state: 'not_attempted', hints: 2 }],
    coming: false,
    attempt: null,
    ...options
  };
}

export const perceptron: HistoricalView = {
  id: 'perceptron_1957',
  title: 'Perceptron',
  year: 1957,
  state: 'locked',
  notebook: 'historical/perceptron_1957.ipynb',
  summary: '',
  module: '02_tensor',
  milestone: 'build',
  coming: false
};

export function aCourse(options: Partial<CourseView> = {}): CourseView {
  return {
    title: 'TinyTorch',
    version: VERSION,
    workspace: '/home/ada/course',
    next: { kind: 'module', id: '02_tensor', title: 'Tensor', text: 'Continue with 02 Tensor' },
    completed: 1,
    modules: [
      aModule(1, { state: 'complete' }),
      aModule(2),
      aModule(3, { state: 'locked', coming: true })
    ],
    milestones: [
      {
        id: 'build',
        title: 'I Can Build Networks!',
        name: 'Perceptron',
        year: 1957,
        module: '02_tensor',
        earned: false
      }
    ],
    historical: [perceptron],
    built: null,
    ...options
  };
}

export function aCheck(options: Partial<CheckResult> = {}): CheckResult {
  return {
    id: 'test_adds',
    exercise: 'tensor-add',
    title: 'Adding works.',
    outcome: 'passed',
    message: '',
    hint: '',
    seconds: 0,
    cell: 'exercise-tensor-add',
    ...options
  };
}

export function aReport(options: Partial<Report> = {}): Report {
  return {
    attempt: 'a1',
    module: '02_tensor',
    state: 'done',
    verdict: 'passed',
    seconds: 0.2,
    notebook_sha256: '',
    message: 'Every check passed.',
    blame: null,
    stages: [{ name: 'unit', checks: [aCheck()] }],
    cell_failure: null,
    unlocked: { modules: [], historical: [], milestones: [] },
    isolation: '',
    recorded: true,
    started: 0,
    timings: {},
    ...options
  };
}

export function anEvent(seq: number, options: Partial<Progress> = {}): Progress {
  return {
    attempt: 'a1',
    module: '02_tensor',
    seq,
    kind: 'cell',
    stage: '',
    index: 0,
    total: 4,
    cell: 'c0',
    check: '',
    exercise: '',
    title: '',
    outcome: 'passed',
    verdict: '',
    message: '',
    ...options
  };
}

type Answer = object | null | ((body: unknown) => object | null | Promise<object | null>);

/** An answer that is a refusal. */
export class Refusal {
  constructor(
    readonly status: number,
    readonly message: string
  ) {}
}

/** A server of our own making: answers by route, and what was asked of it. */
export class FakeServer {
  answers: { [route: string]: Answer } = {
    'GET health': { version: VERSION, ok: true },
    'GET course': aCourse(),
    'POST modules/02_tensor/complete': aReport({ state: 'queued', verdict: null, stages: [] }),
    'GET attempts/a1': aReport({ state: 'running', verdict: null, stages: [] }),
    'DELETE attempts/a1': null
  };
  readonly asked: string[] = [];
  readonly saved: string[] = [];
  readonly events = new Signal<this, CourseModel.IEmission>(this);
  save: (path: string) => Promise<void> = async () => undefined;

  model(): CourseModel {
    const settings = ServerConnection.makeSettings({
      baseUrl: 'http://here/base/',
      fetch: (input: RequestInfo | URL, init?: RequestInit) =>
        this._answer(new Request(input, init))
    });
    return new CourseModel({
      api: new Api(settings),
      events: this.events,
      save: async path => {
        this.saved.push(path);
        await this.save(path);
      }
    });
  }

  emit(progress: Progress): void {
    this.events.emit({
      schema_id: 'https://events.tinytorch.org/progress/v1',
      ...progress
    } as CourseModel.IEmission);
  }

  emitCourse(): void {
    this.events.emit({ schema_id: 'https://events.tinytorch.org/course/v1' });
  }

  count(route: string): number {
    return this.asked.filter(asked => asked === route).length;
  }

  private async _answer(request: Request): Promise<Response> {
    const address = request.url.replace(/[?&]\d+$/, ''); // JupyterLab adds the time, against caches
    const { pathname, search } = new URL(address);
    const route = `${request.method} ${pathname.replace('/base/tinytorch/api/', '')}${search}`;
    this.asked.push(route);
    const answer = this.answers[route];
    if (answer === undefined) {
      return new Response('<h1>nothing here</h1>', { status: 404 });
    }
    const text = await request.text();
    const value = typeof answer === 'function' ? await answer(text && JSON.parse(text)) : answer;
    if (value instanceof Refusal) {
      return new Response(JSON.stringify(value), { status: value.status });
    }
    return value === null
      ? new Response(null, { status: 204 })
      : new Response(JSON.stringify(value), { status: 200 });
  }
}

/** Let every promise that can go on do so. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 60; i++) {
    await Promise.resolve();
  }
}

export async function aModel(server: FakeServer): Promise<CourseModel> {
  const model = server.model();
  await model.refresh();
  return model;
}
