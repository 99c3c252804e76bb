import { AxeBuilder } from '@axe-core/playwright';
import { expect, test, type Page } from './lab';
import { Student } from './student';

const THEMES = ['JupyterLab Light', 'JupyterLab Dark', 'JupyterLab Dark High Contrast'];

/** Serious and critical findings of axe in the sidebar, in each theme. */
async function violations(page: Page): Promise<object[]> {
  const found: object[] = [];
  for (const theme of THEMES) {
    await page.evaluate(
      name => window.jupyterapp.commands.execute('apputils:change-theme', { theme: name }),
      theme
    );
    await expect(page.locator('body')).toHaveAttribute('data-jp-theme-name', theme);
    const { violations } = await new AxeBuilder({ page }).include('#tinytorch-sidebar').analyze();
    found.push(
      ...violations
        .filter(({ impact }) => impact === 'serious' || impact === 'critical')
        .flatMap(({ id, nodes }) =>
          nodes.map(({ html, any }) => ({ theme, id, html, why: any.map(a => a.message) }))
        )
    );
  }
  return found;
}

test('axe finds nothing serious in the sidebar, in three themes', async ({ page, lab }) => {
  const student = new Student(page, lab);
  await student.showSidebar();
  const start = student.sidebar.getByTestId('tinytorch-start');
  await expect(start).toBeVisible();
  expect(await violations(page), 'start card').toEqual([]);

  await start.getByRole('button', { name: 'Start the course' }).click();
  await student.atNotebook('notebooks/01_setup.ipynb');
  await student.solve('01_setup', ['unlucky = 1 / 0']);
  await student.complete(await student.completeButton('01_setup'));
  await expect(
    (await student.verdict('01_setup')).getByTestId('tinytorch-cell-failure')
  ).toBeVisible();
  expect(await violations(page), 'course with a report').toEqual([]);

  await student.solve('01_setup');
  await student.complete(await student.completeButton('01_setup'));
  await expect((await student.verdict('01_setup')).getByTestId('tinytorch-unlocked')).toBeVisible();
  expect(await violations(page), 'a completed module').toEqual([]);
});
