import { api } from "../browser";
import { View } from "../dom";
import { Problem } from "../problem";
import type { ChatMessage, Page } from "../resources";
import { BY_MEDIA_TIME } from "./backlog";
import { ChatLog } from "./log";
import { ChatReplay, type ReplayHearer, type ReplayState } from "./replay";
import { messageRow } from "./row";

/** So often it is looked how far the recording has played. */
const LOOK_MS = 250;

export interface ReplayPanelOptions {
  /** The name of the stream that was recorded. */
  readonly stream: string;
  /** Whose it is, by name. */
  readonly owner: string | null;
  /** The media time that plays, in milliseconds since 1970; `null`: nothing does yet. */
  playing(): number | null;
  /** That at which the recording begins, likewise. */
  beginning(): number | null;
}

const STATES: Readonly<Record<ReplayState, string>> = {
  waiting: "What was said appears as the video plays.",
  playing: "",
  lost: "The chat does not come, trying again…",
  barred: "This chat is not for you.",
};

/** The chat beside a recording, as it was while that was live. Nobody says anything there. */
export class ReplayPanel implements ReplayHearer {
  private readonly view = new View("chat-template");
  private readonly log: ChatLog;
  private readonly replay: ChatReplay;

  /** Of a stream in whose chat nothing was ever said there is none. */
  static async open(options: ReplayPanelOptions): Promise<ReplayPanel | null> {
    let isBarred = false;
    try {
      const { items, next } = await api.chatReplay(options.stream, { from: 0, first: 1 }, null);
      if (items.length === 0 && next === null) return null;
    } catch (error) {
      // What else is wrong may be right when the video plays.
      console.info("chat:", error);
      isBarred = error instanceof Problem && error.status === 404;
    }
    const panel = new ReplayPanel(options);
    if (isBarred) panel.state("barred");
    return panel;
  }

  private constructor(private readonly options: ReplayPanelOptions) {
    const { view } = this;
    const { stream } = options;
    view.part("foot", HTMLElement).remove();
    view.text("title", "Chat replay");
    view.text("empty", "Nobody has said anything so far.");
    view.part("log", HTMLElement).setAttribute("aria-label", "What was said");
    this.log = new ChatLog(this.root, {
      load: (after) => this.loadBefore(after),
      row: (message) => this.row(message),
      order: BY_MEDIA_TIME,
    });
    const load = (from: number, after: string | null) => api.chatReplay(stream, { from }, after);
    this.replay = new ChatReplay({ load }, this);
    this.state("waiting");
    window.setInterval(() => this.look(), LOOK_MS);
  }

  get root(): HTMLElement {
    return this.view.root;
  }

  // What the replay tells

  state(state: ReplayState): void {
    this.root.dataset["state"] = state;
    this.view.text("state", STATES[state]);
  }

  left(): void {
    this.log.clear();
  }

  began(): void {
    this.log.begin();
  }

  said(message: ChatMessage): void {
    this.log.said(message);
  }

  private look(): void {
    const playing = this.options.playing();
    if (playing !== null) this.replay.plays(playing, Date.now());
  }

  /** What was said up to now, the newest first: of the recording, and nothing before it. */
  private async loadBefore(after: string | null): Promise<Page<ChatMessage>> {
    const from = (this.replay.saidUpTo ?? 0) + 1;
    const { stream } = this.options;
    const { items, next } = await api.chatReplay(stream, { from, isBackwards: true }, after);
    const begin = this.options.beginning() ?? 0;
    const ofIt = items.filter(({ media_time }) => media_time >= begin);
    return { items: ofIt, next: ofIt.length < items.length ? null : next };
  }

  private row(message: ChatMessage): HTMLElement {
    return messageRow(message, {
      me: null,
      owner: this.options.owner,
      isModerator: false,
      maySay: false,
      find: (id) => this.log.backlog.find(id),
      isDeleted: () => false,
      reply: () => undefined,
      remove: () => undefined,
      keepFromTalking: () => undefined,
    });
  }
}
