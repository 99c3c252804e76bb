import type { NotebookPanel } from '@jupyterlab/notebook';
import type { Kernel } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';
import { prepareKernelOf } from '../notebook/kernels';
import type { Notebooks } from '../notebook/notebooks';

function aSession(module: string | null) {
  const kernel = { requestExecute: vi.fn() };
  const sessionContext = { session: { kernel } };
  const statusChanged = new Signal<object, Kernel.Status>(sessionContext);
  const panel = {
    context: { ready: Promise.resolve() },
    sessionContext: { ...sessionContext, statusChanged }
  } as unknown as NotebookPanel;
  prepareKernelOf(panel, { moduleOf: () => module } as unknown as Notebooks);
  const goes = async (...statuses: Kernel.Status[]): Promise<number> => {
    statuses.forEach(status => statusChanged.emit(status));
    await Promise.resolve();
    return kernel.requestExecute.mock.calls.length;
  };
  return { kernel, goes };
}

describe('a module notebook’s kernel', () => {
  it('is prepared once it has started, unseen', async () => {
    const { kernel, goes } = aSession('02_tensor');
    expect(await goes('starting')).toBe(0);
    expect(await goes('idle')).toBe(1);
    expect(kernel.requestExecute.mock.calls[0][0]).toMatchObject({
      silent: true,
      store_history: false
    });
  });

  it('is not prepared again after each cell', async () => {
    const { goes } = aSession('02_tensor');
    expect(await goes('idle', 'busy', 'idle', 'busy', 'idle')).toBe(1);
  });

  it('is prepared again after a restart', async () => {
    const { goes } = aSession('02_tensor');
    await goes('idle');
    expect(await goes('restarting', 'busy', 'idle')).toBe(2);
  });

  it('is left alone when the notebook belongs to no module', async () => {
    expect(await aSession(null).goes('starting', 'idle')).toBe(0);
  });
});
