import { IJupyterWidgetRegistry } from '@jupyter-widgets/base';
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette, IToolbarWidgetRegistry } from '@jupyterlab/apputils';
import { IEditorServices } from '@jupyterlab/codeeditor';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { ILauncher } from '@jupyterlab/launcher';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { IStatusBar } from '@jupyterlab/statusbar';
import { Actions } from './actions';
import { Api } from './api';
import { addCommands } from './commands';
import { ITinyTorch, provide } from './context';
import { CourseModel } from './model';
import { prepareKernels } from './notebook/kernels';
import { Notebooks } from './notebook/notebooks';
import { CompleteButton } from './notebook/toolbar';
import { addLauncherCard } from './shell/launcher';
import { Notifier } from './shell/notify';
import { followPreferences } from './shell/preferences';
import { StatusItem } from './shell/statusbar';
import { followNotebook, welcome } from './shell/welcome';
import { SidebarPanel } from './sidebar/panel';
import { PLUGIN, SIDEBAR } from './tokens';
import { PACKAGE, VERSION } from './version';

const course: JupyterFrontEndPlugin<ITinyTorch> = {
  id: PLUGIN,
  description: 'The state of the TinyTorch course, and its commands.',
  autoStart: true,
  requires: [INotebookTracker, IDocumentManager],
  optional: [ICommandPalette, IEditorServices, ISettingRegistry],
  provides: ITinyTorch,
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    documents: IDocumentManager,
    palette: ICommandPalette | null,
    editors: IEditorServices | null,
    settings: ISettingRegistry | null
  ): ITinyTorch => {
    const { commands, serviceManager } = app;
    const { contents, events, serverSettings } = serviceManager;
    const notebooks = new Notebooks({ tracker, documents, contents });
    const model = new CourseModel({
      api: new Api(serverSettings),
      events: events.stream,
      save: path => notebooks.save(path)
    });
    const actions = new Actions({ app, model, notebooks, editors });
    addCommands({ commands, palette, model, notebooks, actions });
    prepareKernels(tracker, notebooks);
    contents.fileChanged.connect((_, { type, newValue }) => {
      if (type === 'save' && newValue?.path) {
        model.onSaved(contents.localPath(newValue.path));
      }
    });
    if (settings) {
      followPreferences(settings, model).catch(console.error);
    }
    void model.refresh();
    return { model, notebooks, execute: (id, args) => void commands.execute(id, args) };
  }
};

const sidebar: JupyterFrontEndPlugin<void> = {
  id: `${PACKAGE}:sidebar`,
  description: 'The way through the course, in the left sidebar.',
  autoStart: true,
  requires: [ITinyTorch],
  optional: [ILayoutRestorer, IStateDB],
  activate: (
    app: JupyterFrontEnd,
    tinytorch: ITinyTorch,
    restorer: ILayoutRestorer | null,
    state: IStateDB | null
  ) => {
    const panel = new SidebarPanel(tinytorch.model, app.commands);
    app.shell.add(panel, 'left', { rank: 150, type: 'TinyTorch' });
    restorer?.add(panel, SIDEBAR);
    followNotebook(tinytorch);
    welcome(app, tinytorch, state).catch(console.error);
  }
};

const toolbar: JupyterFrontEndPlugin<void> = {
  id: `${PACKAGE}:toolbar`,
  description: 'The "Complete module" button of module notebooks.',
  autoStart: true,
  requires: [ITinyTorch, IToolbarWidgetRegistry],
  activate: (_: JupyterFrontEnd, tinytorch: ITinyTorch, registry: IToolbarWidgetRegistry) => {
    registry.addFactory<NotebookPanel>(
      'Notebook',
      'tinytorch-complete',
      panel => new CompleteButton({ ...tinytorch, panel })
    );
  }
};

const shell: JupyterFrontEndPlugin<void> = {
  id: `${PACKAGE}:shell`,
  description: 'The launcher card, the status bar item, and one notification a grading.',
  autoStart: true,
  requires: [ITinyTorch],
  optional: [ILauncher, IStatusBar],
  activate: (
    _: JupyterFrontEnd,
    { model, execute }: ITinyTorch,
    launcher: ILauncher | null,
    statusBar: IStatusBar | null
  ) => {
    if (launcher) {
      addLauncherCard(launcher, model);
    }
    statusBar?.registerStatusItem(PACKAGE, {
      item: new StatusItem(model, execute),
      align: 'left',
      rank: 10
    });
    new Notifier(model, execute);
  }
};

const widgets: JupyterFrontEndPlugin<void> = {
  id: `${PACKAGE}:widgets`,
  description: 'The views of CompleteModule() and of %check.',
  autoStart: true,
  requires: [IJupyterWidgetRegistry, ITinyTorch],
  activate: (_: JupyterFrontEnd, registry: IJupyterWidgetRegistry, tinytorch: ITinyTorch) => {
    provide(tinytorch);
    registry.registerWidget({
      name: PACKAGE,
      version: VERSION,
      exports: async () => import('./widgets')
    });
  }
};

export default [course, sidebar, toolbar, shell, widgets];
