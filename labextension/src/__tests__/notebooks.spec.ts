import type * as Apputils from '@jupyterlab/apputils';
import { showDialog } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { Actions } from '../actions';
import { Notebooks } from '../notebook/notebooks';
import type { ICourseModel } from '../tokens';
import { aModule } from './fake';

vi.mock('@jupyterlab/apputils', async original => ({
  ...(await original<typeof Apputils>()),
  showDialog: vi.fn(async () => ({ button: { accept: false } }))
}));

/** As much of an open notebook as is looked at. */
function aPanel(path: string, metadata: object | null, dirty = true): NotebookPanel {
  const cells = ['intro', 'exercise-tensor-add', 'other'].map(id => ({
    id,
    getMetadata: () => (id === 'other' ? ['exercise:tensor-sum'] : undefined)
  }));
  return {
    node: document.createElement('div'),
    revealed: Promise.resolve(),
    context: {
      path,
      ready: Promise.resolve(),
      model: { dirty, readOnly: false },
      save: vi.fn(async () => undefined),
      revert: vi.fn(async () => undefined)
    },
    content: {
      model: { getMetadata: () => metadata, cells },
      widgets: cells.map(() => ({ node: document.createElement('div') })),
      scrollToCell: vi.fn(async () => undefined)
    }
  } as unknown as NotebookPanel;
}

function aDesk(...panels: NotebookPanel[]): Notebooks {
  const find = (wanted: (panel: NotebookPanel) => boolean): NotebookPanel | undefined =>
    panels.find(wanted);
  return new Notebooks({
    tracker: { find, currentWidget: panels[0] ?? null },
    documents: { openOrReveal: (path: string) => find(p => p.context.path === path) },
    contents: { localPath: (path: string) => path.replace('RTC:', '') }
  } as unknown as Notebooks.IOptions);
}

const OWN = 'notebooks/02_tensor.ipynb';
const tensor = { module: '02_tensor' };

describe('the module of a notebook', () => {
  const moduleOf = (path: string, metadata: object | null): string | null =>
    aDesk().moduleOf(aPanel(path, metadata));

  it('is in its metadata, wherever it lies', () => {
    expect(moduleOf('old/copy.ipynb', tensor)).toBe('02_tensor');
  });

  it('is in its path when the metadata is lost', () => {
    expect(moduleOf(OWN, null)).toBe('02_tensor');
    expect(moduleOf('RTC:notebooks/02_tensor.ipynb', null)).toBe('02_tensor');
    expect(moduleOf('essay.ipynb', null)).toBeNull();
  });

  it('is none for a historical notebook', () => {
    expect(moduleOf('historical/xor_1969.ipynb', { historical: 'xor_1969' })).toBeNull();
  });
});

describe('saving', () => {
  it('saves what is open and changed', async () => {
    const panel = aPanel(OWN, tensor);
    await aDesk(panel).save(OWN);
    expect(panel.context.save).toHaveBeenCalledTimes(1);
  });

  it('leaves alone what is not', async () => {
    const panel = aPanel(OWN, tensor, false);
    await aDesk(panel).save(OWN);
    await aDesk().save(OWN);
    expect(panel.context.save).not.toHaveBeenCalled();
  });

  it('says why it could not', async () => {
    const panel = aPanel(OWN, tensor);
    vi.mocked(panel.context.save).mockRejectedValue(new Error('The disk is full.'));
    await expect(aDesk(panel).save(OWN)).rejects.toThrow('The disk is full.');
    vi.mocked(panel.context.save).mockRejectedValue('Cancel');
    await expect(aDesk(panel).save(OWN)).rejects.toThrow('JupyterLab gave up saving it.');
  });
});

describe('showing a cell', () => {
  it.each([
    ['by its id', 'exercise-tensor-add', '', 1],
    ['by the tag of its exercise when the id is gone', 'gone', 'tensor-sum', 2]
  ])('finds it %s', async (_how, cell, exercise, index) => {
    const panel = aPanel(OWN, tensor);
    await aDesk(panel).reveal(OWN, cell, exercise);
    const wanted = panel.content.widgets[index];
    expect(panel.content.scrollToCell).toHaveBeenCalledWith(wanted, 'center');
    expect(wanted.node.className).toContain('jp-TinyTorch-flash');
  });

  it('opens the notebook and stays at its top when there is no such cell', async () => {
    const panel = aPanel(OWN, tensor);
    await aDesk(panel).reveal(OWN, 'gone', 'gone');
    expect(panel.content.scrollToCell).not.toHaveBeenCalled();
  });
});

describe('a notebook that is not the one that is graded', () => {
  const complete = vi.fn(async () => undefined);
  const model = { pathOf: () => OWN, complete } as unknown as ICourseModel;
  const actions = (desk: Notebooks): Actions =>
    new Actions({ app: null as never, model, notebooks: desk, editors: null });
  const module = aModule(2);

  const explanation = (): unknown => vi.mocked(showDialog).mock.lastCall?.[0]?.body;

  beforeEach(() => vi.clearAllMocks());

  it('is explained when it asks, and not graded', async () => {
    const copy = aPanel('copy.ipynb', tensor);
    await actions(aDesk(copy, aPanel(OWN, tensor))).complete(module, false, 'copy.ipynb');
    expect(explanation()).toContain('The course grades notebooks/02_tensor.ipynb');
    expect(explanation()).toContain('copy.ipynb');
    expect(complete).not.toHaveBeenCalled();
  });

  it('is explained when it is the only one that is open', async () => {
    await actions(aDesk(aPanel('renamed.ipynb', tensor))).complete(module, false);
    expect(explanation()).toContain('renamed.ipynb');
    expect(complete).not.toHaveBeenCalled();
  });

  it('does not keep the other from being graded', async () => {
    const desk = aDesk(aPanel('copy.ipynb', tensor), aPanel(OWN, tensor));
    await actions(desk).complete(module, true);
    expect(complete).toHaveBeenCalledWith('02_tensor', true);
  });
});
