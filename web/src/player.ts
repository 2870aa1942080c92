import Hls, {
  ErrorDetails,
  Events,
  ErrorTypes,
  type ErrorData,
  type Fragment,
  type HlsConfig,
  type LevelDetails,
  type Part,
} from "hls.js";

import { HoleSkipper } from "./holes";
import { hasToken, posterOf, renewed } from "./live";
import { Outage, type PlaylistKind } from "./outage";
import { Pacer } from "./pace";
import type { PlayerStatus } from "./phase";
import { LOAD_POLICIES } from "./policies";
import { Recovery, type FaultKind } from "./recovery";
import { Standstill } from "./standstill";
import { bufferedAfter } from "./stats";

const HLS_CONFIG: Partial<HlsConfig> = {
  lowLatencyMode: true,
  // fMP4 needs no repackaging: a worker would only copy bytes.
  enableWorker: false,
  capLevelToPlayerSize: true,
  // A rendition that had a gap is as good as any other afterwards.
  errorPenaltyExpireMs: 5_000,
  // A first guess in bit/s: the default begins every broadcast blurred.
  abrEwmaDefaultEstimate: 2_000_000,
  backBufferLength: 30,
  liveDurationInfinity: true,
  ...LOAD_POLICIES,
};

/**
 * hls.js takes whoever is further behind than this many target durations to the live edge,
 * whether there is something to play yet or not. `Pacer` is for those who are less far behind.
 */
const MAX_LATENCY_TARGET_DURATIONS = 8;

/** What hls.js tells of a playlist that did not come. */
const UNANSWERED: ReadonlyMap<ErrorDetails, PlaylistKind> = new Map([
  [ErrorDetails.LEVEL_LOAD_ERROR, "level"],
  [ErrorDetails.LEVEL_LOAD_TIMEOUT, "level"],
  [ErrorDetails.AUDIO_TRACK_LOAD_ERROR, "audio"],
  [ErrorDetails.AUDIO_TRACK_LOAD_TIMEOUT, "audio"],
]);

/** What the edge answers whose token it does not take. */
const REFUSALS: readonly number[] = [401, 403];

/** How long a gap opens the renditions that are larger than the picture on the page. */
const UNCAPPED_MS = 10_000;
/** hls.js's value for "any rendition". */
const NO_CAP = -1;

/** How long nothing may move before play counts as stalled. */
const STALL_MS = 3_000;
/** Play that lasted this long has recovered; less may be the same fault again. */
const SETTLED_MS = 10_000;
const HEARTBEAT_MS = 500;
/** How often the playhead is looked at for standing before a hole in the buffer. */
const HOLE_LOOK_MS = 100;

/**
 * One video element playing one live stream: hls.js where there are Media Source
 * Extensions, else what the browser itself can (Safari on older iPhones).
 */
export class Player {
  private instance: Hls | null = null;
  private source: string | null = null;
  private current: PlayerStatus = "idle";
  private readonly recovery = new Recovery();
  private pacer = new Pacer();
  private outage = new Outage();
  private standstill = new Standstill();
  private loaded = false;
  /** Whether it fell behind because nothing came, and not because it was paused. */
  private waited = false;
  /** Whether it plays faster to come back to the live edge. */
  private hurries = false;
  private retry: number | undefined;
  private holeWatch: number | undefined;
  /** Whether the viewer, or the page for them, has asked to play. */
  private asked = false;
  private lastTime = 0;
  private lastMoved = 0;
  private playingSince = 0;
  private fatalFaults = 0;

  /**
   * @param onChange called after the status or the renditions have changed.
   * @param onBlocked called when the browser wants a click before it plays, or the viewer does.
   * @param startsByItself whether the viewer wants it to play without a click.
   * @param onRefused called when the server does not let the viewer have what they play: `renew`
   *   may help.
   */
  constructor(
    readonly video: HTMLVideoElement,
    private readonly onChange: () => void,
    private readonly onBlocked: () => void,
    private readonly startsByItself = true,
    private readonly onRefused: () => void = () => {},
  ) {
    video.addEventListener("playing", () => this.become("playing"));
    video.addEventListener("waiting", () => {
      if (!video.paused && !video.seeking) this.waited = true;
    });
    video.addEventListener("pause", () => {
      this.waited = false;
      if (this.current === "playing" && !video.ended) this.become("paused");
    });
    video.addEventListener("ended", () => this.become("ended"));
    video.addEventListener("error", () => {
      if (this.instance === null && this.source !== null) this.onFault("network", "native player");
    });
    window.setInterval(() => this.heartbeat(), HEARTBEAT_MS);
  }

  /** The hls.js player, if there is one now: recovery may replace it. */
  get hls(): Hls | null {
    return this.instance;
  }

  get status(): PlayerStatus {
    return this.current;
  }

  /** Fatal errors since the page was opened, those recovered from included. */
  get fatalErrors(): number {
    return this.fatalFaults;
  }

  /** Plays a stream from its multivariant playlist. */
  open(playlist: string): void {
    this.close();
    this.source = playlist;
    this.video.poster = posterOf(playlist);
    this.become("starting");
    this.load(playlist);
  }

  /** Goes on with the token that this playlist has, of the same stream. */
  renew(playlist: string): void {
    if (this.source === null) return;
    // Where it is for other people than before, there is a token where none was, or none.
    if (hasToken(this.source) !== hasToken(playlist)) this.open(playlist);
    else this.source = renewed(this.source, playlist);
  }

  /** Lets go of the stream, and of any attempt to recover it. */
  close(): void {
    window.clearTimeout(this.retry);
    this.source = null;
    this.unload();
    this.become("idle");
  }

  /** Starts play; asks for a click when the browser demands one. */
  async play(): Promise<void> {
    this.asked = true;
    try {
      await this.video.play();
    } catch (error) {
      if (error instanceof DOMException && error.name === "NotAllowedError") {
        this.become("paused");
        this.onBlocked();
      }
    }
  }

  /** Starts play once there is something to play, or waits to be asked for the first time. */
  private begin(): void {
    if (this.startsByItself || this.asked) {
      void this.play();
      return;
    }
    this.become("paused");
    this.onBlocked();
  }

  /** Jumps to the live edge. */
  goLive(): void {
    const edge = this.instance?.liveSyncPosition ?? this.nativeEdge();
    if (edge !== null) this.video.currentTime = edge;
    void this.play();
  }

  private nativeEdge(): number | null {
    const { seekable } = this.video;
    return seekable.length > 0 ? seekable.end(seekable.length - 1) : null;
  }

  private load(playlist: string): void {
    this.loaded = false;
    this.outage = new Outage();
    this.pacer = new Pacer();
    if (Hls.isSupported()) {
      const hls = new Hls({ ...HLS_CONFIG, xhrSetup: (request, url) => this.bringToken(request, url) });
      // Among the constructor's options it would have to come with a liveSyncDurationCount,
      // which would override the playlist's own PART-HOLD-BACK.
      hls.config.liveMaxLatencyDurationCount = MAX_LATENCY_TARGET_DURATIONS;
      this.instance = hls;
      hls.on(Events.MANIFEST_PARSED, () => {
        this.loaded = true;
        this.begin();
        this.onChange();
      });
      hls.on(Events.LEVEL_SWITCHED, () => this.onChange());
      hls.on(Events.LEVELS_UPDATED, () => this.onChange());
      hls.on(Events.LEVEL_UPDATED, (_event, { details }) => this.onPlaylist(details));
      hls.on(Events.LEVEL_LOADED, () => this.outage.answered("level"));
      hls.on(Events.AUDIO_TRACK_LOADED, () => this.outage.answered("audio"));
      hls.on(Events.ERROR, (_event, data) => this.onHlsError(data));
      hls.loadSource(playlist);
      hls.attachMedia(this.video);
      const holes = new HoleSkipper();
      this.holeWatch = window.setInterval(() => this.skipHole(holes), HOLE_LOOK_MS);
    } else {
      this.video.src = playlist;
      this.begin();
    }
  }

  /** hls.js asks for what a playlist named, with the token that the playlist was asked for with. */
  private bringToken(request: XMLHttpRequest, url: string): void {
    const address = this.source === null ? url : renewed(url, this.source);
    if (address !== url) request.open("GET", address, true);
  }

  private unload(): void {
    window.clearInterval(this.holeWatch);
    this.instance?.destroy();
    this.instance = null;
    this.video.removeAttribute("src");
    this.video.load();
  }

  /**
   * hls.js raises FRAG_GAP for a gap it comes to load, which may be late or never: it
   * passes over parts silently.
   */
  private onPlaylist({ fragments, partList }: LevelDetails): void {
    const { currentTime } = this.video;
    const ahead = ({ gap, end }: Fragment | Part) => gap === true && end > currentTime;
    if (fragments.some(ahead) || partList?.some(ahead)) this.uncap();
  }

  private onHlsError(data: ErrorData): void {
    if (data.details === ErrorDetails.FRAG_GAP) this.uncap();
    const unanswered = UNANSWERED.get(data.details);
    if (REFUSALS.includes(data.response?.code ?? 0)) this.onRefused();
    if (unanswered !== undefined) this.outage.failed(unanswered, performance.now());
    if (!data.fatal) return;
    const kinds: Partial<Record<ErrorTypes, FaultKind>> = {
      [ErrorTypes.NETWORK_ERROR]: "network",
      [ErrorTypes.MEDIA_ERROR]: "media",
    };
    this.onFault(kinds[data.type] ?? "other", data.details);
  }

  /** A gap is in one rendition: the whole one may be larger than this page needs. */
  private uncap(): void {
    const hls = this.instance;
    const cap = hls?.autoLevelCapping ?? NO_CAP;
    if (hls === null || cap === NO_CAP) return;
    hls.autoLevelCapping = NO_CAP;
    // Chooses again, automatically, for what is not yet buffered.
    hls.nextLevel = -1;
    window.setTimeout(() => {
      if (hls === this.instance && hls.autoLevelCapping === NO_CAP) hls.autoLevelCapping = cap;
    }, UNCAPPED_MS);
  }

  private onFault(kind: FaultKind, details: string): void {
    const source = this.source;
    if (source === null) return;
    this.fatalFaults += 1;
    const patient = this.current === "playing" || this.current === "paused";
    const remedy = this.recovery.fault(kind, this.loaded, patient);
    console.info(`player: ${kind} fault (${details}): ${remedy.act}`);
    window.clearTimeout(this.retry);
    // Loading again shows nobody anything while the buffer lasts.
    if (remedy.act !== "load-again") this.become("recovering");
    if (remedy.act === "recover-media") {
      this.instance?.recoverMediaError();
      void this.play();
      return;
    }
    this.retry = window.setTimeout(() => {
      if (remedy.act === "load-again" && this.instance !== null) {
        this.outage = new Outage();
        this.instance.startLoad();
      } else {
        this.unload();
        // With another token, if there is one by now.
        this.load(this.source ?? source);
      }
    }, remedy.delayMs);
  }

  private skipHole(holes: HoleSkipper): void {
    const { video } = this;
    const { currentTime, paused, ended, seeking, buffered } = video;
    const to = holes.look(performance.now(), {
      currentTime,
      held: paused || ended,
      seeking,
      buffered: Array.from({ length: buffered.length }, (_, i) => ({
        start: buffered.start(i),
        end: buffered.end(i),
      })),
    });
    if (to === null) return;
    console.info(`player: over a hole, ${currentTime.toFixed(2)} -> ${to.toFixed(2)}`);
    video.currentTime = to;
  }

  /** Brings whoever fell behind back to the live edge. */
  private keepPace(hls: Hls): void {
    const { video } = this;
    const to = hls.liveSyncPosition;
    const details = hls.latestLevelDetails;
    if (details?.live === false && this.hurries) {
      this.hurries = false;
      video.playbackRate = 1;
    }
    if (to === null || details === null || !details.live || video.seeking) return;
    const behind = to - video.currentTime;
    if (behind <= 0) this.waited = false;
    const pace = this.pacer.look({
      behind,
      ahead: bufferedAfter(video, video.currentTime),
      there: bufferedAfter(video, to),
      targetDuration: details.targetduration,
      waited: this.waited,
    });
    if (pace.act === "play") {
      this.hurries = pace.rate !== 1;
      if (video.playbackRate !== pace.rate) video.playbackRate = pace.rate;
    } else {
      console.info(`player: to the live edge, ${video.currentTime.toFixed(2)} -> ${to.toFixed(2)}`);
      video.currentTime = to;
      this.waited = false;
    }
  }

  /** Sees what no event tells: time that stands still, and time that moves again. */
  private heartbeat(): void {
    const now = performance.now();
    const { currentTime, paused } = this.video;
    const moved = currentTime !== this.lastTime;
    if (moved) {
      this.lastTime = currentTime;
      this.lastMoved = now;
    }
    if (this.outage.isTooLong(now)) {
      // Until it is time to try again nobody is asked.
      this.instance?.stopLoad();
      this.onFault("network", "no answer");
    }
    if (paused) return;
    const still = now - this.lastMoved;
    const waits = this.outage.lasts ? "unanswered" : "stalled";
    switch (this.current) {
      case "recovering":
        if (moved) this.become("playing");
        break;
      case "stalled":
      case "unanswered":
        if (moved) this.become("playing");
        else if (this.standstill.isStuck(now, this.edge(), !this.outage.lasts)) {
          this.onFault("other", "stuck");
        } else this.become(waits);
        break;
      case "playing":
        if (this.instance !== null) this.keepPace(this.instance);
        if (still > STALL_MS) this.become(waits);
        else if (now - this.playingSince > SETTLED_MS) this.recovery.settled();
        break;
    }
  }

  private edge(): number {
    return this.instance?.latestLevelDetails?.edge ?? 0;
  }

  private become(status: PlayerStatus): void {
    if (status === this.current) return;
    this.current = status;
    if (status === "playing") {
      this.playingSince = performance.now();
      this.lastMoved = this.playingSince;
    }
    if (status === "stalled" || status === "unanswered") this.waited = true;
    else this.standstill = new Standstill();
    this.onChange();
  }
}
