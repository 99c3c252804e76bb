import * as React from 'react';
import { tinytorchIcon } from '../icons';
import { Drawing } from '../report/icon';
import { Prose } from '../report/prose';
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
