import type { LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';
import { stateIcons } from '../icons';

/** A drawing that repeats what stands beside it in words. */
export function Drawing({ icon, state }: { icon: LabIcon; state?: string }): JSX.Element {
  return (
    <span className="jp-TinyTorch-icon" data-state={state} aria-hidden="true">
      <icon.react tag={null} />
    </span>
  );
}

/** The drawing of a state and, for those who do not see it, its name. */
export function StateIcon({ state, words }: { state: string; words?: string }): JSX.Element {
  return (
    <>
      <Drawing icon={stateIcons[state] ?? stateIcons.error} state={state} />
      {words && <span className="jp-TinyTorch-hidden">{words}</span>}
    </>
  );
}
