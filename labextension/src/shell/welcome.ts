import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { IStateDB } from '@jupyterlab/statedb';
import type { ITinyTorch } from '../context';
import { SIDEBAR } from '../tokens';
import { PACKAGE } from '../version';

const SHOWN = `${PACKAGE}:shown`;

/** In a workspace of the course the sidebar shows by itself, once; after that the layout is the student's. */
export async function welcome(
  app: JupyterFrontEnd,
  { model }: ITinyTorch,
  state: IStateDB | null
): Promise<void> {
  await app.restored;
  await model.refresh();
  if (model.course?.workspace && !(await state?.fetch(SHOWN))) {
    app.shell.activateById(SIDEBAR);
    await state?.save(SHOWN, true);
  }
}

/** The sidebar turns to the module of the notebook that comes to the front. */
export function followNotebook({ model, notebooks }: ITinyTorch): void {
  notebooks.currentChanged.connect(async () => {
    const panel = notebooks.current;
    await panel?.context.ready;
    const module = notebooks.moduleOf(panel);
    if (module && panel === notebooks.current && model.module(module)) {
      model.select(module);
    }
  });
}
