import { View } from "../dom";
import { type Box, columnsPath, linePath, type Point, roundTop, type Scale } from "./series";

/** Units of the drawing, which is stretched to the room that there is. */
const BOX: Box = { width: 300, height: 72 };
/** Of the highest value, so that its line is not the edge. */
const HEADROOM = 1.1;
const SVG = "http://www.w3.org/2000/svg";

export interface GraphOptions {
  readonly title: string;
  /** A value as it is read: "2.8 Mbit/s". */
  label(value: number): string;
  /** The top is not below this, so that what hardly changes is not drawn large. */
  readonly least: number;
}

/**
 * A line over time. What it says is text too: the value now beside its title, and lowest and
 * highest in its description.
 */
export class Graph {
  private readonly view = new View("graph-template");
  private readonly svg = drawing();
  private readonly area = path("graph-area");
  private readonly line = path("graph-line");

  constructor(private readonly options: GraphOptions) {
    this.view.text("title", options.title);
    this.svg.append(this.area, this.line);
    this.view.part("drawing", HTMLElement).append(this.svg);
    this.show([], 0, 1, null);
  }

  get root(): HTMLElement {
    return this.view.root;
  }

  /** Draws what was measured between two times. */
  show(points: readonly Point[], from: number, to: number, now: number | null): void {
    const { options } = this;
    const values = points.flatMap(({ value }) => (value === null ? [] : [value]));
    const [lowest, highest] = [Math.min(...values), Math.max(...values)];
    const top = roundTop(Math.max(options.least, values.length === 0 ? 0 : highest * HEADROOM));
    const scale: Scale = { from, to, top };
    const line = linePath(points, BOX, scale);
    this.line.setAttribute("d", line);
    this.area.setAttribute("d", areaUnder(line));
    this.view.text("value", now === null ? "–" : options.label(now));
    this.view.text("top", options.label(top));
    const said =
      values.length === 0
        ? "nothing was measured"
        : `from ${options.label(lowest)} to ${options.label(highest)}`;
    this.svg.setAttribute("aria-label", `${options.title} over the last minutes: ${said}`);
  }
}

/** Columns, one for each stretch of time. */
export function columns(
  label: string,
  points: readonly Point[],
  scale: Scale,
  stretchMs: number,
): SVGSVGElement {
  const svg = drawing();
  svg.setAttribute("aria-label", label);
  const bars = path("graph-columns");
  bars.setAttribute("d", columnsPath(points, BOX, scale, stretchMs));
  svg.append(bars);
  return svg;
}

function drawing(): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${BOX.width} ${BOX.height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.classList.add("graph");
  return svg;
}

function path(className: string): SVGPathElement {
  const made = document.createElementNS(SVG, "path");
  made.setAttribute("class", className);
  return made;
}

/** The same line, closed along the bottom, piece by piece. */
function areaUnder(line: string): string {
  return line
    .split("M")
    .filter((piece) => piece !== "")
    .map((piece) => {
      const xs = piece.split("L").map((pair) => pair.split(" ")[0] ?? "0");
      return `M${xs[0]} ${BOX.height}L${piece}L${xs.at(-1)} ${BOX.height}Z`;
    })
    .join("");
}
