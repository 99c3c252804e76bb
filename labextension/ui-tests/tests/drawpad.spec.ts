import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, type Locator, type Page } from './lab';

/** A network of one rule: a drawing that is narrow is a one, a wide one is a zero. */
const PAD = `
from tinytorch_core.widgets import DrawPad

def read(picture):
    width = (picture.max(axis=0) > 0.5).sum()
    one = 1 / (1 + 2.0 ** (width - 8))
    return [1 - one, one]

DrawPad(read, labels=["zero", "one"])
`;

async function openPad(page: Page, folder: string): Promise<void> {
  const cell = { id: 'pad', cell_type: 'code', execution_count: null, metadata: {}, outputs: [] };
  const kernelspec = { name: 'python3', display_name: 'Python 3' };
  await writeFile(
    join(folder, 'pad.ipynb'),
    JSON.stringify({
      cells: [{ ...cell, source: PAD.trim() }],
      metadata: { kernelspec },
      nbformat: 4,
      nbformat_minor: 5
    })
  );
  await page.waitForFunction(() => window.jupyterapp?.commands.hasCommand('docmanager:open'));
  await page.evaluate(async () => {
    await window.jupyterapp.restored; // which would put the layout of before over ours
    await window.jupyterapp.commands.execute('docmanager:open', { path: 'pad.ipynb' });
  });
  await page.waitForFunction(
    () => window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'
  );
  await page.evaluate(() => window.jupyterapp.commands.execute('notebook:run-all-cells'));
}

/** Draws with the mouse through these points, from 0 to 1 on the paper. */
async function draw(page: Page, paper: Locator, points: [number, number][]): Promise<void> {
  const box = (await paper.boundingBox())!;
  const at = ([x, y]: [number, number]): [number, number] => [
    box.x + x * box.width,
    box.y + y * box.height
  ];
  await page.mouse.move(...at(points[0]));
  await page.mouse.down();
  for (const point of points.slice(1)) {
    await page.mouse.move(...at(point), { steps: 8 });
  }
  await page.mouse.up();
}

const ONE: [number, number][] = [
  [0.5, 0.15],
  [0.52, 0.85]
];
const ZERO: [number, number][] = [
  [0.5, 0.15],
  [0.15, 0.5],
  [0.5, 0.85],
  [0.85, 0.5],
  [0.5, 0.15]
];

test.describe('the drawing pad', () => {
  let pad: Locator;
  let paper: Locator;

  test.beforeEach(async ({ page, lab }) => {
    await openPad(page, lab.folder);
    pad = page.getByTestId('tinytorch-pad');
    paper = pad.getByTestId('tinytorch-paper');
    await paper.scrollIntoViewIfNeeded();
  });

  const words = (): Locator => pad.getByRole('status');
  const share = async (label: string): Promise<number> =>
    parseFloat(
      (await pad
        .getByRole('listitem')
        .filter({ hasText: label })
        .locator('.jp-TinyTorch-barValue')
        .textContent()) ?? ''
    );

  test('what is drawn with a pointer is read at once, and cleared', async ({ page }) => {
    await expect(words()).toHaveText('Nothing drawn yet.');
    await draw(page, paper, ONE);
    await expect(words()).toHaveText('Surely one.');
    expect(await share('one')).toBeGreaterThan(90);

    await draw(page, paper, ZERO);
    await expect(words()).toHaveText('Surely zero.');
    expect(await share('zero')).toBeGreaterThan(90);
    await expect(pad.getByRole('img').locator('rect').first()).toBeAttached();

    await pad.getByRole('button', { name: 'Clear' }).click();
    await expect(words()).toHaveText('Nothing drawn yet.');
    await expect(paper.locator('path')).toHaveCount(0);
  });

  test('the answer comes while the pointer is still down', async ({ page }) => {
    const box = (await paper.boundingBox())!;
    await page.mouse.move(box.x + 130, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + 130, box.y + 220, { steps: 8 });
    await expect(words()).toHaveText('Surely one.');
    await page.mouse.move(box.x + 240, box.y + 220, { steps: 8 });
    await page.mouse.move(box.x + 20, box.y + 100, { steps: 8 });
    await expect(words()).toHaveText('Surely zero.');
    await page.mouse.up();
  });

  test('the keyboard draws, too, and the notebook stays where it is', async ({ page }) => {
    await paper.focus();
    for (let step = 0; step < 8; step++) {
      await page.keyboard.press('ArrowUp');
    }
    await page.keyboard.press('Space');
    await page.keyboard.down('Shift');
    for (let step = 0; step < 16; step++) {
      await page.keyboard.press('ArrowDown');
    }
    await page.keyboard.up('Shift');
    await expect(paper.locator('path')).toHaveCount(1);
    await expect(words()).toHaveText('Surely one.');
    await expect(paper).toBeFocused();
    await expect(page.locator('.jp-Notebook .jp-Cell')).toHaveCount(1);
    await page.keyboard.press('Tab');
    await expect(pad.getByRole('button', { name: 'Clear' })).toBeFocused();
  });

  test('the drawing is still there in a second view of the pad', async ({ page }) => {
    await draw(page, paper, ONE);
    await expect(words()).toHaveText('Surely one.');
    await page.locator('.jp-OutputArea-output').first().click({ button: 'right' });
    await page.getByText('Create New View for Cell Output').click();
    const second = page.getByTestId('tinytorch-pad').nth(1);
    await expect(second.getByRole('status')).toHaveText('Surely one.');
    await expect(second.getByTestId('tinytorch-paper').locator('path')).toHaveCount(1);
  });
});
