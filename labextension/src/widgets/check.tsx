import { DOMWidgetModel } from '@jupyter-widgets/base';
import * as React from 'react';
import type { IShownCheck } from '../report/check';
import { Check } from '../report/check';
import { StateIcon } from '../report/icon';
import { names, ReactView } from './view';

/** What `%check` found out: the value that the kernel sends. */
export interface ICheckResult {
  readonly exercise: string;
  readonly title: string;
  readonly passed: boolean;
  readonly checks: readonly IShownCheck[];
  readonly message: string;
}

export class CheckResultModel extends DOMWidgetModel {
  override defaults(): Backbone.ObjectHash {
    return { ...super.defaults(), ...names('CheckResult'), result: null };
  }
}

export class CheckResultView extends ReactView {
  protected element(): JSX.Element {
    return <CheckResult result={this.model.get('result') as ICheckResult | null} />;
  }
}

export function CheckResult({ result }: { result: ICheckResult | null }): JSX.Element {
  if (!result) {
    return <p className="jp-TinyTorch-text">There is no result.</p>;
  }
  const waiting =
    result.checks.length > 0 && result.checks.every(c => c.outcome === 'not_attempted');
  const state = result.passed ? 'passed' : waiting ? 'not_attempted' : 'failed';
  return (
    <div
      className="jp-TinyTorch-result"
      role="group"
      aria-label={`Check of ${result.title}`}
      data-testid={`tinytorch-result-${result.exercise}`}
      data-outcome={state}
    >
      <p className="jp-TinyTorch-verdict" role="status" data-state={state}>
        <StateIcon state={state} />
        {result.message}
      </p>
      {!waiting && (
        <ul className="jp-TinyTorch-checks">
          {result.checks.map(check => (
            <Check key={check.id} check={check} />
          ))}
        </ul>
      )}
    </div>
  );
}
