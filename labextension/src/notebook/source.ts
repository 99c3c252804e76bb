import { MainAreaWidget } from '@jupyterlab/apputils';
import type { IEditorServices } from '@jupyterlab/codeeditor';
import { CodeEditor, CodeEditorWrapper } from '@jupyterlab/codeeditor';
import { tinytorchIcon } from '../icons';

export namespace Source {
  export interface IOptions {
    readonly id: string;
    readonly title: string;
    readonly mimeType: string;
    readonly text: string;
    readonly editors: IEditorServices;
  }
}

/** A tab with text to read: the solution, or a diff. */
export function sourceTab(options: Source.IOptions): MainAreaWidget {
  const { id, title, mimeType, text, editors } = options;
  const model = new CodeEditor.Model({ mimeType });
  model.sharedModel.setSource(text);
  const content = new CodeEditorWrapper({
    model,
    factory: editors.factoryService.newDocumentEditor,
    editorOptions: { config: { readOnly: true, lineNumbers: true, lineWrap: false } }
  });
  const tab = new MainAreaWidget({ content });
  tab.id = id;
  tab.title.label = title;
  tab.title.icon = tinytorchIcon;
  tab.title.closable = true;
  tab.title.caption = `${title} (to read, not to change)`;
  return tab;
}
