import type { NotebookPanel } from '@jupyterlab/notebook';
import { CommandRegistry } from '@lumino/commands';
import type { Actions } from '../actions';
import { addCommands } from '../commands';
import type { CourseModel } from '../model';
import type { Notebooks } from '../notebook/notebooks';
import { CommandIDs } from '../tokens';
import { aCourse, aModel, anEvent, FakeServer } from './fake';

let commands: CommandRegistry;
let model: CourseModel;
let server: FakeServer;
let inFront: string | null;
const actions = {
  complete: vi.fn(),
  openModule: vi.fn(),
  openNext: vi.fn(),
  showSidebar: vi.fn(),
  solution: vi.fn()
};

beforeEach(async () => {
  vi.clearAllMocks();
  inFront = null;
  commands = new CommandRegistry();
  server = new FakeServer();
  model = await aModel(server);
  const notebooks = { current: {} as NotebookPanel, moduleOf: () => inFront };
  addCommands({
    commands,
    palette: null,
    model,
    notebooks: notebooks as unknown as Notebooks,
    actions: actions as unknown as Actions
  });
});

afterEach(() => model.dispose());

it('completes the module that is named', async () => {
  await commands.execute(CommandIDs.complete, { module: '01_setup' });
  expect(actions.complete.mock.calls[0][0].id).toBe('01_setup');
  expect(actions.showSidebar).toHaveBeenCalled();
});

it('completes the module of the notebook in front, else the next one', async () => {
  await commands.execute(CommandIDs.complete);
  expect(actions.complete.mock.calls[0][0].id).toBe('02_tensor');
  inFront = '01_setup';
  await commands.execute(CommandIDs.complete);
  expect(actions.complete.mock.calls[1][0].id).toBe('01_setup');
});

it('leaves the sidebar alone when asked from a notebook', async () => {
  const args = { module: '02_tensor', path: 'copy.ipynb', quiet: true };
  await commands.execute(CommandIDs.complete, args);
  expect(actions.showSidebar).not.toHaveBeenCalled();
  expect(actions.complete.mock.calls[0].slice(1)).toEqual([false, 'copy.ipynb']);
});

it('tells of changes when a run begins or ends, not at every step of it', async () => {
  const told = vi.fn();
  commands.commandChanged.connect(told);
  await model.complete('02_tensor');
  expect(told).toHaveBeenCalled();
  told.mockClear();
  server.emit(anEvent(0));
  server.emit(anEvent(1));
  expect(told).not.toHaveBeenCalled();
});

it('has the next step for a label', async () => {
  expect(commands.label(CommandIDs.openNext)).toBe('Continue with 02 Tensor');
  server.answers['GET course'] = aCourse({ workspace: null });
  await model.refresh();
  expect(commands.label(CommandIDs.openNext)).toBe('Start TinyTorch');
});

it('keeps the solution until the module is complete', () => {
  expect(commands.isEnabled(CommandIDs.solution, { module: '02_tensor' })).toBe(false);
  expect(commands.isEnabled(CommandIDs.solution, { module: '01_setup' })).toBe(true);
});

it('offers nothing on a locked module', () => {
  expect(commands.isEnabled(CommandIDs.complete, { module: '03_layers' })).toBe(false);
  expect(commands.isEnabled(CommandIDs.reset, { module: '03_layers' })).toBe(false);
});

it('does not complete what is being completed', async () => {
  await model.complete('02_tensor');
  expect(commands.isEnabled(CommandIDs.complete, { module: '02_tensor' })).toBe(false);
  expect(commands.isEnabled(CommandIDs.cancel)).toBe(true);
});
