import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import type { IEditorServices } from '@jupyterlab/codeeditor';
import type { Widget } from '@lumino/widgets';
import type { Notebooks } from './notebook/notebooks';
import { sourceTab } from './notebook/source';
import { chooseAttempt } from './report/attempts';
import type { ModuleView } from './schema';
import type { ICourseModel } from './tokens';
import { SIDEBAR } from './tokens';
import { label } from './words';

export namespace Actions {
  export interface IOptions {
    readonly app: JupyterFrontEnd;
    readonly model: ICourseModel;
    readonly notebooks: Notebooks;
    readonly editors: IEditorServices | null;
  }
}

/** What a student can ask for, whichever door it comes through. Each throws an error fit to be shown. */
export class Actions {
  constructor(private readonly _options: Actions.IOptions) {}

  showSidebar(): void {
    this._options.app.shell.activateById(SIDEBAR);
  }

  async start(): Promise<Widget | null> {
    await this._options.model.start();
    return this.openNext();
  }

  async openNext(): Promise<Widget | null> {
    const next = this._options.model.course?.workspace ? this._options.model.course.next : null;
    switch (next?.kind) {
      case 'module':
        return this.openModule(next.id);
      case 'historical':
        return this.openExample(next.id);
      default:
        this.showSidebar();
        return null;
    }
  }

  async openModule(module: string): Promise<Widget | null> {
    const { model, notebooks } = this._options;
    model.select(module);
    return notebooks.open(await model.open(module));
  }

  async openExample(id: string): Promise<Widget | null> {
    const { model, notebooks } = this._options;
    return notebooks.open(await model.openHistorical(id));
  }

  /** `path`: the notebook that asked, where it was one. Only the course's own notebook is graded. */
  async complete(module: ModuleView, checkOnly: boolean, path?: string): Promise<void> {
    const { model, notebooks } = this._options;
    const own = model.pathOf(module.id);
    const stray = notebooks.stray(module.id, own);
    const asked = path ?? (stray && !notebooks.find(own) ? notebooks.pathOf(stray) : own);
    if (asked === own) {
      await model.complete(module.id, checkOnly);
    } else if (await this._explainStray(module, asked, own)) {
      await this.openModule(module.id);
    }
  }

  async reset(module: ModuleView): Promise<void> {
    const { accept } = (
      await showDialog({
        title: `Reset ${label(module)}?`,
        body: 'The notebook becomes a fresh copy. Yours is kept as a backup first, and what you completed stays completed.',
        buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: 'Reset notebook' })]
      })
    ).button;
    if (accept) {
      const backup = await this._rewrite(module, id => this._options.model.reset(id));
      const kept = backup ? ` Your notebook is kept in ${backup}.` : '';
      Notification.success(`${label(module)} is fresh again.${kept}`, { autoClose: 8000 });
    }
  }

  async restore(module: ModuleView): Promise<void> {
    const sentences = await this._rewrite(module, id => this._options.model.restore(id));
    for (const said of sentences) {
      Notification.success(`${label(module)}: ${said}`, { autoClose: 8000 });
    }
  }

  async attempts(module: ModuleView): Promise<void> {
    const { model } = this._options;
    const attempts = await model.attempts(module.id);
    const chosen = await chooseAttempt(`Attempts at ${label(module)}`, attempts);
    if (chosen) {
      model.show(chosen);
      this.showSidebar();
    }
  }

  async solution(module: ModuleView): Promise<void> {
    const text = await this._options.model.solution(module.id);
    this._read(`solution-${module.id}`, `Solution: ${label(module)}`, 'text/x-python', text);
  }

  async changes(module: ModuleView): Promise<void> {
    const text = await this._options.model.diff(module.id, '');
    const shown = text || 'Nothing has changed.\n';
    this._read(`changes-${module.id}`, `Changes: ${label(module)}`, 'text/x-diff', shown);
  }

  async compare(module: ModuleView): Promise<void> {
    const text = await this._options.model.diff(module.id, 'solution');
    const shown = text || 'Your code and the solution are the same.\n';
    this._read(`compare-${module.id}`, `Compare: ${label(module)}`, 'text/x-diff', shown);
  }

  async reveal(module: string, cell: string | null, exercise: string): Promise<void> {
    const { model, notebooks } = this._options;
    await notebooks.reveal(await model.open(module), cell, exercise);
  }

  /** Let the server write a notebook that may be open here: what is unsaved goes into its backup. */
  private async _rewrite<T>(module: ModuleView, write: (module: string) => Promise<T>): Promise<T> {
    const { model, notebooks } = this._options;
    const path = model.pathOf(module.id);
    await notebooks.save(path);
    const said = await write(module.id);
    await notebooks.reload(path);
    return said;
  }

  private async _explainStray(module: ModuleView, path: string, own: string): Promise<boolean> {
    const { button } = await showDialog({
      title: 'This notebook is not the one that is graded',
      body:
        `The course grades ${own}. The notebook you have open is ${path}: renamed, moved, or a copy. ` +
        "Rename it back, or copy your code into the course's notebook.",
      buttons: [Dialog.cancelButton(), Dialog.okButton({ label: `Open ${label(module)}` })]
    });
    return button.accept;
  }

  private _read(name: string, title: string, mimeType: string, text: string): void {
    const { app, editors } = this._options;
    if (!editors) {
      throw new Error('This JupyterLab has no editor to show it in.');
    }
    const id = `tinytorch-${name}`;
    [...app.shell.widgets('main')].find(widget => widget.id === id)?.dispose();
    app.shell.add(sourceTab({ id, title, mimeType, text, editors }), 'main');
    app.shell.activateById(id);
  }
}
