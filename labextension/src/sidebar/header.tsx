import * as React from 'react';
import { tinytorchIcon } from '../icons';
import { Drawing } from '../report/icon';
import type { CourseView } from '../schema';
import type { Execute } from '../tokens';
import { CommandIDs } from '../tokens';

export namespace Header {
  export interface IProps {
    readonly course: CourseView;
    readonly execute: Execute;
  }
}

/** How far the student is, and the one thing to do next. */
export function Header({ course, execute }: Header.IProps): JSX.Element {
  const total = course.modules.length;
  const words = `${course.completed} / ${total}`;
  return (
    <div className="jp-TinyTorch-header">
      <div className="jp-TinyTorch-brand">
        <Drawing icon={tinytorchIcon} />
        <h2>{course.title}</h2>
        <span className="jp-TinyTorch-count" data-testid="tinytorch-progress">
          {words}
        </span>
      </div>
      <progress
        className="jp-TinyTorch-progress"
        value={course.completed}
        max={total}
        aria-label="Modules complete"
        aria-valuetext={`${course.completed} of ${total}`}
      />
      <NextStep course={course} execute={execute} />
    </div>
  );
}

/** The next step as a button. Where nothing comes next, so far, the newest piece of history is there instead. */
function NextStep({ course, execute }: Header.IProps): JSX.Element {
  const { kind, text } = course.next;
  if (kind === 'module' || kind === 'historical') {
    return (
      <button
        type="button"
        className="jp-TinyTorch-button jp-mod-primary jp-mod-wide"
        data-testid="tinytorch-next"
        onClick={() => execute(CommandIDs.openNext)}
      >
        {text}
      </button>
    );
  }
  const newest = course.historical.filter(h => h.state === 'available').pop();
  return (
    <>
      <p className="jp-TinyTorch-text" data-testid="tinytorch-next">
        {text}
      </p>
      {newest && (
        <button
          type="button"
          className="jp-TinyTorch-button jp-mod-primary jp-mod-wide"
          onClick={() => execute(CommandIDs.openExample, { historical: newest.id })}
        >
          Open {newest.title} ({newest.year})
        </button>
      )}
    </>
  );
}
