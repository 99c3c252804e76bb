import type { NotebookPanel } from '@jupyterlab/notebook';
import { ToolbarButtonComponent, VDomRenderer } from '@jupyterlab/ui-components';
import * as React from 'react';
import { checkIcon } from '../icons';
import type { Execute, ICourseModel } from '../tokens';
import { CommandIDs } from '../tokens';
import { isActive } from '../words';
import type { Notebooks } from './notebooks';

export namespace CompleteButton {
  export interface IOptions {
    readonly model: ICourseModel;
    readonly panel: NotebookPanel;
    readonly notebooks: Notebooks;
    readonly execute: Execute;
  }
}

/** "Complete module" in a notebook's toolbar. In notebooks that belong to no module it takes no room. */
export class CompleteButton extends VDomRenderer<ICourseModel> {
  constructor(private readonly _options: CompleteButton.IOptions) {
    super(_options.model);
    this.addClass('jp-TinyTorch-toolbarButton');
    this.hide();
    const { context } = _options.panel;
    void context.ready.then(() => {
      if (!this.isDisposed) {
        context.model.metadataChanged.connect(this.update, this);
        context.pathChanged.connect(this.update, this);
        this.update();
      }
    });
  }

  protected override render(): JSX.Element | null {
    const { model, panel, notebooks, execute } = this._options;
    const module = notebooks.moduleOf(panel);
    const view = module ? model.module(module) : null;
    this.setHidden(view === null);
    if (!view) {
      return null;
    }
    const busy = isActive(model.run(view.id)) || view.state === 'checking';
    return (
      <ToolbarButtonComponent
        icon={checkIcon}
        label={busy ? 'Checking…' : 'Complete module'}
        tooltip={`Save, then check all of ${view.title}`}
        enabled={!busy}
        onClick={() =>
          execute(CommandIDs.complete, { module: view.id, path: notebooks.pathOf(panel) })
        }
      />
    );
  }
}
