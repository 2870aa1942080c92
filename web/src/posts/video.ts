import { View } from "../dom";
import { durationLabel } from "../labels";
import { videoPath } from "../places";
import type { PostVideo } from "../resources";
import { isPoster } from "./rules";

/** The video of the post with this id, which leads to where it plays. */
export function videoBox({ title, duration, poster }: PostVideo, post: string): HTMLElement {
  const view = new View("video-template");
  view.part("link", HTMLAnchorElement).href = videoPath(post);
  view.text("title", title === "" ? "Video" : title);
  view.text("duration", duration === null ? "" : durationLabel(duration));
  showPoster(view.part("poster", HTMLImageElement), poster);
  return view.root;
}

/** Shows a video's poster, if it is one and comes; nothing else. */
export function showPoster(picture: HTMLImageElement, poster: string): void {
  if (isPoster(poster)) {
    picture.addEventListener("error", () => picture.remove());
    picture.src = poster;
  } else {
    picture.remove();
  }
}
