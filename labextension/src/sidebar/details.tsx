import * as React from 'react';
import { StateIcon } from '../report/icon';
import { Run } from '../report/run';
import type { CourseView, ExerciseView, ModuleView } from '../schema';
import type { Execute, IRun } from '../tokens';
import { CommandIDs } from '../tokens';
import { isActive, label, outcomeWords } from '../words';

export namespace Details {
  export interface IProps {
    readonly module: ModuleView;
    readonly course: CourseView;
    readonly run: IRun | null;
    readonly celebrate: boolean;
    readonly execute: Execute;
  }
}

/** What a module is for, what can be done with it, and how its last grading went. */
export function Details({ module, course, run, celebrate, execute }: Details.IProps): JSX.Element {
  if (module.state === 'locked') {
    return <Locked module={module} course={course} />;
  }
  const busy = isActive(run) || module.state === 'checking';
  return (
    <div className="jp-TinyTorch-details">
      <p className="jp-TinyTorch-discovery">{module.discovery}</p>
      <Capability module={module} />
      {module.edited && (
        <p className="jp-TinyTorch-text">
          Edited since it passed. Your package keeps the accepted code until you complete it again.
        </p>
      )}
      <Exercises module={module} execute={execute} />
      <div className="jp-TinyTorch-actions">
        <button
          type="button"
          className="jp-TinyTorch-button jp-mod-strong"
          data-testid={`tinytorch-complete-${module.id}`}
          disabled={busy}
          onClick={() => execute(CommandIDs.complete, { module: module.id })}
        >
          {busy ? 'Checking…' : 'Complete module'}
        </button>
        <button
          type="button"
          className="jp-TinyTorch-button"
          aria-label={`Open ${label(module)}`}
          data-testid={`tinytorch-open-${module.id}`}
          onClick={() => execute(CommandIDs.openModule, { module: module.id })}
        >
          Open
        </button>
      </div>
      {run && (
        <Run run={run} module={module} course={course} celebrate={celebrate} execute={execute} />
      )}
    </div>
  );
}

function Capability({ module }: { module: ModuleView }): JSX.Element {
  return (
    <p className="jp-TinyTorch-capability">
      <span>{module.state === 'complete' ? 'Unlocked' : 'Unlocks'}</span> {module.capability}
    </p>
  );
}

function Locked({ module, course }: { module: ModuleView; course: CourseView }): JSX.Element {
  const before = course.modules.find(m => m.number === module.number - 1);
  return (
    <div className="jp-TinyTorch-details">
      <Capability module={module} />
      <p className="jp-TinyTorch-text">
        {module.coming
          ? 'Coming: this module is not written yet.'
          : `Opens once ${before ? label(before) : 'the module before'} is complete.`}
      </p>
    </div>
  );
}

interface IExercises {
  readonly module: ModuleView;
  readonly execute: Execute;
}

function Exercises({ module, execute }: IExercises): JSX.Element | null {
  const { exercises } = module;
  if (exercises.length === 0) {
    return null;
  }
  const passed = exercises.filter(e => e.state === 'passed').length;
  const show = (exercise: ExerciseView): void =>
    execute(CommandIDs.reveal, { module: module.id, exercise: exercise.id });
  return (
    <details className="jp-TinyTorch-exercises">
      <summary>
        Exercises <span className="jp-TinyTorch-count">{`${passed} / ${exercises.length}`}</span>
      </summary>
      <ul className="jp-TinyTorch-checks">
        {exercises.map(exercise => (
          <li key={exercise.id} className="jp-TinyTorch-checkHead">
            <StateIcon state={exercise.state} words={outcomeWords(exercise.state)} />
            <button type="button" className="jp-TinyTorch-link" onClick={() => show(exercise)}>
              {exercise.title}
            </button>
          </li>
        ))}
      </ul>
    </details>
  );
}
