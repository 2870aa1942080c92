/** What a video element says of itself. Times in seconds of its own clock. */
export interface Playhead {
  readonly currentTime: number;
  /** Paused or ended: nothing is meant to move. */
  readonly held: boolean;
  readonly seeking: boolean;
  /** What could be played, in order. */
  readonly buffered: readonly TimeRange[];
}

export interface TimeRange {
  readonly start: number;
  readonly end: number;
}

/** How long time stands still before a hole is taken for the cause. */
const STILL_MS = 400;
/** A seek to where nothing is yet waits for what it asked for, this long. */
const SEEK_STILL_MS = 2_000;
/** What lies further ahead was not left by a gap. */
const REACH_S = 10;
/** Browsers stop some frames before a hole; with more than this left, it is not the cause. */
const BRINK_S = 1;
/** How far into the media behind the hole: exactly at its start some browsers wait on. */
const INSIDE_S = 0.05;

/**
 * Finds the way over holes in the buffer, which lost segments leave. Browsers wait
 * at a hole for ever, and hls.js passes over the small ones only.
 */
export class HoleSkipper {
  private time = Number.NaN;
  private since = 0;
  private skippedTo = -Infinity;

  /**
   * To be asked several times a second: where to seek to now, or `null`. Always
   * forward, and a skip that did not help is not tried again.
   */
  look(nowMs: number, head: Playhead): number | null {
    if (head.held || head.currentTime !== this.time) {
      this.time = head.currentTime;
      this.since = nowMs;
      return null;
    }
    const patienceMs = head.seeking ? SEEK_STILL_MS : STILL_MS;
    if (nowMs - this.since < patienceMs) return null;
    const start = nextStart(head);
    if (start === null || start <= this.skippedTo) return null;
    this.skippedTo = start + INSIDE_S;
    return this.skippedTo;
  }
}

/** Where the media behind the hole begins that the playhead stands at. */
function nextStart({ currentTime, buffered }: Playhead): number | null {
  const here = buffered.find(({ start, end }) => start <= currentTime && currentTime < end);
  if (here !== undefined && here.end - currentTime > BRINK_S) return null;
  const next = buffered.find(({ start }) => start > currentTime);
  return next !== undefined && next.start - currentTime <= REACH_S ? next.start : null;
}
