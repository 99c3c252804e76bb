import { createEvent, fireEvent, render, screen } from '@testing-library/react';
import * as React from 'react';
import { pixelsOf, type Stroke } from '../widgets/ink';
import { DrawPad } from '../widgets/pad';

const labels = ['0', '1', '2'];
const nobody = { labels, probabilities: [], problem: '' };

/** A pad as the view shows it: whoever draws changes the strokes, and the answer is given. */
function Held({ answer = nobody }: { answer?: typeof nobody | object }): JSX.Element {
  const [strokes, setStrokes] = React.useState<readonly Stroke[]>([]);
  return (
    <>
      <DrawPad
        {...nobody}
        {...answer}
        strokes={strokes}
        pixels={pixelsOf(strokes)}
        onDraw={setStrokes}
      />
      <code data-testid="strokes">{JSON.stringify(strokes)}</code>
    </>
  );
}

function setUp(answer?: object): { paper: SVGSVGElement; strokes: () => number[][][] } {
  render(<Held answer={answer} />);
  const paper = screen.getByTestId<SVGSVGElement & HTMLElement>('tinytorch-paper');
  paper.getBoundingClientRect = () => new DOMRect(100, 50, 200, 200);
  return { paper, strokes: () => JSON.parse(screen.getByTestId('strokes').textContent ?? '') };
}

/** jsdom has no PointerEvent: a mouse event with what the pad reads of one. */
function point(
  paper: Element,
  kind: 'pointerDown' | 'pointerMove' | 'pointerUp',
  at: { x: number; y: number; id?: number; button?: number }
): void {
  const event = createEvent[kind](paper, { bubbles: true });
  Object.assign(event, {
    clientX: at.x,
    clientY: at.y,
    button: at.button ?? 0,
    pointerId: at.id ?? 1
  });
  fireEvent(paper, event);
}

beforeAll(() => {
  globalThis.DOMRect ??= class {
    constructor(
      readonly left: number,
      readonly top: number,
      readonly width: number,
      readonly height: number
    ) {}
  } as unknown as typeof DOMRect;
});

describe('with a pointer', () => {
  it('draws a stroke from down to up, and none after that', () => {
    const { paper, strokes } = setUp();
    point(paper, 'pointerMove', { x: 110, y: 60 });
    point(paper, 'pointerDown', { x: 150, y: 100 });
    point(paper, 'pointerMove', { x: 200, y: 150 });
    point(paper, 'pointerUp', { x: 200, y: 150 });
    point(paper, 'pointerMove', { x: 250, y: 150 });
    expect(strokes()).toEqual([[[0.25, 0.25], [0.5, 0.5]]]); // prettier-ignore
  });

  it('draws with the first finger only, and with no other button', () => {
    const { paper, strokes } = setUp();
    point(paper, 'pointerDown', { x: 150, y: 100, button: 2 });
    point(paper, 'pointerDown', { x: 150, y: 100, id: 7 });
    point(paper, 'pointerDown', { x: 250, y: 100, id: 8 });
    point(paper, 'pointerMove', { x: 270, y: 100, id: 8 });
    expect(strokes()).toEqual([[[0.25, 0.25]]]);
  });

  it('keeps a stroke on the paper', () => {
    const { paper, strokes } = setUp();
    point(paper, 'pointerDown', { x: 150, y: 100 });
    point(paper, 'pointerMove', { x: 900, y: -30 });
    expect(strokes()[0][1]).toEqual([1, 0]);
  });

  it('clears', () => {
    const { paper, strokes } = setUp();
    const clear = screen.getByRole<HTMLButtonElement>('button', { name: 'Clear' });
    expect(clear.disabled).toBe(true);
    point(paper, 'pointerDown', { x: 150, y: 100 });
    fireEvent.click(clear);
    expect(strokes()).toEqual([]);
  });
});

describe('with a keyboard', () => {
  it('moves a cursor, makes dots, and draws lines', () => {
    const { paper, strokes } = setUp();
    fireEvent.keyDown(paper, { key: 'ArrowRight' });
    expect(strokes()).toEqual([]);
    fireEvent.keyDown(paper, { key: ' ' });
    expect(strokes()).toHaveLength(1);
    fireEvent.keyDown(paper, { key: 'ArrowDown', shiftKey: true });
    fireEvent.keyDown(paper, { key: 'ArrowDown', shiftKey: true });
    expect(strokes()).toHaveLength(1);
    const [[x, y], , [, lower]] = strokes()[0];
    expect(x).toBeCloseTo(0.5 + 1 / 28);
    expect(lower - y).toBeCloseTo(2 / 28);
    fireEvent.keyDown(paper, { key: 'ArrowDown' });
    fireEvent.keyDown(paper, { key: 'ArrowDown', shiftKey: true });
    expect(strokes()).toHaveLength(2);
  });

  it('stays on the paper, and leaves other keys alone', () => {
    const { paper, strokes } = setUp();
    for (let step = 0; step < 40; step++) {
      fireEvent.keyDown(paper, { key: 'ArrowLeft', shiftKey: true });
    }
    expect(strokes()[0].pop()?.[0]).toBe(0);
    expect(fireEvent.keyDown(paper, { key: 'Tab' })).toBe(true);
    expect(fireEvent.keyDown(paper, { key: ' ' })).toBe(false);
  });
});

describe('what it says', () => {
  it('is nothing, before anything is drawn', () => {
    setUp();
    expect(screen.getByRole('status').textContent).toBe('Nothing drawn yet.');
    expect(screen.getAllByRole('listitem')).toHaveLength(3);
  });

  it('is each probability in numbers, and the likeliest label in words', () => {
    setUp({ probabilities: [0.05, 0.234, 0.716] });
    expect(screen.getByRole('status').textContent).toBe('Probably 2.');
    const [first, second, third] = screen.getAllByRole('listitem');
    expect([first, second, third].map(item => item.textContent)).toEqual(['05%', '123%', '272%']);
    expect(third.dataset.best).toBe('true');
  });

  it.each([
    [0.95, 'Surely 0.'],
    [0.4, 'Perhaps 0.']
  ])('is the surer, the larger the probability: %d', (probability, words) => {
    setUp({ probabilities: [probability, (1 - probability) / 2, (1 - probability) / 2] });
    expect(screen.getByRole('status').textContent).toBe(words);
  });

  it('is what went wrong, if anything did', () => {
    setUp({ problem: 'NotImplementedError: conv2d' });
    expect(screen.getByRole('status').textContent).toBe('NotImplementedError: conv2d');
  });
});
