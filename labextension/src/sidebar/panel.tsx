import { MenuSvg, VDomRenderer } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyJSONObject, ReadonlyPartialJSONObject } from '@lumino/coreutils';
import * as React from 'react';
import { tinytorchIcon } from '../icons';
import type { MilestoneView, ModuleView } from '../schema';
import type { ICourseModel } from '../tokens';
import { CommandIDs, SIDEBAR } from '../tokens';
import { Sidebar } from './sidebar';

const MODULE_MENU: readonly (string | null)[] = [
  CommandIDs.check,
  null,
  CommandIDs.restore,
  CommandIDs.reset,
  null,
  CommandIDs.attempts,
  CommandIDs.changes,
  CommandIDs.solution,
  CommandIDs.compare
];

/** The panel in JupyterLab's left area. */
export class SidebarPanel extends VDomRenderer<ICourseModel> {
  constructor(
    model: ICourseModel,
    private readonly _commands: CommandRegistry
  ) {
    super(model);
    this.id = SIDEBAR;
    this.addClass('jp-TinyTorch');
    this.title.icon = tinytorchIcon;
    this.title.caption = 'TinyTorch';
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', 'TinyTorch');
  }

  protected override render(): JSX.Element {
    return (
      <Sidebar
        model={this.model}
        execute={this._execute}
        onModuleMenu={(module, anchor) => this._openModuleMenu(module, anchor)}
        onBadge={(milestone, anchor) => this._openBadge(milestone, anchor)}
      />
    );
  }

  private readonly _execute = (command: string, args?: ReadonlyPartialJSONObject): void => {
    void this._commands.execute(command, args);
  };

  private _openModuleMenu(module: ModuleView, anchor: HTMLElement): void {
    const args = { module: module.id };
    this._openMenu(
      anchor,
      MODULE_MENU.map(command => command && { command, args })
    );
  }

  private _openBadge(milestone: MilestoneView, anchor: HTMLElement): void {
    const open = (this.model.course?.historical ?? [])
      .filter(h => h.milestone === milestone.id && h.state === 'available')
      .map(h => ({ command: CommandIDs.openExample, args: { historical: h.id } }));
    if (open.length === 1) {
      this._execute(open[0].command, open[0].args);
    } else {
      this._openMenu(anchor, open);
    }
  }

  private _openMenu(anchor: HTMLElement, items: readonly (IItem | '' | null)[]): void {
    const menu = new MenuSvg({ commands: this._commands });
    for (const item of items) {
      menu.addItem(item ? item : { type: 'separator' });
    }
    menu.aboutToClose.connect(() => anchor.focus());
    const { left, bottom } = anchor.getBoundingClientRect();
    menu.open(left, bottom);
  }
}

interface IItem {
  readonly command: string;
  readonly args: ReadonlyJSONObject;
}
