import * as React from 'react';
import { tinytorchIcon } from '../icons';
import { Drawing } from '../report/icon';
import { Prose } from '../report/prose';
import type { Built } from '../schema';
import type { Execute, IProblem } from '../tokens';
import { CommandIDs } from '../tokens';

interface ICard {
  readonly title: string;
  readonly children: React.ReactNode;
  readonly alert?: boolean;
  readonly testid: string;
}

function Card({ title, children, alert, testid }: ICard): JSX.Element {
  return (
    <section className="jp-TinyTorch-card" role={alert ? 'alert' : undefined} data-testid={testid}>
      <Drawing icon={tinytorchIcon} />
      <h2>{title}</h2>
      {children}
    </section>
  );
}

/** An empty folder: what the course is, and the button that begins it. */
export function StartCard({ execute }: { execute: Execute }): JSX.Element {
  return (
    <Card title="Build your own deep-learning framework" testid="tinytorch-start">
      <p>
        Fourteen notebooks, from the tensor to a transformer. What you write becomes your own
        package, and at five points it is enough to repeat a piece of AI history.
      </p>
      <p>The course keeps its notebooks and your package in this folder.</p>
      <button
        type="button"
        className="jp-TinyTorch-button jp-mod-primary jp-mod-wide"
        onClick={() => execute(CommandIDs.start)}
      >
        Start the course
      </button>
    </Card>
  );
}

/** The end of the course: what the student has built, in their own numbers, and where to go from here. */
export function BuiltCard({ built }: { built: Built }): JSX.Element {
  const numbers: readonly (readonly [string, number])[] = [
    ['lines of code in your package', built.lines],
    ['operations on tensors', built.operations],
    ['parameters trained', built.parameters],
    [built.days === 1 ? 'day' : 'days, from the first check to the last', built.days]
  ];
  return (
    <Card title="You have built a deep-learning framework" testid="tinytorch-built">
      <dl className="jp-TinyTorch-numbers">
        {numbers.map(([what, number]) => (
          <div key={what}>
            <dt>{what}</dt>
            <dd>{number.toLocaleString('en')}</dd>
          </div>
        ))}
      </dl>
      {built.parameters === 0 && (
        <p>
          No parameters yet: run the notebooks of AI history and save them, and what your networks
          learned there is counted.
        </p>
      )}
      <h3>What next</h3>
      <ul>
        <li>
          Take one of your notebooks and replace <code>tinytorch</code> by <code>torch</code>.
          Little else has to change.
        </li>
        <li>Read the papers named in the notebooks of AI history. You have the vocabulary.</li>
        <li>Make your GPT larger: byte pairs, four blocks, a night of training.</li>
      </ul>
    </Card>
  );
}

const TITLES: { readonly [kind in IProblem['kind']]: string } = {
  missing: 'The server half is missing',
  version: 'Two versions of TinyTorch',
  offline: 'The server does not answer',
  failed: 'The course could not be read'
};

export namespace ProblemCard {
  export interface IProps {
    readonly problem: IProblem;
    readonly onRetry: () => void;
  }
}

/** There is no course to show: what happened, and what to do about it. */
export function ProblemCard({ problem, onRetry }: ProblemCard.IProps): JSX.Element {
  return (
    <Card title={TITLES[problem.kind]} testid="tinytorch-problem" alert>
      <p>
        <Prose text={problem.message} />
      </p>
      <button type="button" className="jp-TinyTorch-button jp-mod-wide" onClick={onRetry}>
        Try again
      </button>
    </Card>
  );
}
