import { bitrateLabel, secondsLabel, sinceLabel } from "../labels";
import type { MeasuredRendition, RenditionState, StreamStatus } from "./resources";
import { Series } from "./series";

/** What is drawn of a stream. */
export type Measure = "bit_rate" | "frame_rate" | "gop" | "viewers";

/** How far back the graphs go. */
export const SPAN_MS = 5 * 60_000;

/** What was measured of a stream while the page was open. */
export class Health {
  readonly series: Readonly<Record<Measure, Series>> = {
    bit_rate: new Series(SPAN_MS),
    frame_rate: new Series(SPAN_MS),
    gop: new Series(SPAN_MS),
    viewers: new Series(SPAN_MS),
  };

  /** How far the server's clock was ahead of this one; `null`: it has not told a time. */
  private ahead: number | null = null;

  /**
   * Takes an answer that came at `now`. What was measured once is one point, however often it is
   * told. All times are by the server's clock, also where nothing is measured.
   */
  take(status: StreamStatus, now: number): void {
    const measured = Date.parse(status.measured_at ?? "");
    if (!Number.isNaN(measured)) {
      if (this.ahead === null) for (const series of Object.values(this.series)) series.clear();
      this.ahead = measured - now;
    }
    const at = now + (this.ahead ?? 0);
    const video = status.ingest?.video ?? null;
    const { bit_rate, frame_rate, gop, viewers } = this.series;
    bit_rate.add(at, status.ingest?.bit_rate ?? null);
    frame_rate.add(at, video?.frame_rate ?? null);
    gop.add(at, video?.gop_seconds ?? null);
    viewers.add(at, status.viewers);
  }
}

/** "Live for 3 min", or what else the stream does. */
export function stateText(status: Pick<StreamStatus, "state" | "since">, now: Date): string {
  switch (status.state) {
    case "live":
      return sinceLabel(status.since ?? "", now) || "Live";
    case "waiting":
      return "Waiting for the encoder to come back";
    default:
      return "Offline";
  }
}

/** What an owner should know of, and can do something about. */
export function advice(status: StreamStatus): string[] {
  const { ingest, worker } = status;
  const said: string[] = [];
  if (ingest === null) return said;
  if (ingest.delay > 3) {
    said.push(`What arrives is ${secondsLabel(ingest.delay)} late: your upload may be too slow for this bit rate.`);
  }
  const gop = ingest.video?.gop_seconds ?? null;
  if (gop !== null && gop > 4) {
    said.push(`Key frames come every ${secondsLabel(gop)}: set the keyframe interval to 2 s.`);
  }
  if (ingest.video === null) said.push("No picture arrives.");
  if (ingest.audio === null) said.push("No sound arrives.");
  if (worker?.state === "failed") said.push("The encoder of the server failed, and is started again.");
  if (status.renditions.some(({ state }) => state === "shed")) {
    said.push("The server leaves out renditions, because it cannot make all of them now.");
  }
  return said;
}

const RENDITION_STATES: Readonly<Record<RenditionState, string>> = {
  starting: "starting",
  running: "running",
  shed: "left out",
  lost: "failed",
};

/** "running, 2.5 Mbit/s" */
export function renditionText({ state, reason, bit_rate }: MeasuredRendition): string {
  const said = Object.hasOwn(RENDITION_STATES, state) ? RENDITION_STATES[state] : state;
  if (state === "running") return `${said}, ${bitrateLabel(bit_rate)}`;
  return reason === null ? said : `${said}: ${reason}`;
}

/** "running, ffmpeg (software)" */
export function workerText({ state, engine, encoder, restarts }: NonNullable<StreamStatus["worker"]>): string {
  const again = restarts === 0 ? "" : `, started again ${restarts === 1 ? "once" : `${restarts} times`}`;
  return `${state}, ${engine} (${encoder})${again}`;
}

/** "1280×720, H.264, 30 fps" */
export function videoText(status: StreamStatus): string {
  const video = status.ingest?.video ?? null;
  if (video === null) return "–";
  const rate = video.frame_rate === null ? [] : [`${rateLabel(video.frame_rate)}`];
  return [`${video.width}×${video.height}`, codecLabel(video.codec), ...rate].join(", ");
}

/** "48 kHz, stereo, AAC" */
export function audioText(status: StreamStatus): string {
  const audio = status.ingest?.audio ?? null;
  if (audio === null) return "–";
  const channels = ["", "mono", "stereo"][audio.channels] ?? `${audio.channels} channels`;
  return [`${audio.sample_rate / 1_000} kHz`, channels, codecLabel(audio.codec)].join(", ");
}

/** "29.97 fps" */
export function rateLabel(rate: number): string {
  return `${Math.round(rate * 100) / 100} fps`;
}

/** By RFC 6381, as people call it. */
function codecLabel(codec: string): string {
  const known: Readonly<Record<string, string>> = { avc1: "H.264", hvc1: "HEVC", hev1: "HEVC", mp4a: "AAC", av01: "AV1" };
  const [kind = ""] = codec.split(".");
  return Object.hasOwn(known, kind) ? (known[kind] ?? codec) : codec;
}
