import { caughtUp, fold, missed, newRun } from '../run';
import type { IRun } from '../tokens';
import { aCheck, anEvent, aReport } from './fake';

const run = newRun('02_tensor', { attempt: 'a1', phase: 'queued' });
const check = (seq: number, id: string, outcome = 'passed'): ReturnType<typeof anEvent> =>
  anEvent(seq, { kind: 'check', check: id, title: id, outcome, stage: 'unit', total: 3 });

describe('fold', () => {
  it('keeps the cell that runs and the stage that began', () => {
    const after = [
      anEvent(0, { kind: 'queued' }),
      anEvent(1, { kind: 'cell', index: 2, total: 9, cell: 'c2', outcome: 'running' }),
      anEvent(2, { kind: 'stage', stage: 'unit' })
    ].reduce(fold, run);
    expect(after.phase).toBe('running');
    expect(after.cell).toEqual({ id: 'c2', index: 2, total: 9, outcome: 'running' });
    expect(after.stage).toBe('unit');
  });

  it('counts a check once, with its last outcome', () => {
    const after = [check(0, 'a'), check(1, 'b'), check(2, 'a', 'failed')].reduce(fold, run);
    expect(after.checks.map(c => [c.id, c.outcome])).toEqual([
      ['b', 'passed'],
      ['a', 'failed']
    ]);
    expect(after.total).toBe(3);
  });

  it('ignores what is older than what it knows', () => {
    const after = [check(5, 'a'), check(4, 'b')].reduce(fold, run);
    expect(after.checks.map(c => c.id)).toEqual(['a']);
  });

  it('changes nothing once the run is done', () => {
    const done: IRun = { ...run, phase: 'done' };
    expect(fold(done, check(9, 'a'))).toBe(done);
  });
});

describe('missed', () => {
  it('sees a gap in the numbers', () => {
    expect(missed(run, anEvent(0))).toBe(false);
    expect(missed(run, anEvent(1))).toBe(true);
    expect(missed(fold(run, anEvent(0)), anEvent(1))).toBe(false);
  });
});

describe('caughtUp', () => {
  it('takes checks from the attempt when it knows more of them', () => {
    const stages = [{ name: 'import', checks: [aCheck({ id: 'x' }), aCheck({ id: 'y' })] }];
    const partial = aReport({ state: 'running', verdict: null, stages });
    const after = caughtUp(fold(run, check(0, 'a')), partial);
    expect(after.checks.map(c => c.id)).toEqual(['x', 'y']);
    expect(after.stage).toBe('import');
    expect(after.phase).toBe('running');
  });

  it('keeps its own when those are newer', () => {
    const partial = aReport({ state: 'running', verdict: null, stages: [] });
    expect(caughtUp(fold(run, check(0, 'a')), partial).checks).toHaveLength(1);
  });

  it('ends with the report', () => {
    const after = caughtUp(run, aReport());
    expect(after.phase).toBe('done');
    expect(after.report?.verdict).toBe('passed');
  });
});
