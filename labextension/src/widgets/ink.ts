/** From strokes to the pixels of a digit as MNIST has them: scaled into a box of 20 × 20, centred by its mass in 28 × 28. */

export type Point = readonly [x: number, y: number];
export type Stroke = readonly Point[];

export const SIDE = 28;
export const BOX = 20;

/** Half the width of a stroke, in pixels of the result; digits in MNIST are about this bold, however large they were written. */
const RADIUS = 1.2;
/** A small drawing is enlarged at most to this many times its size, measured in pixels of the pad's 28: a dot stays a dot. */
const ENLARGED = 2.5;

/** 784 numbers from 0 to 255, row by row; an empty list for no strokes. Points are from 0 to 1, wherever on the pad they lie. */
export function pixelsOf(strokes: readonly Stroke[]): number[] {
  const points = strokes.flat();
  if (points.length === 0) {
    return [];
  }
  const [left, right] = ends(points.map(([x]) => x));
  const [top, bottom] = ends(points.map(([, y]) => y));
  const extent = Math.max(right - left, bottom - top);
  const scale = Math.min((BOX - 2 * RADIUS) / extent, ENLARGED * SIDE);
  const middle: Point = [(left + right) / 2, (top + bottom) / 2];
  const placed = (shift: Point): Stroke[] =>
    strokes.map(stroke =>
      stroke.map(([x, y]): Point => [
        (x - middle[0]) * scale + SIDE / 2 + shift[0],
        (y - middle[1]) * scale + SIDE / 2 + shift[1]
      ])
    );
  const [x, y] = centre(paint(placed([0, 0])));
  return paint(placed([SIDE / 2 - x, SIDE / 2 - y])).map(ink => Math.round(255 * ink));
}

function ends(values: readonly number[]): [number, number] {
  return values.reduce(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
    [Infinity, -Infinity]
  );
}

/** The ink of each pixel, 0 to 1: all of it near a stroke, with soft edges. */
function paint(strokes: readonly Stroke[]): number[] {
  const ink = new Array<number>(SIDE * SIDE).fill(0);
  for (const stroke of strokes) {
    stroke.forEach((end, index) => paintSegment(ink, stroke[Math.max(0, index - 1)], end));
  }
  return ink;
}

function paintSegment(ink: number[], from: Point, to: Point): void {
  const reach = RADIUS + 1;
  const rows = span(from[1], to[1], reach);
  const columns = span(from[0], to[0], reach);
  for (let row = rows[0]; row < rows[1]; row++) {
    for (let column = columns[0]; column < columns[1]; column++) {
      const away = distance([column + 0.5, row + 0.5], from, to);
      const place = row * SIDE + column;
      ink[place] = Math.max(ink[place], Math.min(1, Math.max(0, RADIUS + 0.5 - away)));
    }
  }
}

/** The pixels along one axis that a stroke from a to b may touch. */
function span(a: number, b: number, reach: number): [number, number] {
  return [
    Math.max(0, Math.floor(Math.min(a, b) - reach)),
    Math.min(SIDE, Math.ceil(Math.max(a, b) + reach))
  ];
}

/** From a point to the nearest point of a segment. */
function distance([x, y]: Point, [ax, ay]: Point, [bx, by]: Point): number {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const along = length ? Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / length)) : 0;
  return Math.hypot(x - ax - along * dx, y - ay - along * dy);
}

/** The centre of mass of an ink picture. */
export function centre(ink: readonly number[]): Point {
  let [mass, x, y] = [0, 0, 0];
  ink.forEach((value, place) => {
    mass += value;
    x += value * ((place % SIDE) + 0.5);
    y += value * (Math.floor(place / SIDE) + 0.5);
  });
  return [x / mass, y / mass];
}
