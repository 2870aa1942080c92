import { api } from "../browser";
import { View } from "../dom";
import { durationLabel } from "../labels";
import { PagedList } from "../paged";
import { LoginNeeded, Problem } from "../problem";
import { timeElement } from "../time";
import { type ReadyVideo, readyVideos } from "./own-videos";
import { showPoster } from "./video";

const NONE = "No video of yours is ready yet. A stream that records has one of each broadcast that has ended.";

/** The video that a post which is being written shows: one of its author's. */
export class ChosenVideo {
  private video: ReadyVideo | null = null;
  private readonly add: HTMLButtonElement;
  private readonly choice: HTMLElement;
  private readonly videos: HTMLElement;
  private readonly shown: HTMLUListElement;

  /** @param changed called when there is one, or none any more, or one is being chosen. */
  constructor(
    view: View,
    private readonly changed: () => void,
  ) {
    this.add = view.part("add-video", HTMLButtonElement);
    this.choice = view.part("video-choice", HTMLElement);
    this.videos = view.part("videos", HTMLElement);
    this.shown = view.part("video", HTMLUListElement);
    this.add.addEventListener("click", () => this.open());
    view.part("close-videos", HTMLButtonElement).addEventListener("click", () => this.remove());
  }

  /** Of the video; `null`: there is none. */
  get id(): string | null {
    return this.video?.id ?? null;
  }

  /** Whether there is one, or one is being chosen: nothing else has room then. */
  get isOpen(): boolean {
    return this.video !== null || !this.choice.hidden;
  }

  set isOffered(isOffered: boolean) {
    this.add.disabled = !isOffered;
  }

  clear(): void {
    this.show(null);
  }

  private open(): void {
    const list = new PagedList<ReadyVideo>({
      label: "Your videos",
      empty: NONE,
      load: (after) => readyVideos(api, after).catch(stay),
      row: (video) => this.row(video, "Choose", () => this.choose(video)),
    });
    this.videos.replaceChildren(list.root);
    this.choice.hidden = false;
    this.changed();
    this.choice.focus();
    void list.reload();
  }

  private choose(video: ReadyVideo): void {
    this.show(video);
    this.shown.querySelector("button")?.focus();
  }

  private remove(): void {
    this.show(null);
    this.add.focus();
  }

  private show(video: ReadyVideo | null): void {
    this.video = video;
    this.choice.hidden = true;
    this.videos.replaceChildren();
    this.shown.hidden = video === null;
    const rows = video === null ? [] : [this.row(video, "Remove", () => this.remove())];
    this.shown.replaceChildren(...rows);
    this.changed();
  }

  private row(video: ReadyVideo, what: string, act: () => void): HTMLElement {
    const { title, started_at, created_at, duration, playback } = video;
    const view = new View("own-video-template");
    const made = timeElement(started_at ?? created_at, true);
    showPoster(view.part("poster", HTMLImageElement), playback.poster);
    view.text("title", title);
    view.part("detail", HTMLElement).append(made, duration === null ? "" : ` · ${durationLabel(duration)}`);
    const button = view.part("act", HTMLButtonElement);
    button.textContent = what;
    button.setAttribute("aria-label", `${what}: ${title}, ${made.textContent}`);
    button.addEventListener("click", act);
    return view.root;
  }
}

/** What was written is not to be left for the login page: that is for who sends it. */
function stay(error: unknown): never {
  if (!(error instanceof LoginNeeded)) throw error;
  throw new Problem(401, "unauthenticated", error.message, [], null);
}
