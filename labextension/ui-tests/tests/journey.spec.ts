import { resolve } from 'node:path';
import { expect, test, type Locator } from './lab';
import { Student } from './student';

/** What `tito status --json` says, as far as it is looked at here. */
interface ICourse {
  modules: { id: string; number: number; title: string; state: string; coming: boolean }[];
  milestones: { id: string; title: string; module: string; earned: boolean }[];
  historical: {
    id: string;
    title: string;
    year: number;
    module: string;
    notebook: string;
    coming: boolean;
  }[];
}

const DOCS = resolve(import.meta.dirname, '../../../docs');

test('a student goes from an empty folder to the last badge there is', async ({ page, lab }) => {
  test.setTimeout(900_000);
  const student = new Student(page, lab);
  const { sidebar, notebook } = student;
  const progress = sidebar.getByTestId('tinytorch-progress');
  const toolbarButton = notebook
    .locator('.jp-NotebookPanel-toolbar')
    .getByRole('button', { name: 'Complete module' });
  const next = sidebar.getByTestId('tinytorch-next');
  const picture = async (name: string): Promise<void> => {
    if (process.env.TINYTORCH_SCREENSHOTS) {
      await page.screenshot({ path: `${DOCS}/${name}.png`, animations: 'disabled' });
    }
  };
  const passed = async (module: string): Promise<Locator> => {
    const run = await student.verdict(module);
    await expect(run.getByTestId('tinytorch-status')).toContainText('Passed');
    await expect(student.module(module)).toHaveAttribute('data-state', 'complete');
    return run;
  };

  await test.step('the start card begins the course', async () => {
    await student.showSidebar();
    await sidebar
      .getByTestId('tinytorch-start')
      .getByRole('button', { name: 'Start the course' })
      .click();
    await expect(progress).toHaveText('0 / 14');
    await expect(student.module('01_setup')).toHaveAttribute('data-next', 'true');
    await expect(student.module('02_tensor')).toHaveAttribute('data-state', 'locked');
    await student.atNotebook('notebooks/01_setup.ipynb');
  });

  await test.step('a wrong answer, typed by hand, is explained beside it', async () => {
    await student.run(await student.cell('%load_ext tinytorch_core'));
    await student.run(await student.cell('import numpy as np'));
    const exercise = await student.cell('def array_bytes');
    await student.retype(exercise, 'raise NotImplementedError', 'return math.prod(shape)');
    await student.run(exercise);
    await student.run(await student.cell('%check setup-bytes'));
    const result = notebook.getByTestId('tinytorch-result-setup-bytes');
    await expect(result).toHaveAttribute('data-outcome', 'failed');
    await expect(result).toContainText('array_bytes(');
    await expect(result).toContainText(/got/);
    await expect(result).toContainText(/expected/);
  });

  await test.step('the sidebar reports it too, beside what is not written yet', async () => {
    await student.complete(toolbarButton);
    const run = await student.verdict('01_setup');
    await expect(run.getByTestId('tinytorch-report')).toHaveAttribute('data-verdict', 'failed');
    await expect(run.getByTestId('tinytorch-not-written')).toContainText('The stopwatch');
    const wrong = run.locator('[data-outcome="failed"]').first();
    await expect(wrong).toContainText(/expected/);
    await student.cell('# 01');
    await wrong.getByTitle('Show the cell').click();
    await expect(notebook.locator('.jp-Cell', { hasText: 'def array_bytes' })).toBeInViewport();
    await expect(progress).toHaveText('0 / 14');
  });

  await test.step('put right, it passes', async () => {
    const exercise = await student.cell('def array_bytes');
    await student.retype(
      exercise,
      'return math.prod',
      'return math.prod(shape) * np.dtype(dtype).itemsize'
    );
    await student.run(exercise);
    await student.run(await student.cell('%check setup-bytes'));
    await expect(notebook.getByTestId('tinytorch-result-setup-bytes')).toHaveAttribute(
      'data-outcome',
      'passed'
    );
  });

  await test.step('01 Setup is completed from the toolbar', async () => {
    await student.solve('01_setup');
    await student.complete(toolbarButton);
    const run = await passed('01_setup');
    await expect(progress).toHaveText('1 / 14');
    await run.getByRole('button', { name: 'Open 02 Tensor' }).click();
    await student.atNotebook('notebooks/02_tensor.ipynb');
  });

  await test.step('02 Tensor is completed from the sidebar, across a reload of the page', async () => {
    await student.solve('02_tensor', ['import time\ntime.sleep(8)']);
    await student.complete(await student.completeButton('02_tensor'));
    await expect(student.module('02_tensor').getByTestId('tinytorch-live')).toContainText(
      /cell \d+ of \d+/
    );
    await page.reload();
    await page.locator('#jupyterlab-splash').waitFor({ state: 'detached' });
    await student.showSidebar();
    await expect((await student.unfolded('02_tensor')).getByTestId('tinytorch-live')).toBeVisible();
    await passed('02_tensor');
    await expect(progress).toHaveText('2 / 14');
  });

  await test.step('03 Activations is completed from its last cell', async () => {
    await expect(next).toHaveText('Continue with 03 Activations');
    await next.click();
    await student.atNotebook('notebooks/03_activations.ipynb');
    await student.solve('03_activations');
    await student.run(await student.cell('CompleteModule()'));
    const widget = notebook.getByTestId('tinytorch-widget-03_activations');
    await student.complete(widget.getByRole('button', { name: 'Complete module' }));
    await expect(widget.getByTestId('tinytorch-status')).toContainText('Passed', {
      timeout: 90_000
    });
    await expect(progress).toHaveText('3 / 14');
    await widget.getByRole('button', { name: 'Open 04 Layers' }).click();
    await student.atNotebook('notebooks/04_layers.ipynb');
  });

  await test.step('04 Layers is completed from the command palette, and opens history', async () => {
    await expect(sidebar.getByTestId('tinytorch-badge-build')).toHaveAttribute(
      'data-earned',
      'false'
    );
    await student.solve('04_layers');
    await page.keyboard.press('Control+Shift+C');
    await page.locator('.lm-CommandPalette-input').fill('Complete module');
    await student.complete(
      page.locator('.lm-CommandPalette-item', { hasText: 'Complete module' }).first()
    );
    await passed('04_layers');
    await expect(progress).toHaveText('4 / 14');
    await expect(sidebar.getByTestId('tinytorch-badge-build')).toHaveAttribute(
      'data-earned',
      'true'
    );
    await expect(next).toHaveText('Continue with 05 Losses');
    await expect(page.getByTestId('tinytorch-statusbar')).toHaveText('TinyTorch 4 / 14');
  });

  await test.step('the Perceptron of 1957 runs to its assert, on the student’s own package', async () => {
    await sidebar.getByRole('button', { name: 'Open Perceptron (1957)' }).first().click();
    await student.runsToItsAssert('historical/perceptron_1957.ipynb');
    await notebook
      .locator('.jp-OutputArea img')
      .nth(1)
      .evaluate(plot => plot.scrollIntoView({ block: 'center' }));
    await picture('screenshot');
  });

  const course = async (): Promise<ICourse> => JSON.parse(await lab.tito('status', '--json'));
  const { modules, historical, milestones } = await course();
  const written = modules.filter(module => !module.coming);

  for (const { id, number, title } of written.slice(4)) {
    await test.step(`${id} is completed the quick way`, async () => {
      await student.solve(id);
      await student.complete(await student.completeButton(id));
      await passed(id);
      await expect(progress).toHaveText(`${number} / 14`);
      await expect(student.module(id)).toContainText(title);
    });

    for (const milestone of milestones.filter(({ module }) => module === id)) {
      await test.step(`it earns "${milestone.title}"`, async () => {
        const badge = sidebar.getByTestId(`tinytorch-badge-${milestone.id}`);
        await expect(badge).toHaveAttribute('data-earned', 'true');
      });
    }

    for (const piece of historical.filter(({ module, coming }) => module === id && !coming)) {
      await test.step(`${piece.id} opens and runs to its assert`, async () => {
        const name = `Open ${piece.title} (${piece.year})`;
        await sidebar.getByRole('button', { name }).first().click();
        await student.runsToItsAssert(piece.notebook);
      });
    }
  }

  await test.step('the command line sees the same state', async () => {
    const after = await course();
    expect(after.modules.map(module => module.state)).toEqual(
      modules.map(module => (module.coming ? 'locked' : 'complete'))
    );
    const done = written.map(module => module.id);
    expect(after.milestones.filter(({ earned }) => earned).map(({ id }) => id)).toEqual(
      milestones.filter(({ module }) => done.includes(module)).map(({ id }) => id)
    );
  });

  await test.step('the end says what was built, in the student’s own numbers', async () => {
    const card = sidebar.getByTestId('tinytorch-built');
    await expect(card).toContainText('lines of code in your package');
    await page.evaluate(() => window.jupyterapp.commands.execute('docmanager:save-all'));
    await expect(card).not.toContainText('No parameters yet');
  });
});
