import type { Progress, Report } from './schema';
import type { IRun } from './tokens';
import { isActive } from './words';

let serial = 0;

export function newRun(module: string, options: Partial<IRun> = {}): IRun {
  return {
    serial: ++serial,
    module,
    attempt: null,
    origin: 'here',
    phase: 'saving',
    checkOnly: false,
    cancelling: false,
    seq: -1,
    stage: '',
    cell: null,
    checks: [],
    total: 0,
    report: null,
    error: '',
    first: false,
    ...options
  };
}

/** The run after one event. Events that are older than what is known change nothing. */
export function fold(run: IRun, event: Progress): IRun {
  if (!isActive(run) || event.seq <= run.seq) {
    return run;
  }
  const next = {
    ...run,
    seq: event.seq,
    phase: event.kind === 'queued' ? run.phase : 'running'
  } as const;
  switch (event.kind) {
    case 'queued':
      return { ...next, phase: 'queued' };
    case 'cell':
      return {
        ...next,
        cell: { id: event.cell, index: event.index, total: event.total, outcome: event.outcome }
      };
    case 'stage':
      return { ...next, stage: event.stage };
    case 'check':
      return withCheck(next, event);
    default:
      return next;
  }
}

function withCheck(run: IRun, event: Progress): IRun {
  const check = {
    id: event.check,
    title: event.title,
    outcome: event.outcome,
    stage: event.stage || run.stage
  };
  const others = run.checks.filter(known => known.id !== check.id);
  return {
    ...run,
    stage: check.stage,
    checks: [...others, check],
    total: Math.max(event.total, run.total)
  };
}

/** True when events between what is known and `event` were lost. */
export function missed(run: IRun, event: Progress): boolean {
  return event.seq > run.seq + 1;
}

/** The run after reading the attempt: everything at once, whichever events were lost. */
export function caughtUp(run: IRun, report: Report): IRun {
  if (report.state === 'done') {
    return { ...run, attempt: report.attempt, phase: 'done', report, cancelling: false };
  }
  const seen = report.stages.flatMap(stage =>
    stage.checks.map(({ id, title, outcome }) => ({ id, title, outcome, stage: stage.name }))
  );
  const behind = seen.length > run.checks.length;
  return {
    ...run,
    attempt: report.attempt,
    phase: report.state === 'queued' && run.phase !== 'running' ? 'queued' : 'running',
    checks: behind ? seen : run.checks,
    stage: behind ? seen[seen.length - 1].stage : run.stage
  };
}
