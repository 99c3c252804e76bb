import { Dialog, ReactWidget } from '@jupyterlab/apputils';
import * as React from 'react';
import type { Report } from '../schema';
import { verdictLine } from '../words';
import { StateIcon } from './icon';

/** A dialog that lists the attempts at one module, newest first. Resolves to the one to show, or null. */
export async function chooseAttempt(
  title: string,
  attempts: readonly Report[]
): Promise<Report | null> {
  let chosen: Report | null = null;
  const dialog = new Dialog({
    title,
    body: ReactWidget.create(
      <Attempts
        attempts={attempts}
        onShow={report => {
          chosen = report;
          dialog.resolve(0);
        }}
      />
    ),
    buttons: [Dialog.okButton({ label: 'Close' })]
  });
  await dialog.launch();
  return chosen;
}

interface IAttempts {
  readonly attempts: readonly Report[];
  readonly onShow: (report: Report) => void;
}

function Attempts({ attempts, onShow }: IAttempts): JSX.Element {
  if (attempts.length === 0) {
    return <p>There is no attempt yet.</p>;
  }
  return (
    <ul className="jp-TinyTorch jp-TinyTorch-attempts">
      {attempts.map(report => (
        <li key={report.attempt}>
          <StateIcon state={report.verdict ?? 'checking'} />
          <time>{when(report.started)}</time>
          <span>{report.verdict ? verdictLine(report) : 'Being checked'}</span>
          <button type="button" className="jp-TinyTorch-button" onClick={() => onShow(report)}>
            Show
          </button>
        </li>
      ))}
    </ul>
  );
}

function when(epochSeconds: number): string {
  return new Date(epochSeconds * 1000).toLocaleString([], {
    dateStyle: 'medium',
    timeStyle: 'short'
  });
}
