/** ipywidgets takes every export of this file for a model or a view: nothing else may be here. */
export { CheckResultModel, CheckResultView } from './check';
export { CompleteModuleModel, CompleteModuleView } from './complete';
export { DrawPadModel, DrawPadView } from './pad';
