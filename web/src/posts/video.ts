import { View } from "../dom";
import { durationLabel } from "../labels";
import { videoPath } from "../places";
import type { PostVideo } from "../resources";

/** A poster is a video's, here or at the edge, and nothing else that an address can name. */
const POSTER = /^(https?:\/\/[\w.:[\]-]+(\/[\w./-]*)?)?\/vod\/[0-9a-f-]{36}\/poster\.jpg$/;

/** The video of the post with this id, which leads to where it plays. */
export function videoBox({ title, duration, poster }: PostVideo, post: string): HTMLElement {
  const view = new View("video-template");
  view.part("link", HTMLAnchorElement).href = videoPath(post);
  view.text("title", title === "" ? "Video" : title);
  view.text("duration", duration === null ? "" : durationLabel(duration));
  const picture = view.part("poster", HTMLImageElement);
  if (POSTER.test(poster)) {
    picture.addEventListener("error", () => picture.remove());
    picture.src = poster;
  } else {
    picture.remove();
  }
  return view.root;
}
