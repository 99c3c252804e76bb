import * as React from 'react';
import { outcomeWords } from '../words';
import { StateIcon } from './icon';
import { Prose } from './prose';

/** One check as it is shown: from a report, or from `%check` in the notebook. */
export interface IShownCheck {
  readonly id: string;
  readonly title: string;
  readonly outcome: string;
  readonly message?: string;
  readonly hint?: string;
}

export namespace Check {
  export interface IProps {
    readonly check: IShownCheck;
    /** Scrolls to the cell. Without it the title is plain text. */
    readonly onShow?: () => void;
  }
}

/** What was expected, what was called, what came back, and a hint. Messages are text from a kernel, never HTML. */
export function Check({ check, onShow }: Check.IProps): JSX.Element {
  const passed = check.outcome === 'passed';
  const ours = check.outcome === 'error' || check.outcome === 'missing';
  return (
    <li
      className="jp-TinyTorch-check"
      data-outcome={check.outcome}
      data-testid={`tinytorch-check-${check.id}`}
    >
      <div className="jp-TinyTorch-checkHead">
        <StateIcon state={check.outcome} words={outcomeWords(check.outcome)} />
        {onShow ? (
          <button
            type="button"
            className="jp-TinyTorch-link"
            title="Show the cell"
            onClick={onShow}
          >
            {check.title}
          </button>
        ) : (
          <span>{check.title}</span>
        )}
        {ours && <span className="jp-TinyTorch-outcome">{outcomeWords(check.outcome)}</span>}
      </div>
      {!passed && check.message && <Message text={check.message} name={check.title} />}
      {!passed && check.hint && <Hint text={check.hint} />}
    </li>
  );
}

/** `got       3.5`: a word, then at least two blanks, as messages are laid out. */
const LABELLED = /^([a-z]+) {2,}(.*)$/;

/** A message as rows of a word and what it says; lines without a word go on with the row before. */
function rows(text: string): readonly (readonly [word: string, value: string])[] {
  const found: [string, string][] = [];
  for (const line of text.split('\n')) {
    const labelled = LABELLED.exec(line);
    const last = found[found.length - 1];
    if (labelled) {
      found.push([labelled[1], labelled[2]]);
    } else if (last?.[0] && line.startsWith('  ')) {
      last[1] += `\n${line.replace(/^ {1,10}/, '')}`;
    } else {
      found.push(['', line]);
    }
  }
  return found;
}

/** Preformatted and scrollable, so it takes the focus: a keyboard must be able to scroll it. */
export function Message({ text, name }: { text: string; name: string }): JSX.Element {
  return (
    <pre className="jp-TinyTorch-message" tabIndex={0} role="group" aria-label={`Details: ${name}`}>
      {rows(text).map(([word, value], index) => (
        <span key={index} className="jp-TinyTorch-line" data-word={word || undefined}>
          {word && <span className="jp-TinyTorch-word">{word} </span>}
          <span className="jp-TinyTorch-value">{`${value}\n`}</span>
        </span>
      ))}
    </pre>
  );
}

export function Hint({ text }: { text: string }): JSX.Element {
  return (
    <details className="jp-TinyTorch-hint">
      <summary>Hint</summary>
      <p>
        <Prose text={text} />
      </p>
    </details>
  );
}
