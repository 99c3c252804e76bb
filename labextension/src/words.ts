import type { CheckResult, ModuleView, Report } from './schema';
import type { IRun } from './tokens';

/** What the messages of a grading call the command that puts a notebook's cells right. */
export const RESTORE = 'Restore cells';

/** The stages in the order they run, as students read them. */
export const STAGES: readonly (readonly [id: string, title: string])[] = [
  ['unit', 'Unit'],
  ['import', 'Import'],
  ['compatibility', 'Compatibility'],
  ['integration', 'Integration'],
  ['performance', 'Performance']
];

export function stageTitle(id: string): string {
  return STAGES.find(([stage]) => stage === id)?.[1] ?? id;
}

/** `03 Activations` */
export function label(module: ModuleView): string {
  return `${String(module.number).padStart(2, '0')} ${module.title}`;
}

export function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}

export function seconds(value: number): string {
  return value < 10 ? `${value.toFixed(1)} s` : `${Math.round(value)} s`;
}

export function allChecks(report: Report): readonly CheckResult[] {
  return report.stages.flatMap(stage => stage.checks);
}

export function isActive(run: IRun | null): boolean {
  return run !== null && run.phase !== 'done';
}

/** A module was completed just now, and for the first time. */
export function isTriumph(run: IRun): boolean {
  return (
    run.first && run.origin !== 'past' && run.report?.verdict === 'passed' && run.report.recorded
  );
}

/** What an outcome is called. `error` and `missing` are ours, never the student's. */
export function outcomeWords(outcome: string): string {
  switch (outcome) {
    case 'passed':
      return 'passed';
    case 'failed':
      return 'not right yet';
    case 'not_attempted':
      return 'not written yet';
    case 'missing':
      return 'gave no answer';
    default:
      return 'could not be judged';
  }
}

/** The notebook stopped where an exercise is not written yet: its checks say so already, and it is no mistake. */
export function stoppedAtStub(report: Report): boolean {
  const failure = report.cell_failure;
  return (
    failure?.error === 'NotImplementedError' &&
    allChecks(report).some(
      c => c.outcome === 'not_attempted' && failure.message.includes(c.exercise)
    )
  );
}

/** Nothing is wrong, something is missing. */
function isWaiting(report: Report): boolean {
  const bad = allChecks(report).map(check => check.outcome);
  const stopped = report.cell_failure !== null && !stoppedAtStub(report);
  return !stopped && bad.includes('not_attempted') && !bad.includes('failed');
}

/** Which drawing goes with the verdict. */
export function verdictState(report: Report): string {
  return report.verdict === 'failed' && isWaiting(report)
    ? 'not_attempted'
    : (report.verdict ?? 'error');
}

/** The one line that says how it ended. */
export function verdictLine(report: Report): string {
  const checks = allChecks(report);
  const of = (outcome: string): number => checks.filter(c => c.outcome === outcome).length;
  switch (report.verdict) {
    case 'passed':
      return `Passed: ${count(checks.length, 'check')} in ${seconds(report.seconds)}`;
    case 'failed':
      if (isWaiting(report)) {
        return `Not yet: ${count(of('not_attempted'), 'check')} waiting for code`;
      }
      if (report.cell_failure && !stoppedAtStub(report)) {
        return `Not yet: cell ${report.cell_failure.index + 1} stopped`;
      }
      return `Not yet: ${of('passed')} of ${count(checks.length, 'check')} pass`;
    case 'cancelled':
      return 'Cancelled: nothing was recorded';
    case 'interrupted':
      return 'Interrupted before the verdict';
    default:
      return 'Could not be judged';
  }
}

/** What is happening right now, in a few words. */
export function liveLine(run: IRun): string {
  if (run.cancelling) {
    return 'Cancelling…';
  }
  switch (run.phase) {
    case 'saving':
      return 'Saving the notebook…';
    case 'starting':
      return 'Starting…';
    case 'queued':
      return 'Waiting for its turn…';
    default:
      return run.stage ? `${stageTitle(run.stage)} checks…` : 'Running the notebook…';
  }
}

/** From 0 to 1; cells and checks run side by side and count alike. */
export function fraction(run: IRun): number {
  const cells = run.cell?.total ?? 0;
  const done = run.cell ? run.cell.index + (run.cell.outcome === 'running' ? 0 : 1) : 0;
  const total = cells + run.total;
  return total > 0 ? (done + run.checks.length) / total : 0;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
