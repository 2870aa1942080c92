import type Hls from "hls.js";

import { api } from "./browser";
import { ReplayPanel } from "./chat/replay-panel";
import { beginningDate, playingDate } from "./dates";
import { View } from "./dom";
import { postPath } from "./places";
import { explain, Problem } from "./problem";
import { RecordedPlayer } from "./recorded";
import type { PostVideo } from "./resources";

interface Found {
  readonly video: PostVideo;
  /** Whose post shows it, by name: of a recording, whose stream that was. */
  readonly owner: string | null;
}

/** The page of the video that a post shows: of a recording, with what was said meanwhile. */
export class VideoPage {
  readonly video: HTMLVideoElement;
  private readonly view = new View("video-template");
  private readonly player: RecordedPlayer;

  constructor(private readonly post: string) {
    this.video = this.view.part("video", HTMLVideoElement);
    this.view.part("back", HTMLAnchorElement).href = postPath(post);
    this.player = new RecordedPlayer(this.video, {
      find: async () => (await this.find()).video.playlist,
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
      const { video, owner } = await this.find();
      this.play(video);
      if (video.stream !== null) void this.showChat(video.stream, owner);
    } catch (error) {
      const isMissing = error instanceof Problem && [400, 404].includes(error.status);
      this.fail(isMissing ? "This video is deleted, or it is not for you." : explain(error));
    }
  }

  private async find(): Promise<Found> {
    const post = await api.post(this.post);
    const { video, author } = post.share_of ?? post;
    if (video === null) throw new Problem(404, "not-found", "", [], null);
    return { video, owner: author?.name ?? null };
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

  /** What was said while it was live, unless nothing ever was. */
  private async showChat(stream: string, owner: string | null): Promise<void> {
    const { player, video } = this;
    const chat = await ReplayPanel.open({
      stream,
      owner,
      // Where somebody goes to is not known before it is there.
      playing: () => (video.seeking ? null : (playingDate(player)?.getTime() ?? null)),
      beginning: () => beginningDate(player)?.getTime() ?? null,
    });
    if (chat === null) return;
    this.root.classList.add("with-chat");
    this.root.append(chat.root);
  }

  private fail(text: string): void {
    this.view.text("problem", text);
  }
}
