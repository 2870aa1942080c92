import Hls, { Events, ErrorTypes } from "hls.js";

import { api } from "./browser";
import { View } from "./dom";
import { hasToken, renewed } from "./live";
import { LOAD_POLICIES } from "./policies";
import { postPath } from "./places";
import { explain, Problem } from "./problem";
import type { PostVideo } from "./resources";

/** How often a decoder that failed is begun anew. */
const RECOVERIES = 3;
/** A token lasts longer; who is refused sooner is refused for good. */
const RENEWED_AT_MOST_EVERY_MS = 30_000;

const NOT_LOADED = "The video cannot be loaded. Open the page again to try once more.";

/** The page of the video that a post shows. */
export class VideoPage {
  readonly video: HTMLVideoElement;
  private readonly view = new View("video-template");
  private instance: Hls | null = null;
  private recoveries = 0;
  /** With the token of the viewer, where one is needed. */
  private playlist = "";
  private renewedAt = 0;

  constructor(private readonly post: string) {
    this.video = this.view.part("video", HTMLVideoElement);
    this.view.part("back", HTMLAnchorElement).href = postPath(post);
    this.video.addEventListener("error", () => this.fail("This video cannot be played here."));
    void this.load();
  }

  get root(): HTMLElement {
    return this.view.root;
  }

  get hls(): Hls | null {
    return this.instance;
  }

  private async load(): Promise<void> {
    try {
      this.play(await this.find());
    } catch (error) {
      const isMissing = error instanceof Problem && [400, 404].includes(error.status);
      this.fail(isMissing ? "This video is deleted, or it is not for you." : explain(error));
    }
  }

  private async find(): Promise<PostVideo> {
    const { video, share_of } = await api.post(this.post);
    const shown = video ?? share_of?.video ?? null;
    if (shown === null) throw new Problem(404, "not-found", "", [], null);
    return shown;
  }

  private play({ title, playlist, poster }: PostVideo): void {
    const { video } = this;
    this.view.text("name", title);
    document.title = `${title} · Nova`;
    video.setAttribute("aria-label", title);
    video.poster = poster;
    video.hidden = false;
    this.playlist = playlist;
    this.renewedAt = Date.now();
    if (!Hls.isSupported()) {
      video.src = playlist;
      return;
    }
    // It is loaded when somebody wants to see it.
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
        this.fail(NOT_LOADED);
      }
    });
    hls.loadSource(playlist);
    hls.attachMedia(video);
    video.addEventListener("play", () => hls.startLoad(), { once: true });
  }

  private mayRenew(): boolean {
    return hasToken(this.playlist) && Date.now() - this.renewedAt > RENEWED_AT_MOST_EVERY_MS;
  }

  /** Goes on with another token, in the place of one that may have expired. */
  private async renew(hls: Hls): Promise<void> {
    this.renewedAt = Date.now();
    try {
      this.playlist = (await this.find()).playlist;
      hls.startLoad();
    } catch (error) {
      console.info("another token:", error);
      this.fail(NOT_LOADED);
    }
  }

  private fail(text: string): void {
    this.view.text("problem", text);
  }
}
