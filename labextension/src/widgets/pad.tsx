import { DOMWidgetModel } from '@jupyter-widgets/base';
import * as React from 'react';
import { pixelsOf, SIDE } from './ink';
import { Paper } from './paper';
import { names, ReactView } from './view';

export class DrawPadModel extends DOMWidgetModel {
  override defaults(): Backbone.ObjectHash {
    return {
      ...super.defaults(),
      ...names('DrawPad'),
      strokes: [],
      pixels: [],
      labels: [],
      probabilities: [],
      problem: ''
    };
  }
}

/** The model owns the strokes: every view of it shows the same drawing. */
export class DrawPadView extends ReactView {
  protected element(): JSX.Element {
    const value = <T,>(name: string): T => this.model.get(name) as T;
    return (
      <DrawPad
        strokes={value('strokes')}
        pixels={value('pixels')}
        labels={value('labels')}
        probabilities={value('probabilities')}
        problem={value('problem')}
        onDraw={change => {
          const strokes = change(value('strokes'));
          this.model.set({ strokes, pixels: pixelsOf(strokes) });
          this.touch();
        }}
      />
    );
  }
}

export namespace DrawPad {
  export interface IProps extends Paper.IProps, Reading.IProps {
    /** What the network sees: 784 numbers from 0 to 255. */
    readonly pixels: readonly number[];
  }
}

/** Paper to draw on, what the network sees of it, and what it says. */
export function DrawPad(props: DrawPad.IProps): JSX.Element {
  const { strokes, pixels, onDraw, ...answer } = props;
  return (
    <div
      className="jp-TinyTorch-pad"
      role="group"
      aria-label="Drawing pad"
      data-testid="tinytorch-pad"
    >
      <div className="jp-TinyTorch-padSide">
        <Paper strokes={strokes} onDraw={onDraw} />
        <button
          type="button"
          className="jp-TinyTorch-button"
          disabled={strokes.length === 0}
          onClick={() => onDraw(() => [])}
        >
          Clear
        </button>
      </div>
      <div className="jp-TinyTorch-padSide">
        <Reading {...answer} />
        <Seen pixels={pixels} />
      </div>
    </div>
  );
}

export namespace Reading {
  export interface IProps {
    readonly labels: readonly string[];
    readonly probabilities: readonly number[];
    readonly problem: string;
  }
}

/** What the network says: a bar for each label, and the likeliest in words. */
export function Reading({ labels, probabilities, problem }: Reading.IProps): JSX.Element {
  const best = probabilities.indexOf(Math.max(...probabilities));
  return (
    <>
      <p
        className="jp-TinyTorch-padWords"
        role="status"
        data-state={problem ? 'failed' : undefined}
      >
        {problem || (best < 0 ? 'Nothing drawn yet.' : inWords(labels[best], probabilities[best]))}
      </p>
      <ul className="jp-TinyTorch-bars" aria-label="Probabilities">
        {labels.map((label, index) => (
          <li key={index} data-best={index === best || undefined}>
            <span className="jp-TinyTorch-barLabel">{label}</span>
            <span className="jp-TinyTorch-bar" aria-hidden>
              <span style={{ width: percent(probabilities[index] ?? 0) }} />
            </span>
            <span className="jp-TinyTorch-barValue">{percent(probabilities[index] ?? 0)}</span>
          </li>
        ))}
      </ul>
    </>
  );
}

const percent = (value: number): string => `${Math.round(100 * value)}%`;

/** Few words, which seldom change while somebody draws: they are read aloud. */
function inWords(label: string, probability: number): string {
  const sure = probability >= 0.9 ? 'Surely' : probability >= 0.6 ? 'Probably' : 'Perhaps';
  return `${sure} ${label}.`;
}

/** The 28 × 28 pixels that go to the kernel. */
function Seen({ pixels }: { pixels: readonly number[] }): JSX.Element {
  return (
    <figure className="jp-TinyTorch-seen">
      <svg viewBox={`0 0 ${SIDE} ${SIDE}`} role="img" aria-label="The drawing in 28 by 28 pixels">
        {pixels.map(
          (ink, index) =>
            ink > 0 && (
              <rect
                key={index}
                x={index % SIDE}
                y={Math.floor(index / SIDE)}
                width={1}
                height={1}
                fillOpacity={ink / 255}
              />
            )
        )}
      </svg>
      <figcaption>what the network sees</figcaption>
    </figure>
  );
}
