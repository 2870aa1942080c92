// What the operations of the studio give and take, as `/openapi.json` has it. Rates are bits per
// second, lengths seconds, and times RFC 3339.
import type { Stream, StreamVisibility } from "../resources";

export type Takeover = "takeover" | "reject";
export type PostWhenLive = "as_preferred" | "yes" | "no";

/** What an owner has set of a stream. */
export interface StreamSettings {
  /** Empty: it is called by its name. */
  readonly title: string;
  readonly takeover: Takeover;
  readonly recording: boolean;
  /** `null`: as the installation says. */
  readonly ladder: string | null;
  readonly post_when_live: PostWhenLive;
  readonly is_stopped: boolean;
}

/** A stream, as its owner sees it. */
export interface StudioStream extends Stream {
  readonly id: string;
  readonly is_live: boolean;
  readonly created_at: string;
  /** `null`: the one who asks is not its owner. */
  readonly settings: StreamSettings | null;
}

/** What is to be set of a stream; what is left out stays. */
export interface StreamChange {
  readonly title: string;
  readonly description: string;
  readonly visibility: StreamVisibility;
  readonly takeover: Takeover;
  readonly recording: boolean;
  /** With `recording: false`: what was recorded is to go. */
  readonly delete_recordings?: boolean;
  /** `default`: as the installation says. */
  readonly ladder: string;
  readonly post_when_live: PostWhenLive;
}

export interface StreamWish extends Omit<StreamChange, "delete_recordings"> {
  readonly name: string;
}

/** A key, without what is secret of it. */
export interface StreamKey {
  readonly id: string;
  /** Empty: it has none. */
  readonly name: string;
  readonly created_at: string;
  /** Until when it is good beside the one that took its place; `null`: it does not expire. */
  readonly expires_at: string | null;
  readonly last_used_at: string | null;
}

export interface CreatedStreamKey {
  /** Shown once; `null` in the answer to the same request again. */
  readonly key: string | null;
  readonly stream_key: StreamKey;
}

export interface CreatedStream extends CreatedStreamKey {
  readonly stream: StudioStream;
}

export interface VideoTrack {
  readonly codec: string;
  readonly width: number;
  readonly height: number;
  readonly bit_rate: number;
  /** `null`: not measured yet. */
  readonly frame_rate: number | null;
  readonly gop_seconds: number | null;
  readonly gop_frames: number | null;
}

export interface AudioTrack {
  readonly codec: string;
  readonly sample_rate: number;
  readonly channels: number;
  readonly bit_rate: number;
}

/** What arrives from the encoder. */
export interface Ingest {
  readonly since: string;
  readonly bit_rate: number;
  /** How far what arrived last is behind the clock. */
  readonly delay: number;
  readonly video: VideoTrack | null;
  readonly audio: AudioTrack | null;
}

export type RenditionState = "starting" | "running" | "shed" | "lost";

export interface MeasuredRendition {
  readonly name: string;
  readonly kind: "video" | "audio";
  readonly state: RenditionState;
  readonly reason: string | null;
  readonly width: number | null;
  readonly height: number | null;
  readonly bit_rate: number;
}

/** What the server measures of a stream now. */
export interface StreamStatus {
  readonly name: string;
  readonly state: "live" | "waiting" | "offline";
  readonly since: string | null;
  /** `null`: nothing was measured lately. */
  readonly measured_at: string | null;
  readonly viewers: number;
  readonly ingest: Ingest | null;
  readonly worker: {
    readonly state: "starting" | "running" | "failed";
    readonly engine: string;
    readonly encoder: string;
    readonly restarts: number;
  } | null;
  readonly renditions: readonly MeasuredRendition[];
}

/** What is kept of a broadcast. */
export interface Recording {
  readonly id: string;
  readonly title: string;
  readonly state: "finishing" | "ready";
  readonly started_at: string;
  readonly ended_at: string;
  readonly duration: number;
  /** Bytes. */
  readonly size: number;
  readonly playlist: string;
  readonly manifest: string;
  readonly poster: string;
}

export interface Minute {
  readonly at: string;
  readonly viewers: number;
}

export interface Analytics {
  readonly from: string;
  readonly to: string;
  /** Those in which the stream was live. */
  readonly minutes: readonly Minute[];
  readonly peak: Minute | null;
  readonly watch_seconds: number;
  readonly broadcasts: number;
  readonly live_seconds: number;
}
