import { fireEvent, render, screen, within } from '@testing-library/react';
import * as React from 'react';
import { Check } from '../report/check';
import { Run } from '../report/run';
import { newRun } from '../run';
import type { Report } from '../schema';
import type { IRun } from '../tokens';
import { CommandIDs } from '../tokens';
import { aCheck, aCourse, aModule, aReport, perceptron } from './fake';

const execute = vi.fn();

function show(run: IRun, course = aCourse()): void {
  render(<Run run={run} module={course.modules[1]} course={course} celebrate execute={execute} />);
}

function finished(options: Partial<Report>): IRun {
  return newRun('02_tensor', { phase: 'done', report: aReport(options) });
}

beforeEach(() => execute.mockReset());

describe('while it runs', () => {
  const run = newRun('02_tensor', {
    attempt: 'a1',
    phase: 'running',
    stage: 'unit',
    total: 9,
    cell: { id: 'c', index: 2, total: 20, outcome: 'running' },
    checks: [{ id: 'x', title: 'Adding works.', outcome: 'passed', stage: 'unit' }]
  });

  it('shows stage, cell, checks, and what ticked', () => {
    show(run);
    expect(screen.getByRole('status').textContent).toBe('Unit checks…');
    expect(screen.getByText('cell 3 of 20')).toBeTruthy();
    expect(screen.getByText('1 of 9')).toBeTruthy();
    expect(screen.getByText('Adding works.')).toBeTruthy();
    expect(screen.getAllByRole('progressbar')).toHaveLength(2);
    expect(document.querySelector('[aria-current="step"]')?.textContent).toBe('Unit');
  });

  it('can be cancelled once the server has named the attempt', () => {
    show({ ...run, attempt: null });
    expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Cancel' }).disabled).toBe(true);
  });

  it('cancels', () => {
    show(run);
    fireEvent.click(screen.getByRole('button', { name: 'Cancel' }));
    expect(execute).toHaveBeenCalledWith(CommandIDs.cancel, { module: '02_tensor' });
  });
});

describe('the report', () => {
  const failed = aCheck({
    outcome: 'failed',
    message: 'called    a + b\ngot       <b>1</b>\nexpected  2\n          3',
    hint: 'Add them.'
  });

  it('says what was called, got and expected, as text', () => {
    show(finished({ verdict: 'failed', stages: [{ name: 'unit', checks: [failed] }] }));
    const message = screen.getByRole('group', { name: 'Details: Adding works.' });
    expect(message.textContent).toContain('<b>1</b>');
    expect(message.querySelector('b')).toBeNull();
    const expected = message.querySelector('[data-word="expected"] .jp-TinyTorch-value');
    expect(expected?.textContent).toBe('2\n3\n');
    expect(screen.getByText('Add them.')).toBeTruthy();
    expect(screen.getByRole('heading', { name: 'Unit' })).toBeTruthy();
  });

  it('leads to the cell', () => {
    show(finished({ verdict: 'failed', stages: [{ name: 'unit', checks: [failed] }] }));
    fireEvent.click(screen.getByRole('button', { name: 'Adding works.' }));
    expect(execute).toHaveBeenCalledWith(CommandIDs.reveal, {
      module: '02_tensor',
      cell: 'exercise-tensor-add',
      exercise: 'tensor-add'
    });
  });

  it('keeps passes folded away', () => {
    show(finished({}));
    const summary = screen.getByText('1 check passed');
    expect(summary.closest('details')?.open).toBe(false);
  });

  it('lists an exercise that is not written yet once, and never as wrong', () => {
    const waiting = ['a', 'b'].map(id => aCheck({ id, outcome: 'not_attempted' }));
    show(finished({ verdict: 'failed', stages: [{ name: 'unit', checks: waiting }] }));
    const list = screen.getByTestId('tinytorch-not-written');
    expect(within(list).getAllByRole('listitem')).toHaveLength(1);
    expect(within(list).getByRole('button', { name: 'Add tensor' })).toBeTruthy();
    expect(screen.queryByRole('heading', { name: 'Unit' })).toBeNull();
  });

  it('says of what could not be judged that it could not be judged', () => {
    const checks = [aCheck({ outcome: 'error', message: 'Too slow a machine.' })];
    show(finished({ verdict: 'error', stages: [{ name: 'unit', checks }] }));
    expect(screen.getByRole('status').textContent).toBe('Could not be judged');
    expect(screen.getAllByText('could not be judged').length).toBeGreaterThan(0);
  });

  it('puts lost cells right with one click', () => {
    const message =
      'The cell of exercise tensor-add is missing. “Restore cells” puts it right and keeps a backup.';
    show(finished({ verdict: 'error', message, stages: [] }));
    fireEvent.click(screen.getByRole('button', { name: 'Restore cells' }));
    expect(execute).toHaveBeenCalledWith(CommandIDs.restore, { module: '02_tensor' });
  });

  it('offers that only where cells are lost', () => {
    show(finished({ verdict: 'error', message: 'The machine was too busy.' }));
    expect(screen.queryByRole('button', { name: 'Restore cells' })).toBeNull();
  });

  it('shows the cell that stopped', () => {
    show(
      finished({
        verdict: 'failed',
        stages: [],
        cell_failure: {
          index: 5,
          id: 'c5',
          error: 'ZeroDivisionError',
          message: 'division by zero',
          traceback: 'Traceback…',
          hint: ''
        }
      })
    );
    expect(screen.getByText('Cell 6: ZeroDivisionError')).toBeTruthy();
    fireEvent.click(screen.getByRole('button', { name: 'Show cell' }));
    expect(execute).toHaveBeenCalledWith(CommandIDs.reveal, {
      module: '02_tensor',
      cell: 'c5',
      exercise: ''
    });
  });

  it('points to another module that is to blame', () => {
    const blame = {
      module: '01_setup',
      exercise: 'setup-add',
      cell: null,
      message: 'It returns None.'
    };
    show(finished({ verdict: 'failed', blame }));
    expect(screen.getByTestId('tinytorch-blame').textContent).toContain('Look first at Setup.');
    fireEvent.click(screen.getByRole('button', { name: 'Show the cell' }));
    expect(execute).toHaveBeenCalledWith(CommandIDs.reveal, {
      module: '01_setup',
      cell: null,
      exercise: 'setup-add'
    });
  });

  it('lays out the message of what it would break', () => {
    const message = 'called    a + b\ngot       1\nexpected  2';
    const blame = { module: '03_layers', exercise: null, cell: null, message };
    show(finished({ verdict: 'failed', blame }));
    expect(screen.getByRole('group', { name: 'Details: Layers' }).textContent).toContain(
      'expected'
    );
  });

  it('offers what was unlocked', () => {
    const unlocked = { modules: ['03_layers'], historical: ['perceptron_1957'], milestones: [] };
    show(finished({ unlocked }), aCourse({ modules: [aModule(1), aModule(2), aModule(3)] }));
    fireEvent.click(screen.getByRole('button', { name: 'Open 03 Layers' }));
    expect(execute).toHaveBeenCalledWith(CommandIDs.openModule, { module: '03_layers' });
    fireEvent.click(screen.getByRole('button', { name: 'Open Perceptron (1957)' }));
    expect(execute).toHaveBeenCalledWith(CommandIDs.openExample, { historical: perceptron.id });
  });

  it('keeps its status line in place from the click to the verdict, so that it is read aloud', () => {
    const course = aCourse();
    const element = (run: IRun): JSX.Element => (
      <Run run={run} module={course.modules[1]} course={course} celebrate execute={execute} />
    );
    const { rerender } = render(element(newRun('02_tensor')));
    const line = screen.getByRole('status');
    rerender(element(finished({})));
    expect(screen.getByRole('status')).toBe(line);
  });
});

it('celebrates a module that was just completed', () => {
  show({ ...finished({}), first: true });
  expect(screen.getByTestId('tinytorch-triumph').textContent).toContain('Tensor is complete.');
});

it('says what the server says, once', () => {
  show({ ...finished({ message: 'You have tensor.' }), first: true });
  expect(screen.getAllByText(/You have tensor/)).toHaveLength(1);
});

it('shows why nothing was checked', () => {
  show(newRun('02_tensor', { phase: 'done', error: 'The notebook could not be saved.' }));
  expect(screen.getByRole('status').textContent).toBe('Not checked');
  expect(screen.getByText('The notebook could not be saved.')).toBeTruthy();
});

it('leaves a message that is not laid out as it is', () => {
  render(<Check check={{ id: 'a', title: 'A', outcome: 'failed', message: 'Only  words.' }} />);
  expect(screen.getByRole('group').textContent).toBe('Only  words.\n');
});
