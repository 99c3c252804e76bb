import type { Api } from './api';
import { ApiError } from './api';
import { caughtUp, fold, missed, newRun } from './run';
import type { CourseView, Progress, Report } from './schema';
import type { IRun } from './tokens';
import { isActive, messageOf } from './words';

/** Milliseconds. The stream has no replay, so a running attempt is also read now and then. */
const POLL = 2000;
const POLL_AFTER_VERDICT = 150;

export namespace Grading {
  export interface IOptions {
    readonly api: Api;
    /** Save the module's notebook, if it is open. */
    readonly save: (module: string) => Promise<void>;
    /** Called whenever a run has changed. */
    readonly changed: (run: IRun) => void;
    /** Called once a report is there. */
    readonly finished: () => Promise<void>;
  }
}

/** The gradings of this page: one run a module, kept current by events and, as a safety net, by reading the attempt. */
export class Grading {
  constructor(private readonly _options: Grading.IOptions) {}

  readonly runs = new Map<string, IRun>();

  dispose(): void {
    this._disposed = true;
    this._timers.forEach(clearTimeout);
    this._timers.clear();
  }

  get(module: string): IRun | null {
    return this.runs.get(module) ?? null;
  }

  /** Save, then have the server grade. A second click while it runs changes nothing. */
  async complete(module: string, checkOnly: boolean, first: boolean): Promise<void> {
    if (isActive(this.get(module))) {
      return;
    }
    const run = this._put(newRun(module, { checkOnly, first }));
    try {
      await this._options.save(module);
    } catch (error) {
      this._fail(
        run,
        `The notebook could not be saved, so nothing was checked. ${messageOf(error)}`
      );
      return;
    }
    this._put({ ...run, phase: 'starting' });
    try {
      await this._joined(module, await this._options.api.complete(module, checkOnly));
    } catch (error) {
      this._fail(run, messageOf(error));
    }
  }

  async cancel(module: string): Promise<void> {
    const run = this.get(module);
    if (!run?.attempt || !isActive(run)) {
      return;
    }
    this._put({ ...run, cancelling: true });
    try {
      await this._options.api.cancel(run.attempt);
    } finally {
      await this._sync(run.attempt, module);
    }
  }

  /** Follow gradings under way that this page does not know, as after a reload. The last such module, or null. */
  pickUp(course: CourseView): string | null {
    let found: string | null = null;
    for (const { id, state, attempt } of course.modules) {
      if (state === 'checking' && attempt && !this._ended.has(attempt) && !isActive(this.get(id))) {
        this._put(newRun(id, { attempt, phase: 'queued', first: true }));
        this._watch(attempt, id, 0);
        found = id;
      }
    }
    return found;
  }

  /** Show a report that was read, or follow it to its end. */
  show(report: Report): void {
    this._put(caughtUp(newRun(report.module, { origin: 'past' }), report));
    if (report.state !== 'done') {
      this._watch(report.attempt, report.module);
    }
  }

  forget(module: string): void {
    this.runs.delete(module);
  }

  onProgress(event: Progress): void {
    if (this._ended.has(event.attempt)) {
      return;
    }
    let run = this.get(event.module);
    if (!run || !isActive(run)) {
      run = newRun(event.module, { attempt: event.attempt, origin: 'elsewhere', phase: 'queued' });
    } else if (run.attempt !== null && run.attempt !== event.attempt) {
      return;
    }
    const lost = missed(run, event);
    this._put({ ...fold(run, event), attempt: event.attempt });
    this._watch(event.attempt, event.module);
    if (event.kind === 'verdict') {
      this._watch(event.attempt, event.module, 0, POLL_AFTER_VERDICT);
    } else if (lost) {
      void this._sync(event.attempt, event.module);
    }
  }

  /** The answer to our POST: the attempt it began, or the one that was running. Its events may have come first. */
  private async _joined(module: string, report: Report): Promise<void> {
    const run = this.get(module);
    if (!run || !isActive(run) || (run.attempt !== null && run.attempt !== report.attempt)) {
      return;
    }
    this._put({ ...run, attempt: report.attempt, phase: run.seq < 0 ? 'queued' : run.phase });
    await this._read(report);
    this._watch(report.attempt, module);
  }

  /** Read the attempt after `delay`, then every `interval` until it is done. */
  private _watch(attempt: string, module: string, delay = POLL, interval = POLL): void {
    const key = `${attempt} ${interval}`;
    if (this._disposed || this._timers.has(key)) {
      return;
    }
    const read = async (): Promise<void> => {
      await this._sync(attempt, module);
      this._timers.delete(key);
      const run = this.get(module);
      if (run?.attempt === attempt && isActive(run)) {
        this._watch(attempt, module, interval, interval);
      }
    };
    this._timers.set(
      key,
      setTimeout(() => void read(), delay)
    );
  }

  private async _sync(attempt: string, module: string): Promise<void> {
    try {
      await this._read(await this._options.api.attempt(attempt));
    } catch (error) {
      const run = this.get(module);
      if (error instanceof ApiError && error.status === 404 && run?.attempt === attempt) {
        this._fail(
          run,
          'The server no longer knows this attempt; it may have been restarted. Check again.'
        );
      }
      // anything else: out of reach for now, and the next reading tries again
    }
  }

  private async _read(report: Report): Promise<void> {
    const run = this.get(report.module);
    if (run?.attempt !== report.attempt || !isActive(run)) {
      return;
    }
    this._put(caughtUp(run, report));
    if (report.state === 'done') {
      this._ended.add(report.attempt);
      await this._options.finished();
    }
  }

  private _fail(run: IRun, error: string): void {
    const attempt = this.get(run.module)?.attempt;
    if (attempt) {
      this._ended.add(attempt);
    }
    this._put({ ...run, phase: 'done', error, report: null });
  }

  private _put(run: IRun): IRun {
    this.runs.set(run.module, run);
    this._options.changed(run);
    return run;
  }

  private readonly _ended = new Set<string>();
  private readonly _timers = new Map<string, ReturnType<typeof setTimeout>>();
  private _disposed = false;
}
