import type { IDocumentManager } from '@jupyterlab/docmanager';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { Contents } from '@jupyterlab/services';
import type { ISignal } from '@lumino/signaling';

const SAVE_ERROR = 'JupyterLab gave up saving it.';
const FLASH = 'jp-TinyTorch-flash';

/** A module's notebook by its usual name, for notebooks that lost their metadata. */
const BY_PATH = /(?:^|\/)notebooks\/(\d\d_[a-z]+)\.ipynb$/;

export namespace Notebooks {
  export interface IOptions {
    readonly tracker: INotebookTracker;
    readonly documents: IDocumentManager;
    readonly contents: Contents.IManager;
  }
}

/** The notebooks that are open in JupyterLab: finding, opening, saving them, and scrolling to a cell. */
export class Notebooks {
  constructor(private readonly _options: Notebooks.IOptions) {}

  get currentChanged(): ISignal<unknown, unknown> {
    return this._options.tracker.currentChanged;
  }

  get current(): NotebookPanel | null {
    return this._options.tracker.currentWidget;
  }

  /** Without the drive that a collaboration extension may put in front. */
  pathOf(panel: NotebookPanel): string {
    return this._options.contents.localPath(panel.context.path);
  }

  /** The module that a notebook belongs to, or null. */
  moduleOf(panel: NotebookPanel | null): string | null {
    if (!panel) {
      return null;
    }
    const metadata = panel.content.model?.getMetadata('tinytorch') as
      { module?: unknown } | undefined;
    if (metadata) {
      return typeof metadata.module === 'string' ? metadata.module : null;
    }
    return BY_PATH.exec(this.pathOf(panel))?.[1] ?? null;
  }

  find(path: string): NotebookPanel | null {
    return this._options.tracker.find(panel => this.pathOf(panel) === path) ?? null;
  }

  /** An open notebook of this module that is not the one at `path`: renamed, or a copy. */
  stray(module: string, path: string): NotebookPanel | null {
    const same = (panel: NotebookPanel): boolean =>
      this.moduleOf(panel) === module && this.pathOf(panel) !== path;
    return this._options.tracker.find(same) ?? null;
  }

  /** The notebook that shows `node` in one of its outputs. */
  containing(node: Element): NotebookPanel | null {
    return this._options.tracker.find(panel => panel.node.contains(node)) ?? null;
  }

  async open(path: string): Promise<NotebookPanel | null> {
    const widget = this._options.documents.openOrReveal(path) as NotebookPanel | undefined;
    if (!widget) {
      return null;
    }
    await widget.context.ready;
    await widget.revealed;
    return widget;
  }

  /** Save the notebook if it is open and has changes. Rejects with a reason that a student can read. */
  async save(path: string): Promise<void> {
    const panel = this.find(path);
    if (!panel) {
      return;
    }
    await panel.context.ready;
    if (!panel.context.model.dirty) {
      return;
    }
    if (panel.context.model.readOnly) {
      throw new Error(`${path} may not be written here.`);
    }
    try {
      await panel.context.save();
    } catch (error) {
      throw new Error(error instanceof Error && error.message ? error.message : SAVE_ERROR);
    }
  }

  /** Read the notebook again from disk, if it is open: the server has written it. */
  async reload(path: string): Promise<void> {
    await this.find(path)?.context.revert();
  }

  /** Open the notebook and bring a cell into view: by its id, or by the tag of its exercise. */
  async reveal(path: string, cell: string | null, exercise: string): Promise<void> {
    const panel = await this.open(path);
    const cells = [...(panel?.content.model?.cells ?? [])];
    const tag = `exercise:${exercise}`;
    const byId = cells.findIndex(model => model.id === cell);
    const index =
      byId >= 0
        ? byId
        : cells.findIndex(model =>
            (model.getMetadata('tags') as string[] | undefined)?.includes(tag)
          );
    if (!panel || index < 0) {
      return;
    }
    await panel.content.scrollToCell(panel.content.widgets[index], 'center');
    flash(panel.content.widgets[index].node);
  }
}

/** Catch the eye, once. */
function flash(node: HTMLElement): void {
  node.classList.remove(FLASH);
  void node.offsetWidth; // so that a second flash starts anew
  node.classList.add(FLASH);
  node.addEventListener('animationend', () => node.classList.remove(FLASH), { once: true });
}
