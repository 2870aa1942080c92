import { part } from "../dom";
import type { Form } from "../form";
import type { StreamVisibility } from "../resources";
import type { PostWhenLive, StreamChange, StudioStream, Takeover } from "./resources";

/** Ladders that have a name; any other is spelled in steps. */
const PROFILES = ["default", "economy", "standard", "quality"];
const OWN = "own";

/** What the select of profiles shows for a ladder, and what the field of steps. */
export function profileOf(ladder: string | null): { readonly profile: string; readonly steps: string } {
  if (ladder === null) return { profile: "default", steps: "" };
  return PROFILES.includes(ladder) ? { profile: ladder, steps: "" } : { profile: OWN, steps: ladder };
}

/** The ladder that the two say. */
export function ladderOf(profile: string, steps: string): string {
  return profile === OWN ? steps.trim() : profile;
}

/** The fields of a stream, in the form that makes one and in the one that changes one. */
export class StreamFields {
  private readonly profile: HTMLSelectElement;
  private readonly ladder: HTMLInputElement;
  private readonly recording: HTMLInputElement;
  private readonly deletion: HTMLElement;
  private isRecording = false;

  constructor(private readonly root: HTMLElement) {
    this.profile = byId(root, "profile", HTMLSelectElement);
    this.ladder = byId(root, "ladder", HTMLInputElement);
    this.recording = byId(root, "recording", HTMLInputElement);
    this.deletion = part(root, "delete-recordings", HTMLElement);
    this.profile.addEventListener("change", () => this.showSteps());
    this.recording.addEventListener("change", () => this.showDeletion());
  }

  /** Fills in what is set of a stream. */
  show({ description, visibility, settings }: StudioStream): void {
    if (settings === null) return;
    byId(this.root, "title", HTMLInputElement).value = settings.title;
    byId(this.root, "description", HTMLTextAreaElement).value = description;
    byId(this.root, "visibility", HTMLSelectElement).value = visibility;
    byId(this.root, "takeover", HTMLSelectElement).value = settings.takeover;
    byId(this.root, "post_when_live", HTMLSelectElement).value = settings.post_when_live;
    this.recording.checked = settings.recording;
    this.isRecording = settings.recording;
    const { profile, steps } = profileOf(settings.ladder);
    this.profile.value = profile;
    this.ladder.value = steps;
    this.showSteps();
    this.showDeletion();
  }

  /** The form was emptied. */
  cleared(): void {
    this.showSteps();
    this.showDeletion();
  }

  read(form: Form): StreamChange {
    return {
      title: form.value("title"),
      description: form.value("description"),
      visibility: form.value("visibility") as StreamVisibility,
      takeover: form.value("takeover") as Takeover,
      recording: this.recording.checked,
      ladder: ladderOf(this.profile.value, this.ladder.value),
      post_when_live: form.value("post_when_live") as PostWhenLive,
    };
  }

  /** Whether what was recorded is to go. */
  get deletesRecordings(): boolean {
    return !this.deletion.hidden && this.deletionBox.checked;
  }

  private get deletionBox(): HTMLInputElement {
    return byId(this.root, "delete_recordings", HTMLInputElement);
  }

  private showSteps(): void {
    const isOwn = this.profile.value === OWN;
    part(this.root, "steps", HTMLElement).hidden = !isOwn;
    this.ladder.required = isOwn;
  }

  private showDeletion(): void {
    this.deletion.hidden = !this.isRecording || this.recording.checked;
    // What was meant once is asked for anew the next time.
    if (this.deletion.hidden) this.deletionBox.checked = false;
  }
}

function byId<T extends Element>(root: HTMLElement, id: string, kind: new () => T): T {
  const found = root.querySelector(`#${id}`);
  if (!(found instanceof kind)) throw new Error(`the form of a stream has no ${kind.name} "${id}"`);
  return found;
}
