import { part, View } from "../dom";
import { durationLabel } from "../labels";
import { PagedList } from "../paged";
import { Problem } from "../problem";
import { RecordedPlayer } from "../recorded";
import type { Page } from "../resources";
import { timeElement } from "../time";
import { studio } from "./api";
import type { Recording } from "./resources";
import { sizeLabel } from "../size";
import type { StreamContext } from "./stream";

export function recordingsSection(root: HTMLElement, { stream }: StreamContext): void {
  const list = new PagedList<Recording>({
    label: "Recordings",
    empty:
      stream.settings?.recording === true
        ? "Nothing is recorded yet: a recording is listed when its broadcast has ended."
        : "This stream does not record. Its settings say so.",
    load: (after) => studio.recordings(stream.name, after),
    row: (recording) => row(stream.name, recording),
  });
  part(root, "recordings", HTMLElement).append(list.root);
  void list.reload();
}

function row(name: string, recording: Recording): HTMLElement {
  const view = new View("recording-template");
  const started = timeElement(recording.started_at, true);
  const title = `${recording.title}, ${started.textContent}`;
  view.text("title", recording.title);
  view
    .part("detail", HTMLElement)
    .append(
      started,
      ` · ${durationLabel(recording.duration)} · ${sizeLabel(recording.size)}`,
      ...(recording.state === "ready" ? [] : [" · the last of it is being stored"]),
    );
  const play = view.part("play", HTMLButtonElement);
  play.setAttribute("aria-label", `Play: ${title}`);
  play.addEventListener("click", () => {
    play.hidden = true;
    const video = view.part("video", HTMLVideoElement);
    const player = new RecordedPlayer(video, {
      find: () => playlistOf(name, recording.id),
      fail: (text) => view.text("problem", text),
    });
    video.poster = recording.poster;
    video.setAttribute("aria-label", title);
    video.hidden = false;
    player.open(recording.playlist);
    video.focus();
    void video.play().catch((error: unknown) => console.info("play:", error));
  });
  return view.root;
}

/** The playlist of a recording, with another token. */
async function playlistOf(name: string, id: string): Promise<string> {
  let after: string | null = null;
  do {
    const page: Page<Recording> = await studio.recordings(name, after);
    const found = page.items.find((recording) => recording.id === id);
    if (found !== undefined) return found.playlist;
    after = page.next;
  } while (after !== null);
  throw new Problem(404, "not-found", "This recording is deleted.", [], null);
}
