import { api } from "./browser";
import { ChatPanel } from "./chat/panel";
import { Controls } from "./controls";
import { playingDate } from "./dates";
import { View } from "./dom";
import { kept } from "./kept";
import { bitrateLabel, secondsLabel } from "./labels";
import type { LiveStream } from "./live";
import { PHASE_TEXT, phaseOf, type Phase } from "./phase";
import { Player } from "./player";
import { Problem } from "./problem";
import { QualityMenu } from "./quality";
import { readStats, type Stats } from "./stats";
import { StreamHead } from "./stream/head";
import { Visit } from "./stream/visit";

const READOUT_MS = 500;
/**
 * A token that is refused is replaced no more often. What is signed within five seconds after a
 * revocation opens nothing either, so it takes more than one.
 */
const TOKEN_EVERY_MS = 2_000;

/** The watch page of one stream. */
export class WatchPage {
  readonly player: Player;
  private readonly view = new View("watch-template");
  private readonly controls: Controls;
  private readonly quality: QualityMenu;
  private readonly head: StreamHead;
  private readonly chat: ChatPanel;
  private readonly visit: Visit;
  /** Whether the server has said how many watch; else those in the chat are. */
  private isCounted = false;
  /** The stream is not there for whoever asks. */
  private isBarred = false;
  private isAskingForToken = false;
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
      () => void this.askForToken(),
    );
    // The attribute alone does not mute an element made by a script.
    this.player.video.muted = true;
    this.controls = new Controls(view, this.player);
    this.quality = new QualityMenu(
      view.part("quality-label", HTMLLabelElement),
      view.part("quality", HTMLSelectElement),
    );
    document.title = `${name} · Nova`;
    this.chat = new ChatPanel({
      stream: name,
      mediaTime: () => playingDate(this.player)?.getTime() ?? null,
      presence: (viewers) => {
        if (!this.isCounted) this.head.viewers(viewers);
      },
      follow: () => this.head.follow(),
      // It asks until the stream is there for whoever watches, and then the chat is asked again.
      barred: () => void this.head.load(),
    });
    this.head = new StreamHead(view, name, {
      found: (isThere) => this.onFound(isThere),
      stood: (standing) => this.chat.stand(standing),
    });
    view.part("chat", HTMLElement).replaceWith(this.chat.root);
    this.visit = this.visitOf(name);
    window.setInterval(() => this.showReadout(), READOUT_MS);
  }

  get root(): HTMLElement {
    return this.view.root;
  }

  get phase(): Phase {
    const { status } = this.player;
    if (status === "idle" && this.isBarred && this.listed !== true) return "barred";
    return phaseOf(status, this.listed, this.finished);
  }

  stats(): Stats {
    return readStats(this.player, new Date());
  }

  /** What the server says about who is live; `null` when it does not answer. */
  onLive(streams: readonly LiveStream[] | null): void {
    const stream = streams?.find(({ name }) => name === this.name);
    this.listed = streams === null ? null : stream !== undefined;
    if (streams !== null) this.head.live(stream?.startedAt ?? null);
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

  private visitOf(name: string): Visit {
    const visit = new Visit(
      {
        join: () => api.joinStream(name),
        stay: (id) => api.stayInStream(name, id),
        leave: (id) => {
          // Without an answer it ends by itself.
          api.leaveStream(name, id).catch((error: unknown) => console.info("viewers:", error));
        },
        setTimeout: (run, ms) => window.setTimeout(run, ms),
        clearTimeout: (id) => window.clearTimeout(id),
      },
      (viewers) => {
        this.isCounted = true;
        this.head.viewers(viewers);
      },
    );
    window.addEventListener("pagehide", () => visit.end());
    // Kept for the way back, the page plays on.
    window.addEventListener("pageshow", ({ persisted }) => {
      if (persisted) this.showVisit();
    });
    return visit;
  }

  private showVisit(): void {
    const { status } = this.player;
    if (status === "playing") this.visit.begin();
    else if (status === "paused" || status === "idle" || status === "ended") this.visit.end();
  }

  private onFound(isThere: boolean): void {
    const wasBarred = this.isBarred;
    this.isBarred = !isThere;
    if (wasBarred && isThere) this.chat.askAgain();
    this.show();
  }

  /** The token that is played with opens nothing any more. */
  private async askForToken(): Promise<void> {
    if (this.isAskingForToken) return;
    this.isAskingForToken = true;
    try {
      const { playlist } = await api.playback(this.name);
      this.player.renew(playlist);
    } catch (error) {
      if (error instanceof Problem && error.status === 404) {
        this.player.close();
        void this.head.load();
      } else {
        console.info("another token:", error);
      }
    } finally {
      window.setTimeout(() => (this.isAskingForToken = false), TOKEN_EVERY_MS);
    }
  }

  private show(): void {
    if (this.player.status === "ended") this.finished = true;
    this.showVisit();
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
