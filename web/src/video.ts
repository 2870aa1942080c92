import type Hls from "hls.js";

import { api } from "./browser";
import { View } from "./dom";
import { postPath } from "./places";
import { explain, Problem } from "./problem";
import { RecordedPlayer } from "./recorded";
import type { PostVideo } from "./resources";

/** The page of the video that a post shows. */
export class VideoPage {
  readonly video: HTMLVideoElement;
  private readonly view = new View("video-template");
  private readonly player: RecordedPlayer;

  constructor(private readonly post: string) {
    this.video = this.view.part("video", HTMLVideoElement);
    this.view.part("back", HTMLAnchorElement).href = postPath(post);
    this.player = new RecordedPlayer(this.video, {
      find: async () => (await this.find()).playlist,
      fail: (text) => this.fail(text),
    });
    void this.load();
  }

  get root(): HTMLElement {
    return this.view.root;
  }

  get hls(): Hls | null {
    return this.player.hls;
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
    this.player.open(playlist);
  }

  private fail(text: string): void {
    this.view.text("problem", text);
  }
}
