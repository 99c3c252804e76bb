import * as React from 'react';
import type { CheckResult, CourseView, Report as Value } from '../schema';
import type { Execute } from '../tokens';
import { CommandIDs } from '../tokens';
import { allChecks, count, RESTORE, stageTitle, stoppedAtStub } from '../words';
import { Check, Hint, Message } from './check';
import { StateIcon } from './icon';
import { Prose } from './prose';
import { Unlocked } from './unlocked';

export namespace Report {
  export interface IProps {
    readonly report: Value;
    readonly course: CourseView | null;
    readonly execute: Execute;
  }
}

/** Why one attempt ended as it did: what to look at first, what is missing, what passed, what it opened. */
export function Report({ report, course, execute }: Report.IProps): JSX.Element {
  const reveal = (cell: string | null, exercise = '', module = report.module): void =>
    execute(CommandIDs.reveal, { module, cell, exercise });
  return (
    <div
      className="jp-TinyTorch-report"
      data-testid="tinytorch-report"
      data-verdict={report.verdict}
    >
      <Damage report={report} execute={execute} />
      <Failure report={report} reveal={reveal} />
      <Blame report={report} course={course} reveal={reveal} />
      {report.stages.map(stage => (
        <StageChecks key={stage.name} name={stage.name} checks={stage.checks} reveal={reveal} />
      ))}
      <NotWritten report={report} course={course} reveal={reveal} />
      <Passes report={report} />
      <Unlocked unlocked={report.unlocked} course={course} execute={execute} />
    </div>
  );
}

type Reveal = (cell: string | null, exercise?: string, module?: string) => void;

/** What puts right the cells that the message says are missing, doubled or retyped. */
function Damage({ report, execute }: { report: Value; execute: Execute }): JSX.Element | null {
  if (report.verdict !== 'error' || !report.message.includes(`“${RESTORE}”`)) {
    return null;
  }
  return (
    <button
      type="button"
      className="jp-TinyTorch-button"
      onClick={() => execute(CommandIDs.restore, { module: report.module })}
    >
      {RESTORE}
    </button>
  );
}

/** The first cell of the notebook that did not run. */
function Failure({ report, reveal }: { report: Value; reveal: Reveal }): JSX.Element | null {
  const failure = report.cell_failure;
  if (!failure || stoppedAtStub(report)) {
    return null;
  }
  const name = `Cell ${failure.index + 1}`;
  return (
    <section className="jp-TinyTorch-failure" data-testid="tinytorch-cell-failure">
      <h3 className="jp-TinyTorch-heading">
        {name}: {failure.error}
      </h3>
      <Message text={failure.message} name={name} />
      {failure.traceback && (
        <details className="jp-TinyTorch-passes">
          <summary>Traceback</summary>
          <Message text={failure.traceback} name={`${name}, traceback`} />
        </details>
      )}
      {failure.hint && <Hint text={failure.hint} />}
      <button type="button" className="jp-TinyTorch-button" onClick={() => reveal(failure.id)}>
        Show cell
      </button>
    </section>
  );
}

interface IPart {
  readonly report: Value;
  readonly course: CourseView | null;
  readonly reveal: Reveal;
}

/** Where to look first, when that is not where it showed. */
function Blame({ report, course, reveal }: IPart): JSX.Element | null {
  const blame = report.blame;
  if (!blame || (blame.module === report.module && !blame.message)) {
    return null;
  }
  const name = course?.modules.find(m => m.id === blame.module)?.title ?? blame.module;
  const laidOut = blame.message.includes('\n');
  return (
    <section data-testid="tinytorch-blame">
      <p className="jp-TinyTorch-text">
        <strong>Look first at {name}.</strong> {!laidOut && <Prose text={blame.message} />}{' '}
        <button
          type="button"
          className="jp-TinyTorch-link"
          onClick={() => reveal(blame.cell, blame.exercise ?? '', blame.module)}
        >
          Show the cell
        </button>
      </p>
      {laidOut && <Message text={blame.message} name={name} />}
    </section>
  );
}

interface IStageChecks {
  readonly name: string;
  readonly checks: readonly CheckResult[];
  readonly reveal: Reveal;
}

function StageChecks({ name, checks, reveal }: IStageChecks): JSX.Element | null {
  const shown = checks.filter(c => c.outcome !== 'passed' && c.outcome !== 'not_attempted');
  if (shown.length === 0) {
    return null;
  }
  return (
    <section>
      <h3 className="jp-TinyTorch-heading">{stageTitle(name)}</h3>
      <ul className="jp-TinyTorch-checks">
        {shown.map(check => (
          <Check
            key={check.id}
            check={check}
            onShow={
              check.cell || check.exercise ? () => reveal(check.cell, check.exercise) : undefined
            }
          />
        ))}
      </ul>
    </section>
  );
}

/** Exercises still to be written, each once, however many checks wait for it. */
function NotWritten({ report, course, reveal }: IPart): JSX.Element | null {
  const waiting = allChecks(report).filter(check => check.outcome === 'not_attempted');
  const exercises = new Map(waiting.map(check => [check.exercise || check.id, check]));
  if (exercises.size === 0) {
    return null;
  }
  const known = course?.modules.find(m => m.id === report.module)?.exercises ?? [];
  return (
    <section data-testid="tinytorch-not-written">
      <h3 className="jp-TinyTorch-heading">Not written yet</h3>
      <ul className="jp-TinyTorch-checks">
        {[...exercises].map(([id, check]) => (
          <li key={id} className="jp-TinyTorch-check" data-outcome="not_attempted">
            <div className="jp-TinyTorch-checkHead">
              <StateIcon state="not_attempted" />
              <button
                type="button"
                className="jp-TinyTorch-link"
                title="Show the cell"
                onClick={() => reveal(check.cell, check.exercise)}
              >
                {known.find(e => e.id === id)?.title ?? check.title}
              </button>
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Passes({ report }: { report: Value }): JSX.Element | null {
  const passed = allChecks(report).filter(check => check.outcome === 'passed');
  if (passed.length === 0) {
    return null;
  }
  return (
    <details className="jp-TinyTorch-passes">
      <summary>{count(passed.length, 'check')} passed</summary>
      <ul className="jp-TinyTorch-checks">
        {passed.map(check => (
          <Check key={check.id} check={check} />
        ))}
      </ul>
    </details>
  );
}
