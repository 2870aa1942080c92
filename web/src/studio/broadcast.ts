import { part, View } from "../dom";
import { bitrateLabel, secondsLabel } from "../labels";
import { timeElement } from "../time";
import { Graph, type GraphOptions } from "./graph";
import {
  advice,
  audioText,
  Health,
  type Measure,
  rateLabel,
  renditionText,
  SPAN_MS,
  videoText,
  workerText,
} from "./health";
import { Preview } from "./preview";
import type { StreamStatus } from "./resources";
import type { StreamContext } from "./stream";

const GRAPHS: Readonly<Record<Measure, GraphOptions>> = {
  bit_rate: { title: "Bit rate", label: bitrateLabel, least: 500_000 },
  frame_rate: { title: "Frame rate", label: rateLabel, least: 30 },
  gop: { title: "GOP", label: secondsLabel, least: 5 },
  viewers: { title: "Viewers", label: (count) => String(Math.round(count)), least: 5 },
};
const MEASURES = Object.keys(GRAPHS) as Measure[];

export function broadcastSection(root: HTMLElement, { stream, status }: StreamContext): void {
  const view = new View("broadcast-template");
  part(root, "broadcast", HTMLElement).replaceChildren(view.root);
  const preview = new Preview(view, stream.name);
  const health = new HealthPanel(view);
  status.onStatus((answer) => {
    preview.follow(answer);
    health.take(answer);
  });
}

/** The graphs, and what stands beside them. */
class HealthPanel {
  private readonly health = new Health();
  private readonly graphs = MEASURES.map((measure) => ({ measure, graph: new Graph(GRAPHS[measure]) }));

  constructor(private readonly view: View) {
    view.part("graphs", HTMLElement).append(...this.graphs.map(({ graph }) => graph.root));
  }

  take(status: StreamStatus | null): void {
    const now = Date.now();
    if (status !== null) {
      this.health.take(status, now);
      this.showFacts(status);
    }
    for (const { measure, graph } of this.graphs) {
      const series = this.health.series[measure];
      const to = series.points.at(-1)?.at ?? now;
      graph.show(series.points, to - SPAN_MS, to, status === null ? null : series.last);
    }
  }

  private showFacts(status: StreamStatus): void {
    const { view } = this;
    const { ingest, worker, renditions } = status;
    view.part("facts", HTMLElement).hidden = ingest === null;
    view.text("video-track", videoText(status));
    view.text("audio-track", audioText(status));
    view.text("delay", ingest === null ? "–" : secondsLabel(ingest.delay));
    view
      .part("since", HTMLElement)
      .replaceChildren(ingest === null ? "–" : timeElement(ingest.since, true));
    const isTold = worker !== null;
    view.part("worker-row", HTMLElement).hidden = !isTold;
    if (isTold) view.text("worker", workerText(worker));
    const rows = renditions.map((rendition) => {
      const row = new View("rendition-template");
      row.text("name", rendition.name);
      row.text("detail", renditionText(rendition));
      row.root.dataset["state"] = rendition.state;
      return row.root;
    });
    view.part("renditions", HTMLElement).replaceChildren(...rows);
    view.part("renditions-box", HTMLElement).hidden = rows.length === 0;
    this.showAdvice(advice(status));
  }

  private showAdvice(said: readonly string[]): void {
    const box = this.view.part("advice", HTMLElement);
    const text = said.join("\n");
    // It is read out when it changes, and not each time.
    if (box.dataset["said"] === text) return;
    box.dataset["said"] = text;
    box.replaceChildren(
      ...said.map((sentence) => {
        const item = document.createElement("p");
        item.textContent = sentence;
        return item;
      }),
    );
  }
}
