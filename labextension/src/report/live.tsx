import * as React from 'react';
import type { IRun } from '../tokens';
import { outcomeWords, STAGES } from '../words';
import { StateIcon } from './icon';

/** How many of the latest checks are listed while they tick. */
const LISTED = 4;

/** A grading under way: stages, cells, checks as they come, and a way out. */
export function Live({ run, onCancel }: { run: IRun; onCancel: () => void }): JSX.Element {
  return (
    <div className="jp-TinyTorch-live" data-testid="tinytorch-live" data-phase={run.phase}>
      <Stages run={run} />
      {run.cell && (
        <Meter
          name="Notebook"
          words={`cell ${run.cell.index + 1} of ${run.cell.total}`}
          value={run.cell.index + 1}
          max={run.cell.total}
        />
      )}
      {run.total > 0 && (
        <Meter
          name="Checks"
          words={`${run.checks.length} of ${run.total}`}
          value={run.checks.length}
          max={run.total}
        />
      )}
      <Ticks run={run} />
      <button
        type="button"
        className="jp-TinyTorch-button"
        disabled={run.attempt === null || run.cancelling}
        onClick={onCancel}
      >
        Cancel
      </button>
    </div>
  );
}

function Stages({ run }: { run: IRun }): JSX.Element {
  const now = STAGES.findIndex(([id]) => id === run.stage);
  const place = (index: number): string => (index < now ? 'done' : index === now ? 'now' : 'later');
  return (
    <ol className="jp-TinyTorch-stages" aria-label="Stages">
      {STAGES.map(([id, title], index) => (
        <li
          key={id}
          className="jp-TinyTorch-stage"
          data-place={place(index)}
          aria-current={index === now ? 'step' : undefined}
          title={title}
        >
          <span className="jp-TinyTorch-hidden">{title}</span>
        </li>
      ))}
    </ol>
  );
}

interface IMeter {
  readonly name: string;
  readonly words: string;
  readonly value: number;
  readonly max: number;
}

function Meter({ name, words, value, max }: IMeter): JSX.Element {
  return (
    <label className="jp-TinyTorch-meter">
      <span>{name}</span>
      <span className="jp-TinyTorch-meterWords">{words}</span>
      <progress className="jp-TinyTorch-progress" value={value} max={max} />
    </label>
  );
}

function Ticks({ run }: { run: IRun }): JSX.Element {
  return (
    <ul className="jp-TinyTorch-ticks" aria-label="Latest checks">
      {run.checks.slice(-LISTED).map(check => (
        <li key={check.id} className="jp-TinyTorch-tick">
          <StateIcon state={check.outcome} words={outcomeWords(check.outcome)} />
          <span className="jp-TinyTorch-tickTitle">{check.title}</span>
        </li>
      ))}
    </ul>
  );
}
