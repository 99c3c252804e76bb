/** Kept equal to package.json by a unit test. The server half must have the same. */
export const VERSION = '0.1.0';

/** What ipywidgets and JupyterLab call this package. */
export const PACKAGE = 'tinytorch_core';
