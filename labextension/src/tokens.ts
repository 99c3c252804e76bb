import type { VDomRenderer } from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { CourseView, ModuleView, Report } from './schema';

/** The plugin that owns the settings, and the id of the sidebar in the shell. */
export const PLUGIN = 'tinytorch_core:plugin';
export const SIDEBAR = 'tinytorch-sidebar';

export namespace CommandIDs {
  export const showSidebar = 'tinytorch:show-sidebar';
  export const start = 'tinytorch:start';
  export const openNext = 'tinytorch:open-next';
  export const openModule = 'tinytorch:open-module';
  export const openExample = 'tinytorch:open-example';
  export const complete = 'tinytorch:complete';
  export const check = 'tinytorch:check';
  export const cancel = 'tinytorch:cancel';
  export const reset = 'tinytorch:reset';
  export const restore = 'tinytorch:restore';
  export const attempts = 'tinytorch:attempts';
  export const solution = 'tinytorch:solution';
  export const changes = 'tinytorch:changes';
  export const compare = 'tinytorch:compare';
  export const reveal = 'tinytorch:reveal-cell';
}

/** What a component calls when something is clicked. */
export type Execute = (command: string, args?: ReadonlyPartialJSONObject) => void;

/** Why there is no course to show. */
export interface IProblem {
  readonly kind: 'missing' | 'version' | 'offline' | 'failed';
  readonly message: string;
}

export interface ILiveCheck {
  readonly id: string;
  readonly title: string;
  readonly outcome: string;
  readonly stage: string;
}

export interface ILiveCell {
  readonly id: string;
  readonly index: number;
  readonly total: number;
  readonly outcome: string;
}

/** One grading as the browser sees it, from the click to the report. Frozen: each step makes a new one. */
export interface IRun {
  /** Tells runs apart before the server has named the attempt. */
  readonly serial: number;
  readonly module: string;
  readonly attempt: string | null;
  /** `past`: a report of an earlier session, read again. */
  readonly origin: 'here' | 'elsewhere' | 'past';
  readonly phase: 'saving' | 'starting' | 'queued' | 'running' | 'done';
  readonly checkOnly: boolean;
  readonly cancelling: boolean;
  readonly seq: number;
  readonly stage: string;
  readonly cell: ILiveCell | null;
  readonly checks: readonly ILiveCheck[];
  /** How many checks there will be; 0 while unknown. */
  readonly total: number;
  readonly report: Report | null;
  /** Why there is no report: not saved, refused, or lost. */
  readonly error: string;
  /** The module was not complete when this run began. */
  readonly first: boolean;
}

export interface IPreferences {
  readonly celebrate: boolean;
  readonly notifications: boolean;
}

export interface ICourseModel extends VDomRenderer.IModel {
  readonly course: CourseView | null;
  readonly problem: IProblem | null;
  /** True until the server has answered once. */
  readonly loading: boolean;
  /** The module whose details are shown. */
  readonly selected: string | null;
  readonly runs: ReadonlyMap<string, IRun>;
  preferences: IPreferences;

  module(id: string): ModuleView | null;
  run(module: string): IRun | null;
  /** The grading under way, if any. */
  readonly active: IRun | null;
  /** Where the module's notebook lies, as JupyterLab names paths. */
  pathOf(module: string): string;

  select(module: string | null): void;
  refresh(): Promise<void>;
  /** Create or adopt the workspace. */
  start(): Promise<void>;
  /** Make sure the notebook is there; its path. */
  open(module: string): Promise<string>;
  openHistorical(id: string): Promise<string>;
  complete(module: string, checkOnly?: boolean): Promise<void>;
  cancel(module: string): Promise<void>;
  reset(module: string): Promise<string>;
  /** What was done, in sentences: a notification cuts off what is longer than 140 characters. */
  restore(module: string): Promise<readonly string[]>;
  attempts(module: string): Promise<readonly Report[]>;
  solution(module: string): Promise<string>;
  /** What the student changed since the beginning or since it passed, or what differs from the solution. */
  diff(module: string, against: 'solution' | ''): Promise<string>;
  /** Read the newest report again, if none is shown. */
  recall(module: string): Promise<void>;
  show(report: Report): void;
}
