import { Controls } from "./controls";
import { View } from "./dom";
import { kept } from "./kept";
import { bitrateLabel, secondsLabel } from "./labels";
import type { LiveStream } from "./live";
import { PHASE_TEXT, phaseOf, type Phase } from "./phase";
import { Player } from "./player";
import { QualityMenu } from "./quality";
import { readStats, type Stats } from "./stats";

const READOUT_MS = 500;

/** The watch page of one stream. */
export class WatchPage {
  readonly player: Player;
  private readonly view = new View("watch-template");
  private readonly controls: Controls;
  private readonly quality: QualityMenu;
  private listed: boolean | null = null;
  private finished = false;
  /** The broadcast that was given to the player last. */
  private broadcast: string | null = null;

  /** @param onPhase called when the page begins to show another phase. */
  constructor(
    readonly name: string,
    private readonly onPhase: () => void,
  ) {
    const { view } = this;
    this.player = new Player(
      view.part("video", HTMLVideoElement),
      () => this.show(),
      () => this.controls.askForClick(),
      kept("autoplay") !== "off",
    );
    // The attribute alone does not mute an element made by a script.
    this.player.video.muted = true;
    this.controls = new Controls(view, this.player);
    this.quality = new QualityMenu(
      view.part("quality-label", HTMLLabelElement),
      view.part("quality", HTMLSelectElement),
    );
    view.part("name", HTMLHeadingElement).textContent = name;
    document.title = `${name} · Nova`;
    window.setInterval(() => this.showReadout(), READOUT_MS);
  }

  get root(): HTMLElement {
    return this.view.root;
  }

  get phase(): Phase {
    return phaseOf(this.player.status, this.listed, this.finished);
  }

  stats(): Stats {
    return readStats(this.player, new Date());
  }

  /** What the server says about who is live; `null` when it does not answer. */
  onLive(streams: readonly LiveStream[] | null): void {
    const stream = streams?.find(({ name }) => name === this.name);
    this.listed = streams === null ? null : stream !== undefined;
    const { status } = this.player;
    if (stream !== undefined) {
      const isNew = stream.startedAt !== this.broadcast;
      if (status === "idle" || (status === "ended" && isNew)) {
        this.broadcast = stream.startedAt;
        this.finished = false;
        this.player.open(stream.playlist);
      } else {
        // Each answer has a token that is good for longer than until the next one.
        this.player.renew(stream.playlist);
      }
    } else if (this.listed === false && (status === "recovering" || status === "starting")) {
      // Nothing to recover: the way back is the stream's next appearance in the list.
      this.player.close();
    }
    this.show();
  }

  private show(): void {
    if (this.player.status === "ended") this.finished = true;
    const { view, phase } = this;
    const text = PHASE_TEXT[phase];
    const state = view.part("state", HTMLParagraphElement);
    if (state.dataset["phase"] !== phase) {
      state.dataset["phase"] = phase;
      state.textContent = text;
      view.part("veil-text", HTMLParagraphElement).textContent = text;
      view.part("player", HTMLDivElement).dataset["phase"] = phase;
      this.onPhase();
    }
    this.quality.show(this.player.hls);
    this.controls.show();
  }

  private showReadout(): void {
    const stats = this.stats();
    const { view } = this;
    view.part("readout", HTMLElement).hidden = stats.status === "idle" || this.finished;
    const rendition =
      stats.rendition === null ? "–" : `${stats.rendition} · ${bitrateLabel(stats.bitrate ?? 0)}`;
    const figures: Record<string, string> = {
      "wall-latency": secondsLabel(stats.wallLatency),
      "edge-latency": secondsLabel(stats.edgeLatency),
      rendition,
      buffer: secondsLabel(stats.bufferAhead),
    };
    for (const [part, text] of Object.entries(figures)) {
      view.part(part, HTMLElement).textContent = text;
    }
    this.controls.show();
  }
}
