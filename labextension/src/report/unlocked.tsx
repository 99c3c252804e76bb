import * as React from 'react';
import type { CourseView, Unlocked as Value } from '../schema';
import type { Execute } from '../tokens';
import { CommandIDs } from '../tokens';
import { label } from '../words';

export namespace Unlocked {
  export interface IProps {
    readonly unlocked: Value;
    readonly course: CourseView | null;
    readonly execute: Execute;
  }
}

/** What a passed attempt opened, each as a button. */
export function Unlocked({ unlocked, course, execute }: Unlocked.IProps): JSX.Element | null {
  const historical = course?.historical.filter(h => unlocked.historical.includes(h.id)) ?? [];
  const modules = course?.modules.filter(m => unlocked.modules.includes(m.id)) ?? [];
  if (historical.length + modules.length === 0) {
    return null;
  }
  return (
    <div className="jp-TinyTorch-actions" data-testid="tinytorch-unlocked">
      {historical.map(({ id, title, year }) => (
        <button
          key={id}
          type="button"
          className="jp-TinyTorch-button jp-mod-primary"
          onClick={() => execute(CommandIDs.openExample, { historical: id })}
        >
          Open {title} ({year})
        </button>
      ))}
      {modules.map(module => (
        <button
          key={module.id}
          type="button"
          className="jp-TinyTorch-button jp-mod-primary"
          onClick={() => execute(CommandIDs.openModule, { module: module.id })}
        >
          Open {label(module)}
        </button>
      ))}
    </div>
  );
}
