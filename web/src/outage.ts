/** What is asked for again and again while a stream is live. */
export type PlaylistKind = "level" | "audio";

/**
 * After so long without an answer the player recovers. Before that hls.js has tried another
 * rendition, in case that only one does not come.
 */
export const OUTAGE_MS = 40_000;

/**
 * Knows since when playlists do not come. hls.js does not: it counts failures, and begins to
 * count anew with each rendition that it tries, so that with several it may never give up.
 */
export class Outage {
  private readonly since = new Map<PlaylistKind, number>();

  failed(kind: PlaylistKind, nowMs: number): void {
    if (!this.since.has(kind)) this.since.set(kind, nowMs);
  }

  answered(kind: PlaylistKind): void {
    this.since.delete(kind);
  }

  /** Whether something that was asked for last did not come. */
  get lasts(): boolean {
    return this.since.size > 0;
  }

  /** Whether it has lasted too long. Says so once, and again after as long. */
  isTooLong(nowMs: number): boolean {
    if (![...this.since.values()].some((since) => nowMs - since >= OUTAGE_MS)) return false;
    for (const kind of this.since.keys()) this.since.set(kind, nowMs);
    return true;
  }
}
