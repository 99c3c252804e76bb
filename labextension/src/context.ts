import { Token } from '@lumino/coreutils';
import type { Notebooks } from './notebook/notebooks';
import type { Execute, ICourseModel } from './tokens';

/** What every door of this extension is built on. */
export interface ITinyTorch {
  readonly model: ICourseModel;
  readonly notebooks: Notebooks;
  readonly execute: Execute;
}

export const ITinyTorch = new Token<ITinyTorch>(
  'tinytorch_core:ITinyTorch',
  'The state of the TinyTorch course, its open notebooks, and its commands.'
);

let context: ITinyTorch | null = null;

/** For the views: ipywidgets makes those by itself and hands nothing over. */
export function provide(value: ITinyTorch): void {
  context = value;
}

export function provided(): ITinyTorch | null {
  return context;
}
