import * as React from 'react';
import { type Point, SIDE, type Stroke } from './ink';

export type Strokes = readonly Stroke[];

/** How far an arrow key moves the cursor. */
const STEP = 1 / SIDE;
const ARROWS: Record<string, Point> = {
  ArrowLeft: [-STEP, 0],
  ArrowRight: [STEP, 0],
  ArrowUp: [0, -STEP],
  ArrowDown: [0, STEP]
};
const onPaper = (value: number): number => Math.min(1, Math.max(0, value));

const begin =
  (point: Point) =>
  (strokes: Strokes): Strokes => [...strokes, [point]];

/** The last stroke goes on, if it ends at `from`; else a new one begins there. */
const draw =
  (points: readonly Point[], from?: Point) =>
  (strokes: Strokes): Strokes => {
    const last = strokes[strokes.length - 1] ?? [];
    const end = last[last.length - 1];
    const joined = end && (!from || (end[0] === from[0] && end[1] === from[1]));
    return joined
      ? [...strokes.slice(0, -1), [...last, ...points]]
      : [...strokes, from ? [from, ...points] : points];
  };

export namespace Paper {
  export interface IProps {
    /** Points are from 0 to 1, from the upper left. */
    readonly strokes: Strokes;
    readonly onDraw: (change: (strokes: Strokes) => Strokes) => void;
  }
}

/** Mouse, pen and finger draw; arrow keys move a cursor, the space bar makes a dot there, Shift and an arrow a line. */
export function Paper({ strokes, onDraw }: Paper.IProps): JSX.Element {
  const [cursor, setCursor] = React.useState<Point>([0.5, 0.5]);
  const pointer = React.useRef<number | null>(null);

  const onPointerDown = (event: React.PointerEvent<SVGSVGElement>): void => {
    if (event.button === 0 && pointer.current === null) {
      pointer.current = event.pointerId;
      event.currentTarget.setPointerCapture?.(event.pointerId);
      event.currentTarget.focus({ preventScroll: true });
      onDraw(begin(place(event, event.currentTarget)));
    }
  };
  const onPointerMove = (event: React.PointerEvent<SVGSVGElement>): void => {
    if (event.pointerId === pointer.current) {
      const paper = event.currentTarget;
      const moves = event.nativeEvent.getCoalescedEvents?.() ?? [];
      onDraw(draw((moves.length > 0 ? moves : [event]).map(move => place(move, paper))));
    }
  };
  const onPointerEnd = (event: React.PointerEvent): void => {
    if (event.pointerId === pointer.current) {
      pointer.current = null;
    }
  };
  const onKeyDown = (event: React.KeyboardEvent): void => {
    const arrow = ARROWS[event.key];
    if (event.key !== ' ' && !arrow) {
      return;
    }
    event.preventDefault();
    const to: Point = arrow
      ? [onPaper(cursor[0] + arrow[0]), onPaper(cursor[1] + arrow[1])]
      : cursor;
    if (!arrow) {
      onDraw(begin(cursor));
    } else if (event.shiftKey) {
      onDraw(draw([to], cursor));
    }
    setCursor(to);
  };
  return (
    <>
      <svg
        className="jp-TinyTorch-paper"
        viewBox="0 0 1 1"
        tabIndex={0}
        role="application"
        aria-roledescription="drawing area"
        aria-label="Draw here. Arrow keys move the cursor, the space bar makes a dot, Shift with an arrow key draws a line."
        data-lm-suppress-shortcuts="true"
        data-testid="tinytorch-paper"
        onPointerDown={onPointerDown}
        onPointerMove={onPointerMove}
        onPointerUp={onPointerEnd}
        onPointerCancel={onPointerEnd}
        onLostPointerCapture={onPointerEnd}
        onKeyDown={onKeyDown}
      >
        {strokes.map((stroke, index) => (
          <path
            key={index}
            className="jp-TinyTorch-stroke"
            d={`M${stroke.join('L')}${stroke.length > 1 ? '' : 'h0'}`}
          />
        ))}
        <circle className="jp-TinyTorch-cursor" cx={cursor[0]} cy={cursor[1]} r={0.035} />
      </svg>
      {strokes.length === 0 && (
        <p className="jp-TinyTorch-padHint" aria-hidden>
          Draw a digit here
        </p>
      )}
    </>
  );
}

/** Where on the paper an event is, to a thousandth. */
function place(event: { clientX: number; clientY: number }, paper: Element): Point {
  const { left, top, width, height } = paper.getBoundingClientRect();
  const rounded = (value: number): number => Math.round(1000 * onPaper(value)) / 1000;
  return [rounded((event.clientX - left) / width), rounded((event.clientY - top) / height)];
}
