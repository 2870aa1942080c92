import { api } from "../browser";
import type { View } from "../dom";
import { PHASE_TEXT, phaseOf } from "../phase";
import { Player } from "../player";
import type { StreamStatus } from "./resources";

/** A token is renewed when so much of its time is left. */
const MARGIN_MS = 60_000;

/** What viewers see, without sound. */
export class Preview {
  private readonly player: Player;
  /** The broadcast that the player was given: when it began. */
  private broadcast: string | null = null;
  private isOpening = false;
  private renewAt = Infinity;
  private isLive: boolean | null = null;
  private finished = false;

  constructor(
    private readonly view: View,
    private readonly name: string,
  ) {
    const play = view.part("big-play", HTMLButtonElement);
    this.player = new Player(
      view.part("video", HTMLVideoElement),
      () => this.show(),
      () => (play.hidden = false),
      true,
      // A token that opens nothing is replaced with the next answer.
      () => (this.renewAt = 0),
    );
    // The attribute alone does not mute an element made by a script.
    this.player.video.muted = true;
    play.addEventListener("click", () => {
      play.hidden = true;
      void this.player.play();
    });
    this.show();
  }

  /** Shows the broadcast that is on, or none. */
  follow(status: StreamStatus | null): void {
    this.isLive = status === null ? null : status.state !== "offline";
    if (this.isLive === false) {
      this.broadcast = null;
      const { status: playing } = this.player;
      if (playing === "recovering" || playing === "starting") this.player.close();
    } else if (status?.state === "live") {
      const began = status.since ?? "";
      if (this.broadcast !== began || Date.now() > this.renewAt) void this.open(began);
    }
    this.show();
  }

  private async open(began: string): Promise<void> {
    if (this.isOpening) return;
    this.isOpening = true;
    try {
      const { playlist, expires_at } = await api.playback(this.name);
      this.renewAt = expires_at === null ? Infinity : Date.parse(expires_at) - MARGIN_MS;
      if (this.broadcast !== began) this.player.open(playlist);
      else this.player.renew(playlist);
      this.broadcast = began;
      this.finished = false;
    } catch (error) {
      // It is tried again with the next answer.
      console.info("preview:", error);
    } finally {
      this.isOpening = false;
    }
  }

  private show(): void {
    const { status } = this.player;
    if (status === "ended") this.finished = true;
    const phase = phaseOf(status, this.isLive, this.finished);
    this.view.part("player", HTMLElement).dataset["phase"] = phase;
    const offline = this.isLive === false && status === "idle";
    this.view.text("veil-text", offline ? "Offline" : PHASE_TEXT[phase]);
  }
}
