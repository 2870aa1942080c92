import { playingDate } from "./dates";
import { renditionLabel } from "./labels";
import type { PlayerStatus } from "./phase";
import type { Player } from "./player";

/** What can be measured at the player now. Seconds, pixels, bits per second. */
export interface Stats {
  readonly status: PlayerStatus;
  readonly currentTime: number;
  /** Behind the newest media the server has told about; `null` when unknown. */
  readonly edgeLatency: number | null;
  /** Behind the clock, by EXT-X-PROGRAM-DATE-TIME; as right as this machine's clock. */
  readonly wallLatency: number | null;
  readonly rendition: string | null;
  readonly bitrate: number | null;
  readonly level: number;
  readonly levels: number;
  readonly bufferAhead: number;
  readonly bandwidth: number | null;
  readonly droppedFrames: number;
  readonly fatalErrors: number;
}

/** A clock that is further off than this tells nothing about latency. */
const PLAUSIBLE_LATENCY_S = 600;

export function readStats(player: Player, now: Date): Stats {
  const { video, hls } = player;
  const level = hls?.levels[hls.currentLevel];
  return {
    status: player.status,
    currentTime: video.currentTime,
    edgeLatency: hls !== null && hls.latency > 0 ? hls.latency : null,
    wallLatency: wallLatency(player, now),
    rendition:
      level === undefined
        ? null
        : renditionLabel({
            height: level.height,
            bitrate: level.bitrate,
            frameRate: level.frameRate,
          }),
    bitrate: level?.bitrate ?? null,
    level: hls?.currentLevel ?? -1,
    levels: hls?.levels.length ?? 0,
    bufferAhead: bufferedAfter(video, video.currentTime),
    bandwidth: hls?.bandwidthEstimate ?? null,
    droppedFrames: video.getVideoPlaybackQuality?.().droppedVideoFrames ?? 0,
    fatalErrors: player.fatalErrors,
  };
}

function wallLatency(player: Player, now: Date): number | null {
  const playing = playingDate(player);
  if (playing === null) return null;
  const seconds = (now.getTime() - playing.getTime()) / 1_000;
  return seconds >= 0 && seconds < PLAUSIBLE_LATENCY_S ? seconds : null;
}

/** How much can be played from a position on without waiting, in seconds. */
export function bufferedAfter({ buffered }: HTMLVideoElement, position: number): number {
  for (let i = 0; i < buffered.length; i += 1) {
    if (buffered.start(i) <= position && position <= buffered.end(i)) {
      return buffered.end(i) - position;
    }
  }
  return 0;
}
