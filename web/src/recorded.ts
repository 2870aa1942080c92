import Hls, { Events, ErrorTypes } from "hls.js";

import { hasToken, renewed } from "./live";
import { LOAD_POLICIES } from "./policies";

/** How often a decoder that failed is begun anew. */
const RECOVERIES = 3;
/** A token lasts longer; who is refused sooner is refused for good. */
const RENEWED_AT_MOST_EVERY_MS = 30_000;

const NOT_LOADED = "The video cannot be loaded. Open the page again to try once more.";

export interface RecordedOptions {
  /** The playlist, with another token of the viewer where one is needed. */
  find(): Promise<string>;
  /** Says why it does not play. */
  fail(text: string): void;
}

/** A video element that plays what is not live. It is loaded when somebody wants to see it. */
export class RecordedPlayer {
  private instance: Hls | null = null;
  private recoveries = 0;
  /** With the token of the viewer, where one is needed. */
  private playlist = "";
  private renewedAt = 0;

  constructor(
    readonly video: HTMLVideoElement,
    private readonly options: RecordedOptions,
  ) {
    video.addEventListener("error", () => options.fail("This video cannot be played here."));
  }

  get hls(): Hls | null {
    return this.instance;
  }

  open(playlist: string): void {
    const { video } = this;
    this.playlist = playlist;
    this.renewedAt = Date.now();
    if (!Hls.isSupported()) {
      video.src = playlist;
      return;
    }
    const hls = new Hls({
      enableWorker: false,
      capLevelToPlayerSize: true,
      autoStartLoad: false,
      xhrSetup: (request, url) => {
        const address = renewed(url, this.playlist);
        if (address !== url) request.open("GET", address, true);
      },
      ...LOAD_POLICIES,
    });
    this.instance = hls;
    hls.on(Events.ERROR, (_, { fatal, type }) => {
      if (!fatal) return;
      if (type === ErrorTypes.MEDIA_ERROR && this.recoveries < RECOVERIES) {
        this.recoveries += 1;
        hls.recoverMediaError();
      } else if (type === ErrorTypes.NETWORK_ERROR && this.mayRenew()) {
        void this.renew(hls);
      } else {
        this.options.fail(NOT_LOADED);
      }
    });
    hls.loadSource(playlist);
    hls.attachMedia(video);
    video.addEventListener("play", () => hls.startLoad(), { once: true });
  }

  /** Lets go of what was loaded. */
  close(): void {
    this.instance?.destroy();
    this.instance = null;
  }

  private mayRenew(): boolean {
    return hasToken(this.playlist) && Date.now() - this.renewedAt > RENEWED_AT_MOST_EVERY_MS;
  }

  /** Goes on with another token, in the place of one that may have expired. */
  private async renew(hls: Hls): Promise<void> {
    this.renewedAt = Date.now();
    try {
      this.playlist = await this.options.find();
      hls.startLoad();
    } catch (error) {
      console.info("another token:", error);
      this.options.fail(NOT_LOADED);
    }
  }
}
