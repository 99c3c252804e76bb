import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { Kernel } from '@jupyterlab/services';
import type { Notebooks } from './notebooks';

/** Until the notebook's first cell has run, `%check` and `%hint` then say so. Nothing happens where the kernel has no TinyTorch. */
const PREPARE =
  "__import__('tinytorch_core.kernel.extension', fromlist=['prepare']).prepare(get_ipython())";
const STARTS: ReadonlySet<Kernel.Status> = new Set<Kernel.Status>([
  'unknown',
  'starting',
  'restarting',
  'autorestarting'
]);

/** Have the kernel of each module notebook run a line of ours, unseen, whenever it has started. */
export function prepareKernels(tracker: INotebookTracker, notebooks: Notebooks): void {
  tracker.widgetAdded.connect((_, panel) => prepareKernelOf(panel, notebooks));
}

export function prepareKernelOf(panel: NotebookPanel, notebooks: Notebooks): void {
  const { context, sessionContext } = panel;
  let fresh = true;
  sessionContext.statusChanged.connect((_, status) => {
    fresh ||= STARTS.has(status);
    const kernel = sessionContext.session?.kernel;
    if (status !== 'idle' || !fresh || !kernel) {
      return;
    }
    fresh = false;
    void context.ready.then(() => {
      if (notebooks.moduleOf(panel)) {
        kernel.requestExecute({ code: PREPARE, silent: true, store_history: false });
      }
    });
  });
}
