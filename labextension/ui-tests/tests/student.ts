/** What a student sees and does, in the words of the specs. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, type ILab, type Locator, type Page } from './lab';

/** Enough of JupyterLab's application for the tests; `expose_app_in_browser` puts it on the window. */
interface ICellModel {
  type: string;
  executionCount: number | null;
  sharedModel: { getSource(): string };
  outputs: { toJSON(): { output_type: string }[] };
}
interface INotebookPanel {
  context: { path: string; revert(): Promise<void> };
  sessionContext: {
    session: { kernel: { status: string; restart(): Promise<void> } | null } | null;
  };
  content: {
    model: { cells: Iterable<ICellModel> };
    widgets: { model: ICellModel }[];
    scrollToItem(index: number, align: string): Promise<void>;
  };
}
interface IApp {
  commands: {
    execute(id: string, args?: object): Promise<unknown>;
    hasCommand(id: string): boolean;
  };
  restored: Promise<void>;
  shell: { currentWidget: INotebookPanel };
}
declare global {
  interface Window {
    jupyterapp: IApp;
    reverting?: Promise<void>;
  }
}

export class Student {
  constructor(
    readonly page: Page,
    readonly lab: ILab
  ) {
    this.sidebar = page.getByRole('region', { name: 'TinyTorch' });
    this.notebook = page.locator('.jp-NotebookPanel:not(.lm-mod-hidden)');
  }

  readonly sidebar: Locator;
  /** The notebook in front. */
  readonly notebook: Locator;

  async showSidebar(): Promise<void> {
    await this.page.waitForFunction(() =>
      window.jupyterapp?.commands.hasCommand('tinytorch:show-sidebar')
    );
    await this.page.evaluate(async () => {
      await window.jupyterapp.restored; // which would put the layout of before over ours
      await window.jupyterapp.commands.execute('tinytorch:show-sidebar');
    });
    await expect(this.sidebar).toBeVisible();
  }

  module(id: string): Locator {
    return this.sidebar.getByTestId(`tinytorch-module-${id}`);
  }

  /** A module's row in the sidebar, with its details showing. */
  async unfolded(id: string): Promise<Locator> {
    const row = this.module(id);
    const name = row.locator('.jp-TinyTorch-name');
    if ((await name.getAttribute('aria-expanded')) !== 'true') {
      await name.click();
    }
    await expect(name).toHaveAttribute('aria-expanded', 'true');
    return row;
  }

  /** The module's notebook is in front, and its kernel waits for a cell. */
  async atNotebook(path: string): Promise<void> {
    await this.page.waitForFunction(wanted => {
      const { context, sessionContext } = window.jupyterapp.shell.currentWidget ?? {};
      return context?.path === wanted && sessionContext?.session?.kernel?.status === 'idle';
    }, path);
    await expect(this.notebook.locator('.jp-Cell').first()).toBeVisible();
  }

  /** The cell that holds this text, scrolled to. */
  async cell(text: string): Promise<Locator> {
    const index = await this.page.evaluate(async wanted => {
      const { content } = window.jupyterapp.shell.currentWidget;
      const found = content.widgets.findIndex(cell =>
        cell.model.sharedModel.getSource().includes(wanted)
      );
      await content.scrollToItem(found, 'center');
      return found;
    }, text);
    expect(index, `a cell with ${text}`).toBeGreaterThanOrEqual(0);
    return this.notebook.locator(`.jp-Cell[data-windowed-list-index="${index}"]`);
  }

  async run(cell: Locator): Promise<void> {
    await cell.locator('.cm-content').click();
    await this.page.keyboard.press('Shift+Enter');
  }

  /** The notebook in front runs from the top to its last cell, which asserts something; no cell shows an error. */
  async runsToItsAssert(path: string): Promise<void> {
    await this.atNotebook(path);
    await this.page.evaluate(() => window.jupyterapp.commands.execute('notebook:run-all-cells'));
    const cells = await this.page.evaluate(() =>
      [...window.jupyterapp.shell.currentWidget.content.model.cells]
        .filter(cell => cell.type === 'code' && cell.sharedModel.getSource().trim())
        .map(cell => ({
          source: cell.sharedModel.getSource(),
          ran: cell.executionCount !== null,
          errors: cell.outputs.toJSON().filter(output => output.output_type === 'error')
        }))
    );
    expect(cells.flatMap(cell => cell.errors)).toEqual([]);
    expect(cells.every(cell => cell.ran)).toBe(true);
    expect(cells[cells.length - 1].source).toContain('assert');
  }

  /** Puts the cursor on the line with `old`, selects its text and types `text` instead. */
  async retype(cell: Locator, old: string, text: string): Promise<void> {
    await cell.locator('.cm-line', { hasText: old }).click();
    await this.page.keyboard.press('End');
    await this.page.keyboard.press('Shift+Home');
    await this.page.keyboard.type(text);
    await expect(cell.locator('.cm-content')).toContainText(text);
  }

  /** The authors' solution in place of the module's notebook, `extra` cells added, and the page reads it again. */
  async solve(module: string, extra: string[] = []): Promise<void> {
    await this.lab.tito('dev', 'solve', module);
    const path = `notebooks/${module}.ipynb`;
    if (extra.length > 0) {
      await addCells(join(this.lab.folder, path), extra);
    }
    await this.page.evaluate(async wanted => {
      const { context } = window.jupyterapp.shell.currentWidget ?? {};
      if (context?.path === wanted) {
        window.reverting = context.revert(); // what nothing holds may be collected before it is done
        await window.reverting;
      }
    }, path);
  }

  /** Presses a "Complete module", wherever it is; the grading has begun when this returns. */
  async complete(button: Locator): Promise<void> {
    const begun = this.page.waitForResponse(
      answer => answer.request().method() === 'POST' && answer.url().includes('/complete')
    );
    await button.click();
    expect((await begun).status()).toBe(202);
  }

  /** The button in the sidebar, for `complete`. */
  async completeButton(module: string): Promise<Locator> {
    return (await this.unfolded(module)).getByTestId(`tinytorch-complete-${module}`);
  }

  /** How the newest grading of this module ended, in the sidebar. */
  async verdict(module: string): Promise<Locator> {
    const row = await this.unfolded(module);
    const run = row.getByTestId('tinytorch-run');
    await expect(run).toHaveAttribute('data-phase', 'done', { timeout: 90_000 });
    return run;
  }
}

/** Adds code cells before the notebook's last one. */
async function addCells(path: string, sources: string[]): Promise<void> {
  const notebook = JSON.parse(await readFile(path, 'utf8'));
  const cells = sources.map((source, index) => ({
    id: `added-${index}`,
    cell_type: 'code',
    execution_count: null,
    metadata: {},
    outputs: [],
    source
  }));
  notebook.cells.splice(-1, 0, ...cells);
  await writeFile(path, JSON.stringify(notebook));
}
