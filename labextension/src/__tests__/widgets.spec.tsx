import { render, screen } from '@testing-library/react';
import * as React from 'react';
import * as exported from '../widgets';
import { CheckResult } from '../widgets/check';
import { CompleteModule } from '../widgets/complete';
import { aCheck, aCourse, aModel, aModule, FakeServer } from './fake';

it('exports models and views, and nothing else', () => {
  expect(Object.keys(exported).sort()).toEqual([
    'CheckResultModel',
    'CheckResultView',
    'CompleteModuleModel',
    'CompleteModuleView',
    'DrawPadModel',
    'DrawPadView'
  ]);
});

describe('CheckResult', () => {
  const result = { exercise: 'tensor-add', title: 'Add', module: '02_tensor' };

  it('says what passed', () => {
    const checks = [aCheck()];
    render(
      <CheckResult
        result={{ ...result, passed: true, checks, message: 'Add: all 1 checks pass.' }}
      />
    );
    expect(screen.getByRole('status').textContent).toBe('Add: all 1 checks pass.');
    expect(screen.getByTestId('tinytorch-result-tensor-add').dataset.outcome).toBe('passed');
  });

  it('says what did not, with its hint', () => {
    const checks = [aCheck({ outcome: 'failed', message: 'got       1', hint: 'Look again.' })];
    render(<CheckResult result={{ ...result, passed: false, checks, message: 'Add: 0 of 1.' }} />);
    expect(screen.getByText('Look again.')).toBeTruthy();
    expect(screen.getByTestId('tinytorch-result-tensor-add').dataset.outcome).toBe('failed');
  });

  it('does not call code wrong that is not there', () => {
    const checks = [aCheck({ outcome: 'not_attempted', message: 'x' })];
    render(
      <CheckResult
        result={{ ...result, passed: false, checks, message: 'Add: not written yet.' }}
      />
    );
    expect(screen.getByTestId('tinytorch-result-tensor-add').dataset.outcome).toBe('not_attempted');
    expect(screen.queryByRole('list')).toBeNull();
  });
});

describe('CompleteModule', () => {
  it('shows the very run that the sidebar shows', async () => {
    const model = await aModel(new FakeServer());
    const element = (): JSX.Element => (
      <CompleteModule model={model} module="02_tensor" onComplete={vi.fn()} execute={vi.fn()} />
    );
    const { rerender } = render(element());
    expect(screen.getByRole('button', { name: 'Complete module' })).toBeTruthy();
    await model.complete('02_tensor');
    rerender(element());
    expect(screen.getByTestId('tinytorch-live')).toBeTruthy();
    expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Checking…' }).disabled).toBe(
      true
    );
    model.dispose();
  });

  it('says that a module is locked', async () => {
    const server = new FakeServer();
    server.answers['GET course'] = aCourse({ modules: [aModule(2, { state: 'locked' })] });
    const model = await aModel(server);
    render(
      <CompleteModule model={model} module="02_tensor" onComplete={vi.fn()} execute={vi.fn()} />
    );
    expect(screen.getByText('Tensor is still locked.')).toBeTruthy();
  });
});
