import { Notification } from '@jupyterlab/apputils';
import type { ILauncher } from '@jupyterlab/launcher';
import { addLauncherCard } from '../shell/launcher';
import { Notifier } from '../shell/notify';
import { CommandIDs } from '../tokens';
import { aCourse, aModel, aReport, FakeServer, perceptron } from './fake';

const COMPLETE = 'POST modules/02_tensor/complete';

describe('the notification', () => {
  const execute = vi.fn();
  const only = (): Notification.INotification => {
    expect(Notification.manager.notifications).toHaveLength(1);
    return Notification.manager.notifications[0];
  };

  beforeEach(() => Notification.dismiss());

  it('is one for a run, and ends with what was unlocked', async () => {
    const server = new FakeServer();
    server.answers['GET course'] = aCourse({ historical: [{ ...perceptron, state: 'available' }] });
    const model = await aModel(server);
    new Notifier(model, execute);
    const unlocked = { modules: [], historical: ['perceptron_1957'], milestones: ['build'] };
    server.answers[COMPLETE] = aReport({ unlocked });
    const run = model.complete('02_tensor');
    expect(only()).toMatchObject({
      type: 'in-progress',
      message: '02 Tensor. Saving the notebook…'
    });
    await run;
    expect(only()).toMatchObject({ type: 'success', message: '02 Tensor is complete.' });
    const [action] = only().options.actions ?? [];
    expect(action.label).toBe('Open Perceptron (1957)');
    action.callback(new MouseEvent('click'));
    expect(execute).toHaveBeenCalledWith(CommandIDs.openExample, { historical: 'perceptron_1957' });
  });

  it('warns of failed checks, and calls only our own failure an error', async () => {
    const server = new FakeServer();
    const model = await aModel(server);
    new Notifier(model, execute);
    server.answers[COMPLETE] = aReport({ verdict: 'failed' });
    await model.complete('02_tensor');
    expect(only().type).toBe('warning');
    server.answers[COMPLETE] = aReport({ attempt: 'a2', verdict: 'error' });
    await model.complete('02_tensor');
    expect(only().type).toBe('error');
  });

  it('can be switched off', async () => {
    const server = new FakeServer();
    const model = await aModel(server);
    new Notifier(model, execute);
    model.preferences = { celebrate: true, notifications: false };
    server.answers[COMPLETE] = aReport();
    await model.complete('02_tensor');
    expect(Notification.manager.notifications).toHaveLength(0);
  });
});

describe('the launcher card', () => {
  it('is renewed when the next step changes, and only then', async () => {
    const server = new FakeServer();
    const dispose = vi.fn();
    const add = vi.fn<ILauncher['add']>(() => ({ dispose, isDisposed: false }));
    const model = server.model();
    addLauncherCard({ add }, model);
    await model.refresh();
    await model.refresh();
    expect(add).toHaveBeenCalledTimes(1);
    expect(add.mock.calls[0][0]).toMatchObject({ command: CommandIDs.openNext });
    const next = {
      kind: 'module' as const,
      id: '03_layers',
      title: 'Layers',
      text: 'Continue with 03 Layers'
    };
    server.answers['GET course'] = aCourse({ next });
    await model.refresh();
    expect(add).toHaveBeenCalledTimes(2);
    expect(dispose).toHaveBeenCalledTimes(1);
  });
});
