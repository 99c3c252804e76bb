import { Notification } from '@jupyterlab/apputils';
import type { Execute, ICourseModel, IRun } from '../tokens';
import { CommandIDs } from '../tokens';
import { allChecks, count, fraction, isActive, label, liveLine, verdictLine } from '../words';

/** Milliseconds between two updates of one notification; a run has dozens of events. */
const PACE = 150;
const AUTO_CLOSE = 8000;

interface IShown {
  readonly id: string;
  /** Waits to show the newest state. */
  timer: ReturnType<typeof setTimeout> | null;
}

/** One notification a run: its progress, then how it ended and what it opened. */
export class Notifier {
  constructor(
    private readonly _model: ICourseModel,
    private readonly _execute: Execute
  ) {
    _model.stateChanged.connect(() => this._model.runs.forEach(run => this._follow(run)));
  }

  private _follow(run: IRun): void {
    const shown = this._shown.get(run.serial);
    if (shown && isActive(run)) {
      this._progress(run.module, shown);
    } else if (shown) {
      clearTimeout(shown.timer ?? undefined);
      this._shown.delete(run.serial);
      Notification.update({ id: shown.id, ...this._ending(run) });
    } else if (isActive(run) && run.origin === 'here' && this._model.preferences.notifications) {
      Notification.dismiss(this._latest.get(run.module) ?? '');
      const id = Notification.emit(this._words(run), 'in-progress', {
        autoClose: false,
        progress: 0
      });
      this._latest.set(run.module, id);
      this._shown.set(run.serial, { id, timer: null });
    }
  }

  private _progress(module: string, shown: IShown): void {
    shown.timer ??= setTimeout(() => {
      shown.timer = null;
      const run = this._model.run(module);
      if (run && isActive(run)) {
        Notification.update({ id: shown.id, message: this._words(run), progress: fraction(run) });
      }
    }, PACE);
  }

  private _words(run: IRun): string {
    return `${this._name(run)}. ${liveLine(run)}`;
  }

  private _name(run: IRun): string {
    const module = this._model.module(run.module);
    return module ? label(module) : run.module;
  }

  private _ending(run: IRun): Omit<Notification.IUpdate<string>, 'id'> {
    const { report } = run;
    const name = this._name(run);
    if (report?.verdict === 'passed') {
      const checks = count(allChecks(report).length, 'check');
      const words = report.recorded ? `${name} is complete.` : `${name}: all ${checks} pass.`;
      const actions = this._unlocked(run);
      return { message: words, type: 'success', autoClose: AUTO_CLOSE, actions };
    }
    const words = report ? verdictLine(report) : `Not checked. ${run.error}`;
    const student = report?.verdict === 'failed';
    const type = student ? 'warning' : report?.verdict === 'cancelled' ? 'info' : 'error';
    const actions = [{ label: 'Show report', callback: () => this._showReport(run) }];
    return { message: `${name}. ${words}`, type, autoClose: AUTO_CLOSE, actions };
  }

  private _showReport(run: IRun): void {
    this._model.select(run.module);
    this._execute(CommandIDs.showSidebar);
  }

  private _unlocked(run: IRun): Notification.IAction[] {
    const { course } = this._model;
    const { historical = [], modules = [] } = run.report?.unlocked ?? {};
    const examples = course?.historical.filter(h => historical.includes(h.id)) ?? [];
    const next = course?.modules.filter(m => modules.includes(m.id)) ?? [];
    return [
      ...next.map(module => ({
        label: `Open ${label(module)}`,
        displayType: 'accent' as const,
        callback: () => this._execute(CommandIDs.openModule, { module: module.id })
      })),
      ...examples.map(({ id, title, year }) => ({
        label: `Open ${title} (${year})`,
        displayType: 'accent' as const,
        callback: () => this._execute(CommandIDs.openExample, { historical: id })
      }))
    ];
  }

  private readonly _shown = new Map<number, IShown>();
  /** What an earlier run of a module said is out of date once another begins. */
  private readonly _latest = new Map<string, string>();
}
