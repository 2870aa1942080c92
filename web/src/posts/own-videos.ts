import type { Api } from "../api";
import type { Page, Video, VideoPlayback } from "../resources";

/** A video of one's own that plays: a post can show it. */
export interface ReadyVideo extends Video {
  readonly playback: VideoPlayback;
}

/** A page of one's videos, without those that do not play: it may have none, and go on. */
export async function readyVideos(source: Pick<Api, "videos">, after: string | null): Promise<Page<ReadyVideo>> {
  const { items, next } = await source.videos(after);
  return { items: items.filter(isReady), next };
}

function isReady(video: Video): video is ReadyVideo {
  return video.playback !== null;
}
