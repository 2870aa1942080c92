/** What was measured at a time; `null`: nothing was. */
export interface Point {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly value: number | null;
}

/** What was measured in the last while, the oldest first. */
export class Series {
  private readonly kept: Point[] = [];

  /** @param spanMs how long a point is kept. */
  constructor(readonly spanMs: number) {}

  get points(): readonly Point[] {
    return this.kept;
  }

  get last(): number | null {
    return this.kept.at(-1)?.value ?? null;
  }

  clear(): void {
    this.kept.length = 0;
  }

  /** Takes a point that is later than all before; others are known already. */
  add(at: number, value: number | null): void {
    const last = this.kept.at(-1);
    if (last !== undefined && at <= last.at) return;
    this.kept.push({ at, value });
    const from = at - this.spanMs;
    while (this.kept[0] !== undefined && this.kept[0].at < from) this.kept.shift();
  }

  /** The smallest and the largest value; `null`: there is none. */
  range(): readonly [number, number] | null {
    const values = this.kept.flatMap(({ value }) => (value === null ? [] : [value]));
    return values.length === 0 ? null : [Math.min(...values), Math.max(...values)];
  }
}

/** Where something is drawn, in pixels: from the left, and from above. */
export interface Box {
  readonly width: number;
  readonly height: number;
}

/** From left to right and from the bottom to the top. */
export interface Scale {
  readonly from: number;
  readonly to: number;
  /** The value at the top; the bottom is 0. */
  readonly top: number;
}

/** Two points that lie further apart were not measured one after the other. */
const GAP_MS = 30_000;

/** The line through the points, as `d` of a path has it; broken where nothing was measured. */
export function linePath(points: readonly Point[], box: Box, scale: Scale, gapMs = GAP_MS): string {
  let text = "";
  let before: Point | null = null;
  for (const point of points) {
    if (point.value === null) {
      before = null;
      continue;
    }
    const isBegun = before !== null && point.at - before.at <= gapMs;
    const place = position(point.at, point.value, box, scale);
    // A line of no length is a dot, until it goes on.
    text += isBegun ? `L${place}` : `M${place}L${place}`;
    before = point;
  }
  return text;
}

/** The columns over stretches of time that begin at the points, as `d` of a path has it. */
export function columnsPath(points: readonly Point[], box: Box, scale: Scale, stretchMs: number): string {
  const gap = (box.width * stretchMs) / (scale.to - scale.from) > 4 ? 1 : 0;
  return points
    .flatMap(({ at, value }) => {
      if (value === null || value <= 0) return [];
      const left = across(at, box, scale);
      const right = Math.max(left + 1, across(at + stretchMs, box, scale) - gap);
      const y = rounded(up(value, box, scale));
      return [`M${rounded(left)} ${box.height}V${y}H${rounded(right)}V${box.height}Z`];
    })
    .join("");
}

function position(at: number, value: number, box: Box, scale: Scale): string {
  return `${rounded(across(at, box, scale))} ${rounded(up(value, box, scale))}`;
}

function across(at: number, { width }: Box, { from, to }: Scale): number {
  return (width * (at - from)) / Math.max(1, to - from);
}

function up(value: number, { height }: Box, { top }: Scale): number {
  return height * (1 - Math.min(1, Math.max(0, value / top)));
}

function rounded(pixels: number): number {
  return Math.round(pixels * 10) / 10;
}

/** A round number that is no less than `value`, and above 0: of one digit, with zeros. */
export function roundTop(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 3, 4, 5, 6, 8, 10].find((factor) => value <= factor * power * 1.000_001) ?? 10;
  return Number((step * power).toPrecision(1));
}
