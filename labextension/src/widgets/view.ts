import { DOMWidgetModel, DOMWidgetView } from '@jupyter-widgets/base';
import type { ReactElement } from 'react';
import type { Root } from 'react-dom/client';
import { createRoot } from 'react-dom/client';
import { PACKAGE, VERSION } from '../version';

/** The names by which the kernel's half and this half find each other. */
export function names(widget: string): object {
  return {
    _model_name: `${widget}Model`,
    _model_module: PACKAGE,
    _model_module_version: VERSION,
    _view_name: `${widget}View`,
    _view_module: PACKAGE,
    _view_module_version: VERSION
  };
}

export class TinyTorchModel extends DOMWidgetModel {}

/** A view that React draws. */
export abstract class ReactView extends DOMWidgetView {
  override render(): void {
    super.render();
    this.el.classList.add('jp-TinyTorch', 'jp-TinyTorch-widget');
    this._root = createRoot(this.el);
    this.listenTo(this.model, 'change', () => this.draw());
    void this.displayed.then(() => this.draw());
  }

  override remove(): void {
    this._root?.unmount();
    this._root = null;
    super.remove();
  }

  protected draw(): void {
    this._root?.render(this.element());
  }

  protected abstract element(): ReactElement;

  private _root: Root | null = null;
}
