import type { CourseModel } from '../model';
import {
  aCourse,
  aModel,
  aModule,
  anEvent,
  aReport,
  FakeServer,
  perceptron,
  Refusal,
  settled
} from './fake';

const COMPLETE = 'POST modules/02_tensor/complete';
const ATTEMPT = 'GET attempts/a1';

let server: FakeServer;
let model: CourseModel;

beforeEach(async () => {
  vi.useFakeTimers();
  server = new FakeServer();
  model = await aModel(server);
});

afterEach(() => {
  model.dispose();
  vi.useRealTimers();
});

describe('the course', () => {
  it('is read once the versions agree, and the next module is selected', () => {
    expect(server.asked).toEqual(['GET health', 'GET course']);
    expect(model.course?.completed).toBe(1);
    expect(model.selected).toBe('02_tensor');
    expect(model.problem).toBeNull();
  });

  it('is read again when it has changed', async () => {
    server.answers['GET course'] = aCourse({ completed: 2 });
    server.emitCourse();
    await settled();
    expect(model.course?.completed).toBe(2);
  });

  it('is not read once for each of many changes', async () => {
    for (let i = 0; i < 20; i++) {
      server.emitCourse();
    }
    await settled();
    expect(server.count('GET course')).toBeLessThanOrEqual(3);
  });

  it('is read again when a notebook is saved whose state it tells', async () => {
    server.answers['GET course'] = aCourse({ historical: [perceptron] });
    server.emitCourse();
    await settled();
    const before = server.count('GET course');
    model.onSaved('notebooks/02_tensor.ipynb'); // not complete: nothing of it shows
    model.onSaved('diary.txt');
    await settled();
    expect(server.count('GET course')).toBe(before);
    model.onSaved('notebooks/01_setup.ipynb');
    await settled();
    model.onSaved(perceptron.notebook);
    await settled();
    expect(server.count('GET course')).toBe(before + 2);
  });

  it('says so when the server half is missing', async () => {
    delete server.answers['GET health'];
    const other = await aModel(server);
    expect(other.problem?.kind).toBe('missing');
    expect(other.problem?.message).toContain('tito lab');
  });

  it('says so when the server half has another version, and recovers', async () => {
    server.answers['GET health'] = { version: '9.9.9', ok: true };
    const other = await aModel(server);
    expect(other.problem?.kind).toBe('version');
    expect(other.problem?.message).toContain('9.9.9');
    server.answers['GET health'] = { version: '0.1.0', ok: true };
    await other.refresh();
    expect(other.problem).toBeNull();
  });

  it('keeps what it knows while the server does not answer', async () => {
    server.answers['GET course'] = () => Promise.reject(new TypeError('Failed to fetch'));
    await model.refresh();
    expect(model.problem?.kind).toBe('offline');
    expect(model.course).not.toBeNull();
  });

  it('repeats what the server says is wrong', async () => {
    server.answers['GET course'] = new Refusal(500, 'progress.db is damaged.');
    await model.refresh();
    expect(model.problem).toEqual({ kind: 'failed', message: 'progress.db is damaged.' });
  });
});

describe('completing a module', () => {
  it('saves the notebook first, then asks', async () => {
    const order: string[] = [];
    server.save = async () => void order.push('save');
    server.answers[COMPLETE] = () => {
      order.push('ask');
      return aReport({ state: 'queued', verdict: null, stages: [] });
    };
    await model.complete('02_tensor');
    expect(order).toEqual(['save', 'ask']);
    expect(server.saved).toEqual(['notebooks/02_tensor.ipynb']);
    expect(model.run('02_tensor')).toMatchObject({ attempt: 'a1', phase: 'queued' });
  });

  it('asks nothing when the notebook could not be saved', async () => {
    server.save = () => Promise.reject(new Error('The disk is full.'));
    await model.complete('02_tensor');
    expect(server.count(COMPLETE)).toBe(0);
    expect(model.run('02_tensor')?.error).toBe(
      'The notebook could not be saved, so nothing was checked. The disk is full.'
    );
    expect(model.active).toBeNull();
  });

  it('takes a double click for one', async () => {
    await Promise.all([model.complete('02_tensor'), model.complete('02_tensor')]);
    await model.complete('02_tensor');
    expect(server.count(COMPLETE)).toBe(1);
  });

  it('shows why the server refused', async () => {
    server.answers[COMPLETE] = new Refusal(409, '02 Tensor is locked: complete 01 Setup first.');
    await model.complete('02_tensor');
    expect(model.run('02_tensor')).toMatchObject({
      phase: 'done',
      error: '02 Tensor is locked: complete 01 Setup first.'
    });
    server.answers[COMPLETE] = aReport();
    await model.complete('02_tensor');
    expect(model.run('02_tensor')?.report?.verdict).toBe('passed');
  });

  it('asks for a check only', async () => {
    let body: unknown;
    server.answers[COMPLETE] = sent => {
      body = sent;
      return aReport({ recorded: false });
    };
    await model.complete('02_tensor', true);
    expect(body).toEqual({ check_only: true });
  });

  it('follows the events and reads the report at the verdict', async () => {
    await model.complete('02_tensor');
    server.emit(anEvent(0, { kind: 'queued' }));
    server.emit(anEvent(1, { index: 3, total: 8 }));
    server.emit(anEvent(2, { kind: 'check', check: 'x', title: 'X', stage: 'unit', total: 5 }));
    expect(model.run('02_tensor')).toMatchObject({ stage: 'unit', total: 5, phase: 'running' });
    expect(server.count(ATTEMPT)).toBe(0);
    server.answers[ATTEMPT] = aReport();
    server.answers['GET course'] = aCourse({ completed: 2 });
    server.emit(anEvent(3, { kind: 'verdict', verdict: 'passed' }));
    await vi.advanceTimersByTimeAsync(50);
    expect(model.run('02_tensor')?.report?.verdict).toBe('passed');
    expect(model.course?.completed).toBe(2);
  });

  it('waits for the report when the verdict comes before it is written', async () => {
    await model.complete('02_tensor');
    server.emit(anEvent(0, { kind: 'verdict' }));
    await vi.advanceTimersByTimeAsync(10);
    expect(model.active).not.toBeNull();
    server.answers[ATTEMPT] = aReport();
    await vi.advanceTimersByTimeAsync(300);
    expect(model.active).toBeNull();
  });

  it('reads the attempt when events were lost', async () => {
    await model.complete('02_tensor');
    server.emit(anEvent(0, { kind: 'queued' }));
    server.emit(anEvent(7));
    await settled();
    expect(server.count(ATTEMPT)).toBe(1);
  });

  it('sees the end without any event', async () => {
    await model.complete('02_tensor');
    server.answers[ATTEMPT] = aReport({ verdict: 'failed' });
    await vi.advanceTimersByTimeAsync(2100);
    expect(model.run('02_tensor')?.report?.verdict).toBe('failed');
    const asked = server.asked.length;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(server.asked.length).toBe(asked);
  });

  it('knows the attempt by its events when they overtake the answer', async () => {
    let answer: ((report: object) => void) | undefined;
    server.answers[COMPLETE] = () => new Promise<object>(resolve => (answer = resolve));
    const asked = model.complete('02_tensor');
    await settled();
    server.emit(anEvent(0, { kind: 'queued' }));
    server.emit(anEvent(1, { index: 2 }));
    expect(model.run('02_tensor')).toMatchObject({ attempt: 'a1', phase: 'running' });
    answer?.(aReport({ state: 'queued', verdict: null, stages: [] }));
    await asked;
    expect(model.run('02_tensor')).toMatchObject({ attempt: 'a1', phase: 'running' });
    expect(model.run('02_tensor')?.cell?.index).toBe(2);
  });

  it('survives a server that is out of reach for a while', async () => {
    await model.complete('02_tensor');
    server.answers[ATTEMPT] = () => Promise.reject(new TypeError('Failed to fetch'));
    await vi.advanceTimersByTimeAsync(6000);
    expect(model.active).not.toBeNull();
    server.answers[ATTEMPT] = aReport();
    await vi.advanceTimersByTimeAsync(2100);
    expect(model.run('02_tensor')?.report?.verdict).toBe('passed');
  });

  it('gives up when the server has forgotten the attempt', async () => {
    await model.complete('02_tensor');
    server.answers[ATTEMPT] = new Refusal(404, 'There is no such attempt.');
    await vi.advanceTimersByTimeAsync(2100);
    expect(model.active).toBeNull();
    expect(model.run('02_tensor')?.error).toContain('no longer knows this attempt');
  });

  it('cancels', async () => {
    await model.complete('02_tensor');
    server.answers[ATTEMPT] = aReport({ verdict: 'cancelled', recorded: false });
    await model.cancel('02_tensor');
    expect(server.count('DELETE attempts/a1')).toBe(1);
    expect(model.run('02_tensor')?.report?.verdict).toBe('cancelled');
  });

  it('ignores late events of an attempt that is over', async () => {
    server.answers[COMPLETE] = aReport();
    await model.complete('02_tensor');
    server.emit(anEvent(9));
    expect(model.active).toBeNull();
  });
});

describe('a page that comes late', () => {
  const checking = aCourse({
    modules: [aModule(1, { state: 'complete' }), aModule(2, { state: 'checking', attempt: 'a1' })]
  });

  it('picks up the grading that is under way, and shows its result', async () => {
    server.answers['GET course'] = checking;
    const reloaded = await aModel(server);
    expect(reloaded.run('02_tensor')).toMatchObject({ attempt: 'a1', origin: 'here' });
    expect(reloaded.selected).toBe('02_tensor');
    server.answers['GET course'] = aCourse();
    server.answers[ATTEMPT] = aReport({ verdict: 'failed' });
    await vi.advanceTimersByTimeAsync(10);
    expect(reloaded.run('02_tensor')?.report?.verdict).toBe('failed');
    reloaded.dispose();
  });

  it('follows a grading that was started elsewhere', async () => {
    server.emit(anEvent(4, { attempt: 'a1' }));
    await settled();
    expect(model.run('02_tensor')).toMatchObject({ attempt: 'a1', origin: 'elsewhere' });
  });

  it('recalls the newest report, once', async () => {
    server.answers['GET course'] = aCourse({ modules: [aModule(2, { attempt: 'a1' })] });
    server.answers[ATTEMPT] = aReport({ verdict: 'failed' });
    const reloaded = await aModel(server);
    await reloaded.recall('02_tensor');
    await reloaded.recall('02_tensor');
    expect(server.count(ATTEMPT)).toBe(1);
    expect(reloaded.run('02_tensor')).toMatchObject({ origin: 'past', phase: 'done' });
  });

  it('does without a report that is gone', async () => {
    server.answers['GET course'] = aCourse({ modules: [aModule(2, { attempt: 'gone' })] });
    const reloaded = await aModel(server);
    await reloaded.recall('02_tensor');
    expect(reloaded.run('02_tensor')).toBeNull();
  });
});

describe('other requests', () => {
  it('resets, and says where the backup is', async () => {
    server.answers['POST modules/02_tensor/reset'] = { path: 'x', backup: '.tinytorch/backups/x' };
    server.answers[COMPLETE] = aReport({ verdict: 'failed' });
    await model.complete('02_tensor');
    expect(await model.reset('02_tensor')).toBe('.tinytorch/backups/x');
    expect(model.run('02_tensor')).toBeNull();
  });

  it('restores, and says what it did', async () => {
    const answer = { path: 'x', backup: 'b', done: ['Put tensor-add back.'] };
    server.answers['POST modules/02_tensor/restore'] = answer;
    expect(await model.restore('02_tensor')).toEqual([
      'Put tensor-add back.',
      'The notebook as it was is kept in b.'
    ]);
    server.answers['POST modules/02_tensor/restore'] = { path: 'x', backup: null, done: [] };
    expect(await model.restore('02_tensor')).toEqual([
      'Every exercise cell was in its place already.'
    ]);
  });

  it('restores, and takes back the report that told of the damage, but no other', async () => {
    server.answers['POST modules/02_tensor/restore'] = { path: 'x', backup: null, done: [] };
    server.answers[COMPLETE] = aReport({ verdict: 'failed' });
    await model.complete('02_tensor');
    await model.restore('02_tensor');
    expect(model.run('02_tensor')?.report?.verdict).toBe('failed');
    server.answers[COMPLETE] = aReport({ verdict: 'error' });
    await model.complete('02_tensor');
    await model.restore('02_tensor');
    expect(model.run('02_tensor')).toBeNull();
  });

  it('creates the workspace and reads the course again', async () => {
    server.answers['POST workspace'] = {};
    await model.start();
    expect(server.asked.slice(-2)).toEqual(['POST workspace', 'GET course']);
  });

  it('compares with the solution', async () => {
    server.answers['GET modules/02_tensor/diff?against=solution'] = { source: '-a\n+b\n' };
    expect(await model.diff('02_tensor', 'solution')).toBe('-a\n+b\n');
  });

  it('makes a proxy page readable', async () => {
    await expect(model.solution('02_tensor')).rejects.toThrow('The server answered 404');
  });
});
