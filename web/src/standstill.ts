/** A player that has stood still for this long while the stream grows is given up. */
const STUCK_MS = 7_000;
const STUCK_GROWTH_S = 4;

/**
 * Whether there is more to play all the time, and it is not played. What the server was not
 * heard of is left out: what was missed then is no sign of being stuck, and no excuse either
 * for what stands still before and after.
 */
export class Standstill {
  private last: { readonly nowMs: number; readonly edge: number } | null = null;
  private stoodMs = 0;
  private growth = 0;

  /**
   * To be asked several times a second while nothing moves.
   *
   * @param edge the end of the playlist, in seconds.
   * @param answered whether the server answers.
   */
  isStuck(nowMs: number, edge: number, answered: boolean): boolean {
    if (this.last !== null && answered) {
      this.stoodMs += nowMs - this.last.nowMs;
      this.growth += edge - this.last.edge;
    }
    this.last = answered ? { nowMs, edge } : null;
    return this.stoodMs > STUCK_MS && this.growth > STUCK_GROWTH_S;
  }
}
