import { api } from "../browser";
import { View } from "../dom";
import { durationLabel } from "../labels";
import { PagedList } from "../paged";
import { LoginNeeded, Problem } from "../problem";
import { studio } from "../studio/api";
import type { Recording } from "../studio/resources";
import { timeElement } from "../time";
import { recordingsOf } from "./recordings";
import { showPoster } from "./video";

const NONE = "You have no recordings. A stream that records has one of each broadcast that has ended.";

/** The video that a post which is being written shows: a recording of its author's. */
export class ChosenVideo {
  private recording: Recording | null = null;
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
    return this.recording?.id ?? null;
  }

  /** Whether there is one, or one is being chosen: nothing else has room then. */
  get isOpen(): boolean {
    return this.recording !== null || !this.choice.hidden;
  }

  set isOffered(isOffered: boolean) {
    this.add.disabled = !isOffered;
  }

  clear(): void {
    this.show(null);
  }

  private open(): void {
    const load = recordingsOf(api.session.known?.name ?? "", studio);
    const list = new PagedList<Recording>({
      label: "Your recordings",
      empty: NONE,
      load: (after) => load(after).catch(stay),
      row: (recording) => this.row(recording, "Choose", () => this.choose(recording)),
    });
    this.videos.replaceChildren(list.root);
    this.choice.hidden = false;
    this.changed();
    this.choice.focus();
    void list.reload();
  }

  private choose(recording: Recording): void {
    this.show(recording);
    this.shown.querySelector("button")?.focus();
  }

  private remove(): void {
    this.show(null);
    this.add.focus();
  }

  private show(recording: Recording | null): void {
    this.recording = recording;
    this.choice.hidden = true;
    this.videos.replaceChildren();
    this.shown.hidden = recording === null;
    const rows = recording === null ? [] : [this.row(recording, "Remove", () => this.remove())];
    this.shown.replaceChildren(...rows);
    this.changed();
  }

  private row({ title, started_at, duration, poster }: Recording, what: string, act: () => void): HTMLElement {
    const view = new View("own-video-template");
    const started = timeElement(started_at, true);
    showPoster(view.part("poster", HTMLImageElement), poster);
    view.text("title", title);
    view.part("detail", HTMLElement).append(started, ` · ${durationLabel(duration)}`);
    const button = view.part("act", HTMLButtonElement);
    button.textContent = what;
    button.setAttribute("aria-label", `${what}: ${title}, ${started.textContent}`);
    button.addEventListener("click", act);
    return view.root;
  }
}

/** What was written is not to be left for the login page: that is for who sends it. */
function stay(error: unknown): never {
  if (!(error instanceof LoginNeeded)) throw error;
  throw new Problem(401, "unauthenticated", error.message, [], null);
}
