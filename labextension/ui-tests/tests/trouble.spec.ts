import { expect, test } from './lab';
import { Student } from './student';

const LOOP = 'while True:\n    pass';

test.use({ limits: { cell_timeout: 6 } });

test.describe('when the student’s code goes wrong', () => {
  let student: Student;

  test.beforeEach(async ({ page, lab }) => {
    student = new Student(page, lab);
    await student.showSidebar();
    await student.sidebar.getByRole('button', { name: 'Start the course' }).click();
    await student.atNotebook('notebooks/01_setup.ipynb');
  });

  const complete = async (): Promise<void> =>
    student.complete(await student.completeButton('01_setup'));

  test('a check before the first cell says what to run, also after a restart', async ({ page }) => {
    const check = await student.cell('%check setup-bytes');
    const advice = check.locator('.jp-OutputArea', { hasText: 'Run All Above Selected Cell' });
    await student.run(check);
    await expect(advice).toBeVisible();
    await page.evaluate(() => window.jupyterapp.commands.execute('notebook:run-all-above'));
    await student.run(check);
    await expect(advice).not.toBeVisible();
    await page.evaluate(() =>
      window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.restart()
    );
    await student.atNotebook('notebooks/01_setup.ipynb');
    await student.run(check);
    await expect(advice).toBeVisible();
  });

  test('a never-ending loop can be cancelled', async () => {
    await student.solve('01_setup', [LOOP]);
    await complete();
    const live = student.module('01_setup').getByTestId('tinytorch-live');
    await expect(live).toContainText(/cell \d+ of \d+/);
    await live.getByRole('button', { name: 'Cancel' }).click();
    const run = await student.verdict('01_setup');
    await expect(run.getByTestId('tinytorch-status')).toContainText('Cancelled');
    await expect(student.module('01_setup')).toHaveAttribute('data-state', 'available');
  });

  test('a never-ending loop ends at its limit, and its cell is named', async () => {
    await student.solve('01_setup', [LOOP]);
    await complete();
    const failure = (await student.verdict('01_setup')).getByTestId('tinytorch-cell-failure');
    await expect(failure).toContainText(/Cell \d+/);
    await expect(failure).toContainText(/6 s/);
    await failure.getByRole('button', { name: 'Show cell' }).click();
    await expect(student.notebook.locator('.jp-Cell', { hasText: 'while True' })).toBeInViewport();
  });

  test('an error in a cell is located, and a click scrolls to it', async () => {
    await student.solve('01_setup', ['unlucky = 1 / 0']);
    await complete();
    const failure = (await student.verdict('01_setup')).getByTestId('tinytorch-cell-failure');
    await expect(failure).toContainText('ZeroDivisionError');
    await student.cell('# 01');
    const cell = student.notebook.locator('.jp-Cell', { hasText: 'unlucky' });
    await expect(cell).not.toBeInViewport();
    await failure.getByRole('button', { name: 'Show cell' }).click();
    await expect(cell).toBeInViewport();
    await expect(student.module('01_setup')).toHaveAttribute('data-state', 'available');
  });

  test('a deleted exercise cell is named, and one click puts it back', async ({ page }) => {
    await student.solve('01_setup');
    await (await student.cell('def readable_bytes')).locator('.cm-content').click();
    await page.keyboard.press('Escape');
    await page.keyboard.press('d');
    await page.keyboard.press('d');
    await expect(
      student.notebook.locator('.jp-Cell', { hasText: 'def readable_bytes' })
    ).toHaveCount(0);
    await complete();
    const run = await student.verdict('01_setup');
    await expect(run).toContainText(/The cell of exercise \S+ is missing/);
    await run.getByRole('button', { name: 'Restore cells' }).click();
    await expect(page.getByText(/was missing; it is back/).first()).toBeVisible();
    await expect(page.getByText(/is kept in \S+\.ipynb\./).first()).toBeVisible();
    await expect(run).toHaveCount(0);
    await student.cell('def readable_bytes');
    await complete();
    await expect(await student.verdict('01_setup')).toContainText('Not written yet');
  });
});
