import type { View } from "./dom";
import type { Player } from "./player";

/** iOS has a full screen for videos only, Safari a prefix of its own. */
interface AppleVideo extends HTMLVideoElement {
  webkitEnterFullscreen?(): void;
}

const IDLE_MS = 2_500;
const VOLUME_STEP = 0.05;
/** Further behind its usual distance than this, a viewer is offered the way back. */
const BEHIND_S = 4;

/** The player's buttons and keys. */
export class Controls {
  private readonly box: HTMLElement;
  private readonly playButton: HTMLButtonElement;
  private readonly muteButton: HTMLButtonElement;
  private readonly unmuteButton: HTMLButtonElement;
  private readonly bigPlayButton: HTMLButtonElement;
  private readonly goLiveButton: HTMLButtonElement;
  private readonly volume: HTMLInputElement;
  private readonly video: AppleVideo;
  private idleTimer: number | undefined;

  constructor(
    view: View,
    private readonly player: Player,
  ) {
    this.video = player.video;
    this.box = view.part("player", HTMLDivElement);
    this.playButton = view.part("play", HTMLButtonElement);
    this.muteButton = view.part("mute", HTMLButtonElement);
    this.unmuteButton = view.part("unmute", HTMLButtonElement);
    this.bigPlayButton = view.part("big-play", HTMLButtonElement);
    this.goLiveButton = view.part("go-live", HTMLButtonElement);
    this.volume = view.part("volume", HTMLInputElement);

    this.playButton.addEventListener("click", () => this.togglePlay());
    this.bigPlayButton.addEventListener("click", () => this.togglePlay());
    this.muteButton.addEventListener("click", () => this.setMuted(!this.video.muted));
    this.unmuteButton.addEventListener("click", () => {
      this.setMuted(false);
      this.muteButton.focus({ preventScroll: true });
    });
    this.goLiveButton.addEventListener("click", () => player.goLive());
    this.volume.addEventListener("input", () => {
      this.video.volume = this.volume.valueAsNumber;
      this.video.muted = this.video.volume === 0;
    });
    for (const event of ["play", "pause", "playing", "volumechange", "emptied"]) {
      this.video.addEventListener(event, () => this.show());
    }
    this.wirePictureInPicture(view.part("pip", HTMLButtonElement));
    view
      .part("fullscreen", HTMLButtonElement)
      .addEventListener("click", () => this.toggleFullscreen());
    this.wirePointer();
    document.addEventListener("keydown", (event) => this.onKey(event));
    this.show();
  }

  /** The browser wants a click before it plays. */
  askForClick(): void {
    this.bigPlayButton.hidden = false;
  }

  /** Brings the buttons in line with the video. */
  show(): void {
    const { paused, muted, volume } = this.video;
    const playing = this.player.status === "playing";
    this.box.classList.toggle("is-paused", paused);
    this.box.classList.toggle("is-muted", muted || volume === 0);
    this.playButton.setAttribute("aria-label", paused ? "Play" : "Pause");
    this.muteButton.setAttribute("aria-label", muted ? "Turn sound on" : "Turn sound off");
    this.volume.value = String(muted ? 0 : volume);
    this.unmuteButton.hidden = !(playing && muted);
    if (playing) this.bigPlayButton.hidden = true;
    this.goLiveButton.hidden = !this.isBehind();
  }

  private isBehind(): boolean {
    const hls = this.player.hls;
    if (hls === null || this.player.status === "starting") return false;
    return hls.latency > (hls.targetLatency ?? Infinity) + BEHIND_S;
  }

  private togglePlay(): void {
    if (this.video.paused) void this.player.play();
    else this.video.pause();
  }

  private setMuted(muted: boolean): void {
    this.video.muted = muted;
    if (!muted && this.video.volume === 0) this.video.volume = 0.5;
  }

  private wirePictureInPicture(button: HTMLButtonElement): void {
    button.hidden = !document.pictureInPictureEnabled;
    button.addEventListener("click", () => {
      const change = document.pictureInPictureElement
        ? document.exitPictureInPicture()
        : this.video.requestPictureInPicture();
      change.catch((error: unknown) => console.info("picture in picture:", error));
    });
  }

  private toggleFullscreen(): void {
    if (document.fullscreenElement !== null && document.fullscreenElement !== undefined) {
      void document.exitFullscreen();
    } else if (typeof this.box.requestFullscreen === "function") {
      this.box
        .requestFullscreen()
        .catch((error: unknown) => console.info("full screen:", error));
    } else {
      this.video.webkitEnterFullscreen?.();
    }
  }

  /** The controls fade while nobody moves; the first tap only brings them back. */
  private wirePointer(): void {
    let shownByThisTap = false;
    this.box.addEventListener("pointerdown", (event) => {
      shownByThisTap = event.pointerType === "touch" && this.box.classList.contains("is-idle");
      this.wake();
    });
    for (const event of ["pointermove", "focusin"]) {
      this.box.addEventListener(event, () => this.wake());
    }
    this.box.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse") this.box.classList.add("is-idle");
    });
    this.video.addEventListener("click", () => {
      if (!shownByThisTap) this.togglePlay();
    });
    this.wake();
  }

  private wake(): void {
    this.box.classList.remove("is-idle");
    window.clearTimeout(this.idleTimer);
    this.idleTimer = window.setTimeout(() => this.box.classList.add("is-idle"), IDLE_MS);
  }

  private onKey(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const target = event.target instanceof Element ? event.target : null;
    // Whoever writes, or reads in a box of its own, means that.
    if (target?.closest("select, textarea, input:not([type=range]), [role=log], dialog") != null) return;
    const action = this.actionOf(event.key, target?.closest("button, input, a") != null);
    if (action === null) return;
    event.preventDefault();
    this.wake();
    action();
  }

  /** Space and arrows belong to the control that has the focus. */
  private actionOf(key: string, onControl: boolean): (() => void) | null {
    switch (key) {
      case "k":
        return () => this.togglePlay();
      case "m":
        return () => this.setMuted(!this.video.muted);
      case "f":
        return () => this.toggleFullscreen();
      case "l":
        return () => this.player.goLive();
      case " ":
        return onControl ? null : () => this.togglePlay();
      case "ArrowUp":
        return onControl ? null : () => this.turnVolume(VOLUME_STEP);
      case "ArrowDown":
        return onControl ? null : () => this.turnVolume(-VOLUME_STEP);
      default:
        return null;
    }
  }

  private turnVolume(by: number): void {
    this.video.volume = Math.min(1, Math.max(0, this.video.volume + by));
    if (by > 0) this.video.muted = false;
  }
}
