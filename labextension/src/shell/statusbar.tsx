import { VDomRenderer } from '@jupyterlab/ui-components';
import * as React from 'react';
import type { Execute, ICourseModel } from '../tokens';
import { CommandIDs } from '../tokens';

/** "TinyTorch 4 / 14", or which module is being checked. A click shows the sidebar. */
export class StatusItem extends VDomRenderer<ICourseModel> {
  constructor(
    model: ICourseModel,
    private readonly _execute: Execute
  ) {
    super(model);
  }

  protected override render(): JSX.Element {
    const { course, active } = this.model;
    const checking = active && this.model.module(active.module);
    const words = checking
      ? `TinyTorch: checking ${checking.title}${active.total ? ` ${active.checks.length} / ${active.total}` : ''}`
      : course?.workspace
        ? `TinyTorch ${course.completed} / ${course.modules.length}`
        : 'TinyTorch';
    return (
      <button
        type="button"
        className="jp-TinyTorch-statusItem"
        title="Show TinyTorch"
        data-testid="tinytorch-statusbar"
        onClick={() => this._execute(CommandIDs.showSidebar)}
      >
        {words}
      </button>
    );
  }
}
