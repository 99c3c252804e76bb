import { ellipsesIcon } from '@jupyterlab/ui-components';
import * as React from 'react';
import { StateIcon } from '../report/icon';
import type { CourseView, ModuleView } from '../schema';
import type { Execute, IRun } from '../tokens';
import { isActive, label } from '../words';
import { Details } from './details';

export namespace ModuleRow {
  export interface IProps {
    readonly module: ModuleView;
    readonly course: CourseView;
    readonly run: IRun | null;
    readonly selected: boolean;
    readonly celebrate: boolean;
    readonly execute: Execute;
    readonly onSelect: (module: string | null) => void;
    readonly onMenu: (module: ModuleView, anchor: HTMLElement) => void;
  }
}

/** One module: its state, its name, and, when selected, everything about it. */
export function ModuleRow(props: ModuleRow.IProps): JSX.Element {
  const { module, course, run, selected, onSelect, onMenu } = props;
  const next = course.next.id === module.id;
  const { icon, words, note } = appearance(module, next, run);
  const details = `jp-TinyTorch-details-${module.id}`;
  return (
    <li
      className="jp-TinyTorch-module"
      data-testid={`tinytorch-module-${module.id}`}
      data-state={module.state}
      data-next={next}
      aria-current={next ? 'step' : undefined}
    >
      <div className="jp-TinyTorch-row">
        <button
          type="button"
          className="jp-TinyTorch-name"
          aria-expanded={selected}
          aria-controls={details}
          aria-label={`${label(module)}, ${words}`}
          title={module.capability}
          onClick={() => onSelect(selected ? null : module.id)}
        >
          <StateIcon state={icon} />
          <span className="jp-TinyTorch-number">{String(module.number).padStart(2, '0')}</span>
          <span className="jp-TinyTorch-title">{module.title}</span>
          {note && <span className="jp-TinyTorch-note">{note}</span>}
        </button>
        {module.state !== 'locked' && (
          <button
            type="button"
            className="jp-TinyTorch-more"
            aria-haspopup="menu"
            aria-label={`More for ${label(module)}`}
            onClick={event => onMenu(module, event.currentTarget)}
          >
            <ellipsesIcon.react tag={null} />
          </button>
        )}
      </div>
      {next && !selected && <p className="jp-TinyTorch-secondary">{module.capability}</p>}
      <div id={details} hidden={!selected}>
        {selected && <Details {...props} />}
      </div>
    </li>
  );
}

interface IAppearance {
  readonly icon: string;
  readonly words: string;
  readonly note: string;
}

function appearance(module: ModuleView, next: boolean, run: IRun | null): IAppearance {
  if (module.state === 'checking' || isActive(run)) {
    return { icon: 'checking', words: 'being checked', note: 'checking' };
  }
  if (module.coming) {
    return { icon: 'coming', words: 'still to come', note: 'coming' };
  }
  switch (module.state) {
    case 'complete':
      return module.edited
        ? { icon: 'complete', words: 'complete, edited since it passed', note: 'edited' }
        : { icon: 'complete', words: 'complete', note: '' };
    case 'available':
      return { icon: next ? 'current' : 'available', words: next ? 'next' : 'open', note: '' };
    default:
      return { icon: 'locked', words: 'locked', note: '' };
  }
}
