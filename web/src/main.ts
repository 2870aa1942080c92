import type Hls from "hls.js";

import { api, onSessionElsewhere } from "./browser";
import { emptyState, StreamList } from "./list";
import { fetchLive, fetchLiveAnd, type LivePage, LivePoller } from "./live";
import { Masthead } from "./masthead";
import { showUnread } from "./notifications/bell";
import { videoPost } from "./places";
import type { Phase } from "./phase";
import { VideoPage } from "./video";
import { WatchPage } from "./watch";
import type { Stats } from "./stats";

declare global {
  interface Window {
    /** For tests and for the curious: the player of this page. */
    nova?: {
      readonly hls: Hls | null;
      readonly video: HTMLVideoElement;
      stats(): Stats;
    };
  }
}

/** Soon while the viewer waits for something, seldom while all is well. */
const EAGER_POLL_MS = 1_500;
const RELAXED_POLL_MS = 10_000;
/** Of those who are live. All that are shown are read again each time. */
const PAGES_AT_MOST = 10;

/** The home page, or the watch page of the stream that the address names. */
class App {
  private watch: WatchPage | null = null;
  /** Of those who are live: how many are wanted, */
  private pages = 1;
  /** and how many were asked for when somebody answered. */
  private asked = 0;
  private readonly streams = new StreamList("Live now", () => this.showMore());
  private readonly others = new StreamList("Also live", () => this.showMore());
  private readonly empty = emptyState();
  private readonly notice = document.createElement("p");
  private readonly poller: LivePoller;

  constructor(private readonly page: HTMLElement) {
    this.notice.className = "notice";
    this.notice.setAttribute("role", "status");
    this.notice.textContent = "The server does not answer. Trying again…";
    const name = /^\/watch\/([^/]+)\/?$/.exec(location.pathname)?.[1];
    this.poller = new LivePoller(
      () => this.read(),
      (live) => this.onLive(live),
      () => (this.pages > 1 || isRelaxed(this.watch?.phase) ? RELAXED_POLL_MS : EAGER_POLL_MS),
    );
    if (name !== undefined) this.openWatchPage(decodeName(name));
    this.poller.askNow();
  }

  private async read(): Promise<LivePage> {
    const { watch, pages } = this;
    const live = await (watch === null ? fetchLive(api, pages) : fetchLiveAnd(api, watch.name, pages));
    this.asked = pages;
    return live;
  }

  private onLive(live: LivePage | null): void {
    const [only, ...more] = live?.streams ?? [];
    const isWhole = live?.next === null;
    const next = this.asked < PAGES_AT_MOST ? (live?.next ?? null) : null;
    if (this.watch === null && only !== undefined && more.length === 0 && isWhole) {
      this.openWatchPage(only.name);
    }
    if (this.watch !== null) {
      const { name } = this.watch;
      this.watch.onLive(live?.streams ?? null);
      if (live === null) return;
      const streams = live.streams.filter((stream) => stream.name !== name);
      this.others.show({ streams, next });
    } else if (live === null) {
      this.put(this.notice);
    } else if (only === undefined && isWhole) {
      this.put(this.empty);
    } else {
      this.streams.show({ ...live, next });
      this.put(this.streams.root);
    }
  }

  private showMore(): void {
    this.pages += 1;
    this.poller.askAnew();
  }

  private openWatchPage(name: string): void {
    const watch = new WatchPage(name, () => {
      if (!isRelaxed(watch.phase)) this.poller.askNow();
    });
    this.watch = watch;
    this.others.show({ streams: [], next: null });
    this.put(watch.root, this.others.root);
    window.nova = {
      get hls() {
        return watch.player.hls;
      },
      video: watch.player.video,
      stats: () => watch.stats(),
    };
  }

  private put(...content: HTMLElement[]): void {
    const shown = [...this.page.children];
    if (shown.length === content.length && content.every((node, i) => node === shown[i])) return;
    this.page.replaceChildren(...content);
  }
}

function isRelaxed(phase: Phase | undefined): boolean {
  return phase === "live" || phase === "barred";
}

function decodeName(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}

new Masthead();
showUnread();
// What is live, and what may be said, is another for somebody else.
onSessionElsewhere(() => location.reload());
const page = document.getElementById("page");
const post = videoPost(location.pathname);
if (page !== null && post !== null) page.replaceChildren(new VideoPage(post).root);
else if (page !== null) new App(page);
