import { VDomModel } from '@jupyterlab/ui-components';
import type { ISignal } from '@lumino/signaling';
import type { Api } from './api';
import { Grading } from './grading';
import { problemOf, requireVersion } from './problems';
import type { CourseView, ModuleView, Progress, Report } from './schema';
import type { ICourseModel, IPreferences, IProblem, IRun } from './tokens';
import { isActive } from './words';

const PROGRESS_EVENT = 'https://events.tinytorch.org/progress/v1';
const COURSE_EVENT = 'https://events.tinytorch.org/course/v1';

export namespace CourseModel {
  /** Fields lie flat beside the schema's id. */
  export interface IEmission {
    readonly schema_id: string;
  }

  export interface IOptions {
    readonly api: Api;
    readonly events: ISignal<unknown, IEmission>;
    /** Save the notebook at this path, if it is open; rejects if it can't be saved. */
    readonly save: (path: string) => Promise<void>;
  }
}

/** Owns the state of the course and of each grading; everything that is shown is drawn from it. */
export class CourseModel extends VDomModel implements ICourseModel {
  constructor(private readonly _options: CourseModel.IOptions) {
    super();
    this._grading = new Grading({
      api: _options.api,
      save: module => _options.save(this.pathOf(module)),
      changed: () => this._changed(),
      finished: () => this.refresh()
    });
    _options.events.connect(this._onEvent, this);
  }

  override dispose(): void {
    this._options.events.disconnect(this._onEvent, this);
    this._grading.dispose();
    super.dispose();
  }

  get course(): CourseView | null {
    return this._course;
  }

  get problem(): IProblem | null {
    return this._problem;
  }

  get loading(): boolean {
    return this._course === null && this._problem === null;
  }

  get selected(): string | null {
    return this._selected;
  }

  get runs(): ReadonlyMap<string, IRun> {
    return this._grading.runs;
  }

  get active(): IRun | null {
    return [...this.runs.values()].find(isActive) ?? null;
  }

  get preferences(): IPreferences {
    return this._preferences;
  }
  set preferences(value: IPreferences) {
    this._preferences = value;
    this._changed();
  }

  module(id: string): ModuleView | null {
    return this._course?.modules.find(module => module.id === id) ?? null;
  }

  run(module: string): IRun | null {
    return this._grading.get(module);
  }

  pathOf(module: string): string {
    return this.module(module)?.notebook ?? `notebooks/${module}.ipynb`;
  }

  select(module: string | null): void {
    if (module !== this._selected) {
      this._selected = module;
      this._changed();
    }
  }

  /** Read the course again. Calls made while it is being read share one more reading, after it. */
  refresh(): Promise<void> {
    this._next ??= this._reading.then(() => {
      this._next = null;
      this._reading = this._read();
      return this._reading;
    });
    return this._next;
  }

  /** A file was saved: where that shows ("edited since it passed", the numbers at the end), read the course again. */
  onSaved(path: string): void {
    const { modules = [], historical = [] } = this._course ?? {};
    const shown = [...modules.filter(({ state }) => state === 'complete'), ...historical];
    if (shown.some(({ notebook }) => notebook === path)) {
      void this.refresh();
    }
  }

  async start(): Promise<void> {
    await this._options.api.start();
    await this.refresh();
  }

  async open(module: string): Promise<string> {
    return (await this._options.api.open(module)).path;
  }

  async openHistorical(id: string): Promise<string> {
    return (await this._options.api.openHistorical(id)).path;
  }

  complete(module: string, checkOnly = false): Promise<void> {
    this._selected = module;
    return this._grading.complete(module, checkOnly, this.module(module)?.state !== 'complete');
  }

  cancel(module: string): Promise<void> {
    return this._grading.cancel(module);
  }

  async reset(module: string): Promise<string> {
    const { backup } = await this._options.api.reset(module);
    this._forget(module);
    await this.refresh();
    return backup ?? '';
  }

  async restore(module: string): Promise<readonly string[]> {
    const { done, backup } = await this._options.api.restore(module);
    if (this.run(module)?.report?.verdict === 'error') {
      this._forget(module); // it told of cells that are in their places now
    }
    await this.refresh();
    const what = done?.length ? done : ['Every exercise cell was in its place already.'];
    return backup ? [...what, `The notebook as it was is kept in ${backup}.`] : what;
  }

  async attempts(module: string): Promise<readonly Report[]> {
    return this._options.api.attempts(module);
  }

  async solution(module: string): Promise<string> {
    return (await this._options.api.solution(module)).source;
  }

  async diff(module: string, against: 'solution' | ''): Promise<string> {
    return (await this._options.api.diff(module, against)).source;
  }

  async recall(module: string): Promise<void> {
    const attempt = this.module(module)?.attempt;
    if (!attempt || this.run(module) || this._recalled.has(attempt)) {
      return;
    }
    this._recalled.add(attempt);
    const report = await this._options.api.attempt(attempt).catch(() => null);
    if (report && !this.run(module)) {
      this._grading.show(report);
    }
  }

  show(report: Report): void {
    this._selected = report.module;
    this._grading.show(report);
  }

  /** Show no report of the module until there is a new one. */
  private _forget(module: string): void {
    this._grading.forget(module);
    this._recalled.add(this.module(module)?.attempt ?? '');
  }

  private async _read(): Promise<void> {
    try {
      await this._compareVersions();
      this._course = await this._options.api.course();
      this._problem = null;
      this._selected ??= this._course.next.kind === 'module' ? this._course.next.id : null;
      this._selected = this._grading.pickUp(this._course) ?? this._selected;
    } catch (error) {
      this._compared = false;
      this._problem = problemOf(error);
      if (this._problem.kind !== 'offline') {
        this._course = null;
      }
    }
    this._changed();
  }

  private async _compareVersions(): Promise<void> {
    if (!this._compared) {
      requireVersion((await this._options.api.health()).version);
      this._compared = true;
    }
  }

  private _onEvent(_: unknown, emission: CourseModel.IEmission): void {
    if (emission.schema_id === COURSE_EVENT) {
      void this.refresh();
    } else if (emission.schema_id === PROGRESS_EVENT) {
      this._grading.onProgress(emission as CourseModel.IEmission & Progress);
    }
  }

  private _changed(): void {
    this.stateChanged.emit();
  }

  private readonly _grading: Grading;
  private readonly _recalled = new Set<string>();
  private _course: CourseView | null = null;
  private _problem: IProblem | null = null;
  private _selected: string | null = null;
  private _preferences: IPreferences = { celebrate: true, notifications: true };
  private _compared = false;
  private _reading: Promise<void> = Promise.resolve();
  private _next: Promise<void> | null = null;
}
