import { newRun } from '../run';
import { VERSION } from '../version';
import {
  fraction,
  isTriumph,
  liveLine,
  outcomeWords,
  STAGES,
  verdictLine,
  verdictState
} from '../words';
import { aCheck, aReport } from './fake';
import manifest from '../../../package.json';

const stages = (...outcomes: ('passed' | 'failed' | 'not_attempted')[]) => [
  { name: 'unit', checks: outcomes.map((outcome, i) => aCheck({ id: `${i}`, outcome })) }
];

describe('verdictLine', () => {
  it.each([
    [aReport({ stages: stages('passed') }), 'Passed: 1 check in 0.2 s'],
    [
      aReport({ verdict: 'failed', stages: stages('passed', 'failed') }),
      'Not yet: 1 of 2 checks pass'
    ],
    [
      aReport({ verdict: 'failed', stages: stages('not_attempted') }),
      'Not yet: 1 check waiting for code'
    ],
    [aReport({ verdict: 'error', stages: stages('passed') }), 'Could not be judged'],
    [aReport({ verdict: 'cancelled' }), 'Cancelled: nothing was recorded'],
    [aReport({ verdict: 'interrupted' }), 'Interrupted before the verdict']
  ])('says how it ended: %#', (report, words) => expect(verdictLine(report)).toBe(words));

  it('names the cell that stopped, counted as people count', () => {
    const cell_failure = { index: 4, id: 'x', error: 'E', message: '', traceback: '', hint: '' };
    expect(verdictLine(aReport({ verdict: 'failed', cell_failure }))).toBe(
      'Not yet: cell 5 stopped'
    );
  });
});

it('does not call a stub that stopped the notebook a mistake', () => {
  const cell_failure = {
    index: 4,
    id: 'x',
    error: 'NotImplementedError',
    message: 'tensor-add',
    traceback: '',
    hint: ''
  };
  const waiting = aReport({ verdict: 'failed', cell_failure, stages: stages('not_attempted') });
  expect(verdictLine(waiting)).toBe('Not yet: 1 check waiting for code');
  expect(verdictState(waiting)).toBe('not_attempted');
  const wrong = aReport({ verdict: 'failed', cell_failure, stages: stages('passed') });
  expect(verdictLine(wrong)).toBe('Not yet: cell 5 stopped');
  expect(verdictState(wrong)).toBe('failed');
});

it('never calls what we could not judge wrong', () => {
  expect(outcomeWords('error')).toBe('could not be judged');
  expect(outcomeWords('missing')).toBe('gave no answer');
  expect(outcomeWords('not_attempted')).toBe('not written yet');
});

it('says what is happening', () => {
  const run = newRun('m');
  expect(liveLine(run)).toBe('Saving the notebook…');
  expect(liveLine({ ...run, phase: 'running', stage: 'import' })).toBe('Import checks…');
  expect(liveLine({ ...run, phase: 'running', cancelling: true })).toBe('Cancelling…');
});

it('measures cells and checks alike', () => {
  const run = newRun('m', { total: 6, cell: { id: '', index: 1, total: 4, outcome: 'passed' } });
  expect(fraction(newRun('m'))).toBe(0);
  expect(fraction({ ...run, checks: [{ id: 'a', title: '', outcome: '', stage: '' }] })).toBe(0.3);
});

it('celebrates only a first completion of this session', () => {
  const run = newRun('m', { first: true, phase: 'done', report: aReport() });
  expect(isTriumph(run)).toBe(true);
  expect(isTriumph({ ...run, first: false })).toBe(false);
  expect(isTriumph({ ...run, origin: 'past' })).toBe(false);
  expect(isTriumph({ ...run, report: aReport({ recorded: false }) })).toBe(false);
});

it('has the stages in the order they run', () => {
  expect(STAGES.map(([id]) => id)).toEqual([
    'unit',
    'import',
    'compatibility',
    'integration',
    'performance'
  ]);
});

it('has the version of package.json', () => expect(VERSION).toBe(manifest.version));
