import { fireEvent, render, screen, within } from '@testing-library/react';
import * as React from 'react';
import type { CourseModel } from '../model';
import type { CourseView } from '../schema';
import { Sidebar } from '../sidebar/sidebar';
import { CommandIDs } from '../tokens';
import { aCourse, aModel, aModule, FakeServer, perceptron, Refusal } from './fake';

const execute = vi.fn();
const onModuleMenu = vi.fn();
const onBadge = vi.fn();
let model: CourseModel | null = null;

async function show(course: CourseView | Refusal = aCourse()): Promise<CourseModel> {
  const server = new FakeServer();
  server.answers['GET course'] = course;
  const shown = (model = await aModel(server));
  const element = (): JSX.Element => (
    <Sidebar model={shown} execute={execute} onModuleMenu={onModuleMenu} onBadge={onBadge} />
  );
  const { rerender } = render(element());
  shown.stateChanged.connect(() => rerender(element()));
  return shown;
}

beforeEach(() => vi.clearAllMocks());

afterEach(() => model?.dispose());

it('says how far the student is', async () => {
  await show();
  expect(screen.getByTestId('tinytorch-progress').textContent).toBe('1 / 3');
  const bar = screen.getByRole<HTMLProgressElement>('progressbar', { name: 'Modules complete' });
  expect([bar.value, bar.max]).toEqual([1, 3]);
});

it('makes the next step the button that stands out', async () => {
  await show();
  fireEvent.click(screen.getByRole('button', { name: 'Continue with 02 Tensor' }));
  expect(execute).toHaveBeenCalledWith(CommandIDs.openNext);
});

it('says plainly what is still to come, and offers the newest piece of history', async () => {
  await show(
    aCourse({
      next: { kind: 'coming', id: '03_layers', title: 'Layers', text: '03 Layers is coming.' },
      historical: [{ ...perceptron, state: 'available' }]
    })
  );
  expect(screen.getByTestId('tinytorch-next').textContent).toBe('03 Layers is coming.');
  fireEvent.click(screen.getByRole('button', { name: 'Open Perceptron (1957)' }));
  expect(execute).toHaveBeenCalledWith(CommandIDs.openExample, { historical: 'perceptron_1957' });
});

it('ends with what the student has built, in their own numbers', async () => {
  await show(aCourse({ built: { lines: 2664, operations: 43, parameters: 201_234, days: 12 } }));
  const card = screen.getByTestId('tinytorch-built');
  const said = within(card)
    .getAllByRole('term')
    .map(term => [term.textContent, term.nextElementSibling?.textContent]);
  expect(said).toEqual([
    ['lines of code in your package', '2,664'],
    ['operations on tensors', '43'],
    ['parameters trained', '201,234'],
    ['days, from the first check to the last', '12']
  ]);
  expect(card.textContent).not.toContain('No parameters yet');
});

it('says how parameters come to be counted, where none are', async () => {
  await show(aCourse({ built: { lines: 1, operations: 1, parameters: 0, days: 1 } }));
  expect(screen.getByTestId('tinytorch-built').textContent).toContain('No parameters yet');
});

it('shows no end before there is one', async () => {
  await show();
  expect(screen.queryByTestId('tinytorch-built')).toBeNull();
});

it('names each state in words', async () => {
  await show();
  for (const name of ['01 Setup, complete', '02 Tensor, next', '03 Layers, still to come']) {
    expect(screen.getByRole('button', { name })).toBeTruthy();
  }
});

it('shows what the next module is for, and its actions', async () => {
  await show();
  const row = within(screen.getByTestId('tinytorch-module-02_tensor'));
  expect(row.getByText('Can do tensor')).toBeTruthy();
  fireEvent.click(row.getByRole('button', { name: 'Complete module' }));
  expect(execute).toHaveBeenCalledWith(CommandIDs.complete, { module: '02_tensor' });
  fireEvent.click(row.getByRole('button', { name: 'Open 02 Tensor' }));
  expect(execute).toHaveBeenCalledWith(CommandIDs.openModule, { module: '02_tensor' });
});

it('leads from an exercise to its cell', async () => {
  await show();
  fireEvent.click(screen.getByRole('button', { name: 'Add tensor' }));
  expect(execute).toHaveBeenCalledWith(CommandIDs.reveal, {
    module: '02_tensor',
    exercise: 'tensor-add'
  });
});

it('says when a module opens that is locked', async () => {
  const model = await show(
    aCourse({ modules: [aModule(1), aModule(2, { state: 'locked' }), aModule(3)] })
  );
  fireEvent.click(screen.getByRole('button', { name: '02 Tensor, locked' }));
  expect(model.selected).toBeNull();
  fireEvent.click(screen.getByRole('button', { name: '02 Tensor, locked' }));
  expect(screen.getByText('Opens once 01 Setup is complete.')).toBeTruthy();
  expect(screen.queryByRole('button', { name: 'More for 02 Tensor' })).toBeNull();
});

it('tells that a notebook was edited since it passed', async () => {
  const model = await show(
    aCourse({ modules: [aModule(1, { state: 'complete', edited: true }), aModule(2), aModule(3)] })
  );
  model.select('01_setup');
  expect(await screen.findByText(/Edited since it passed/)).toBeTruthy();
});

it('opens the menu of a module', async () => {
  await show();
  const more = screen.getByRole('button', { name: 'More for 02 Tensor' });
  expect(more.getAttribute('aria-haspopup')).toBe('menu');
  fireEvent.click(more);
  expect(onModuleMenu).toHaveBeenCalledWith(expect.objectContaining({ id: '02_tensor' }), more);
});

it('does nothing while it is being checked', async () => {
  await show(aCourse({ modules: [aModule(1), aModule(2, { state: 'checking' }), aModule(3)] }));
  const button = screen.getByTestId<HTMLButtonElement>('tinytorch-complete-02_tensor');
  expect(button.disabled).toBe(true);
  expect(button.textContent).toBe('Checking…');
});

describe('badges', () => {
  const badge = (): HTMLElement => screen.getByTestId('tinytorch-badge-build');

  it('are locked until they are earned', async () => {
    await show();
    expect(badge().getAttribute('aria-label')).toContain('Perceptron (1957), locked');
    fireEvent.click(badge());
    expect(onBadge).not.toHaveBeenCalled();
  });

  it('open their notebook once earned', async () => {
    const { milestones } = aCourse();
    await show(
      aCourse({
        milestones: milestones.map(m => ({ ...m, earned: true })),
        historical: [{ ...perceptron, state: 'available' }]
      })
    );
    expect(badge().getAttribute('aria-label')).toContain('earned');
    fireEvent.click(badge());
    expect(onBadge).toHaveBeenCalledWith(expect.objectContaining({ id: 'build' }), badge());
  });
});

describe('cards', () => {
  it('start the course in an empty folder', async () => {
    await show(aCourse({ workspace: null }));
    fireEvent.click(screen.getByRole('button', { name: 'Start the course' }));
    expect(execute).toHaveBeenCalledWith(CommandIDs.start);
  });

  it('say what went wrong, and try again', async () => {
    const model = await show(new Refusal(500, 'progress.db is damaged.'));
    const refresh = vi.spyOn(model, 'refresh');
    expect(screen.getByRole('alert').textContent).toContain('progress.db is damaged.');
    fireEvent.click(screen.getByRole('button', { name: 'Try again' }));
    expect(refresh).toHaveBeenCalled();
  });
});
