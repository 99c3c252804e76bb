import * as React from 'react';
import { tinytorchIcon } from '../icons';
import type { CourseView, ModuleView } from '../schema';
import type { Execute, IRun } from '../tokens';
import { CommandIDs } from '../tokens';
import { isActive, isTriumph, liveLine, verdictLine, verdictState } from '../words';
import { Drawing, StateIcon } from './icon';
import { Live } from './live';
import { Prose } from './prose';
import { Report } from './report';

export namespace Run {
  export interface IProps {
    readonly run: IRun;
    readonly module: ModuleView | null;
    readonly course: CourseView | null;
    readonly celebrate: boolean;
    readonly execute: Execute;
  }
}

/** One grading, from the click to the report: the same in the sidebar and in the notebook. */
export function Run({ run, module, course, celebrate, execute }: Run.IProps): JSX.Element {
  const triumph = celebrate && module && isTriumph(run);
  return (
    <div className="jp-TinyTorch-run" data-testid="tinytorch-run" data-phase={run.phase}>
      <Status run={run} />
      {isActive(run) && (
        <Live run={run} onCancel={() => execute(CommandIDs.cancel, { module: run.module })} />
      )}
      {run.error && (
        <p className="jp-TinyTorch-text">
          <Prose text={run.error} />
        </p>
      )}
      {triumph && <Triumph key={run.serial} module={module} message={run.report?.message ?? ''} />}
      {run.report && !triumph && run.report.message && (
        <p className="jp-TinyTorch-text">
          <Prose text={run.report.message} />
        </p>
      )}
      {run.report && <Report report={run.report} course={course} execute={execute} />}
    </div>
  );
}

/** The one line that is read aloud when it changes. It stays in place from the click to the verdict. */
function Status({ run }: { run: IRun }): JSX.Element {
  const [state, words] = isActive(run)
    ? ['checking', liveLine(run)]
    : run.report
      ? [verdictState(run.report), verdictLine(run.report)]
      : ['error', 'Not checked'];
  return (
    <p
      className="jp-TinyTorch-verdict"
      role="status"
      data-testid="tinytorch-status"
      data-state={state}
    >
      <StateIcon state={state} />
      {words}
    </p>
  );
}

/** A module is done. The sparks fly once, and not at all where motion is unwelcome; the words stay. */
function Triumph({ module, message }: { module: ModuleView; message: string }): JSX.Element {
  return (
    <div className="jp-TinyTorch-triumph" data-testid="tinytorch-triumph">
      <span className="jp-TinyTorch-sparks" aria-hidden="true">
        {Array.from({ length: 12 }, (_, i) => (
          <i key={i} className="jp-TinyTorch-spark" />
        ))}
      </span>
      <Drawing icon={tinytorchIcon} />
      <p>
        <strong>{module.title} is complete.</strong> <Prose text={message || module.achievement} />
      </p>
    </div>
  );
}
