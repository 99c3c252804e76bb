import { DOMWidgetModel } from '@jupyter-widgets/base';
import * as React from 'react';
import { provided } from '../context';
import { Run } from '../report/run';
import type { ICourseModel } from '../tokens';
import { CommandIDs } from '../tokens';
import { isActive, label } from '../words';
import { names, ReactView } from './view';

export class CompleteModuleModel extends DOMWidgetModel {
  override defaults(): Backbone.ObjectHash {
    return { ...super.defaults(), ...names('CompleteModule'), module: null };
  }
}

/** The button in a notebook's last cell. It drives the model that the sidebar draws. */
export class CompleteModuleView extends ReactView {
  override render(): void {
    super.render();
    provided()?.model.stateChanged.connect(this.draw, this);
  }

  override remove(): void {
    provided()?.model.stateChanged.disconnect(this.draw, this);
    super.remove();
  }

  protected element(): JSX.Element {
    const context = provided();
    const panel = context?.notebooks.containing(this.el) ?? null;
    const own = context?.notebooks.moduleOf(panel) ?? null;
    const module = (this.model.get('module') as string | null) ?? own;
    if (!context || !module) {
      return (
        <p className="jp-TinyTorch-text">
          This notebook belongs to no module. Use the TinyTorch sidebar to complete one.
        </p>
      );
    }
    const path = panel && module === own ? context.notebooks.pathOf(panel) : '';
    return (
      <CompleteModule
        model={context.model}
        module={module}
        onComplete={() => context.execute(CommandIDs.complete, { module, path, quiet: true })}
        execute={context.execute}
      />
    );
  }
}

export namespace CompleteModule {
  export interface IProps {
    readonly model: ICourseModel;
    readonly module: string;
    readonly onComplete: () => void;
    readonly execute: Run.IProps['execute'];
  }
}

export function CompleteModule(props: CompleteModule.IProps): JSX.Element {
  const { model, execute, onComplete } = props;
  const module = model.module(props.module);
  const run = model.run(props.module);
  if (!module || module.state === 'locked') {
    return (
      <p className="jp-TinyTorch-text">
        {model.problem?.message ??
          (module ? `${module.title} is still locked.` : 'Reading the course…')}
      </p>
    );
  }
  const busy = isActive(run) || module.state === 'checking';
  return (
    <div
      className="jp-TinyTorch-complete"
      role="group"
      aria-label={`Complete ${label(module)}`}
      data-testid={`tinytorch-widget-${module.id}`}
    >
      <div className="jp-TinyTorch-completeHead">
        <span className="jp-TinyTorch-number">{String(module.number).padStart(2, '0')}</span>
        <span className="jp-TinyTorch-title">{module.title}</span>
        <button
          type="button"
          className="jp-TinyTorch-button jp-mod-primary"
          disabled={busy}
          onClick={onComplete}
        >
          {busy ? 'Checking…' : 'Complete module'}
        </button>
      </div>
      {run && (
        <Run
          run={run}
          module={module}
          course={model.course}
          celebrate={model.preferences.celebrate}
          execute={execute}
        />
      )}
    </div>
  );
}
