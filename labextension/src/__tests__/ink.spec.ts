import { centre, pixelsOf, SIDE, type Stroke } from '../widgets/ink';

const rows = (pixels: number[]): number[][] =>
  Array.from({ length: SIDE }, (_, row) => pixels.slice(row * SIDE, (row + 1) * SIDE));

/** The first and the last row, or column, with ink. */
function extent(pixels: number[], axis: 'rows' | 'columns'): [number, number] {
  const lines = rows(pixels);
  const inked = lines.map((line, i) =>
    (axis === 'rows' ? line : lines.map(l => l[i])).some(v => v > 127)
  );
  return [inked.indexOf(true), inked.lastIndexOf(true)];
}

const bend: Stroke[] = [
  [
    [0.1, 0.2],
    [0.1, 0.9],
    [0.4, 0.9]
  ]
];
const moved = (by: [number, number], scale = 1): Stroke[] =>
  bend.map(stroke => stroke.map(([x, y]) => [x * scale + by[0], y * scale + by[1]] as const));

it('makes nothing of nothing', () => {
  expect(pixelsOf([])).toEqual([]);
});

it('gives 784 numbers from 0 to 255', () => {
  const pixels = pixelsOf(bend);
  expect(pixels).toHaveLength(784);
  expect(Math.min(...pixels)).toBe(0);
  expect(Math.max(...pixels)).toBe(255);
  expect(pixels.every(Number.isInteger)).toBe(true);
});

it('puts the centre of mass into the middle', () => {
  const [x, y] = centre(pixelsOf(bend));
  expect(x).toBeCloseTo(14, 1);
  expect(y).toBeCloseTo(14, 1);
});

it('fills a box of 20 with the longer side', () => {
  const [top, bottom] = extent(pixelsOf(bend), 'rows');
  expect(bottom - top + 1).toBeGreaterThanOrEqual(19);
  expect(bottom - top + 1).toBeLessThanOrEqual(21);
  const [left, right] = extent(pixelsOf(bend), 'columns');
  expect(right - left + 1).toBeLessThan(12); // and keeps the proportions
});

it('does not care where on the pad the digit stands, nor how large it is', () => {
  const pixels = pixelsOf(bend);
  for (const other of [moved([0.4, 0.05]), moved([0.2, 0.1], 0.6)]) {
    pixelsOf(other).forEach((ink, i) => expect(Math.abs(ink - pixels[i])).toBeLessThanOrEqual(2));
  }
});

it('keeps a dot a dot', () => {
  const pixels = pixelsOf([[[0.9, 0.1]]]);
  const inked = pixels.filter(ink => ink > 0).length;
  expect(inked).toBeGreaterThan(2);
  expect(inked).toBeLessThan(20);
});

it('joins the points of a stroke, and not those of two strokes', () => {
  const ink = (pixels: number[]): number => pixels.reduce((sum, value) => sum + value, 0);
  const one = pixelsOf([
    [
      [0.2, 0.2],
      [0.2, 0.8]
    ]
  ]);
  const two = pixelsOf([[[0.2, 0.2]], [[0.2, 0.8]]]);
  expect(ink(one)).toBeGreaterThan(3 * ink(two));
});
