// A viewer session (docs/STREAMS.md), without a page: begun when something plays, kept up, ended.
import { Problem } from "../problem";
import type { ViewerSession } from "../resources";

/** What a visit needs of a page. */
export interface VisitSource {
  join(): Promise<ViewerSession>;
  stay(id: string): Promise<ViewerSession>;
  /** Also while the page is being left. */
  leave(id: string): void;
  setTimeout(run: () => void, ms: number): number;
  clearTimeout(id: number | undefined): void;
}

const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 120_000;

/** Somebody watches, for as long as something plays on their page. */
export class Visit {
  private id: string | null = null;
  private isWanted = false;
  private isAsking = false;
  /** How often it was ended: what was begun before is over. */
  private ends = 0;
  private pauseMs = FIRST_PAUSE_MS;
  private timer: number | undefined;

  constructor(
    private readonly source: VisitSource,
    private readonly onViewers: (viewers: number) => void,
  ) {}

  /** Something plays. */
  begin(): void {
    if (this.isWanted) return;
    this.isWanted = true;
    void this.beat();
  }

  /** Nothing plays any more. */
  end(): void {
    this.isWanted = false;
    this.ends += 1;
    this.source.clearTimeout(this.timer);
    if (this.id !== null) this.source.leave(this.id);
    this.id = null;
  }

  private async beat(): Promise<void> {
    if (this.isAsking || !this.isWanted) return;
    this.isAsking = true;
    this.source.clearTimeout(this.timer);
    let waitMs: number;
    const { id, ends } = this;
    try {
      const session = await (id === null ? this.source.join() : this.source.stay(id));
      waitMs = session.beat_seconds * 1_000;
      this.pauseMs = FIRST_PAUSE_MS;
      if (this.isWanted && (id === null || ends === this.ends)) {
        this.id = session.id;
        this.onViewers(session.viewers);
      } else {
        // It was ended while it was begun, or is ended, and begun as another one.
        if (id === null) this.source.leave(session.id);
        waitMs = 0;
      }
    } catch (error) {
      waitMs = this.failed(error);
    } finally {
      this.isAsking = false;
    }
    if (this.isWanted) this.timer = this.source.setTimeout(() => void this.beat(), waitMs);
  }

  /** A server that knows nothing of viewers, or does not answer, bothers nobody who watches. */
  private failed(error: unknown): number {
    console.info("viewers:", error);
    // The session is gone, or the broadcast is.
    const isOver = error instanceof Problem && [404, 409].includes(error.status);
    if (isOver) this.id = null;
    const wait = error instanceof Problem ? (error.retryAfter ?? 0) * 1_000 : 0;
    const pauseMs = Math.max(wait, this.pauseMs);
    this.pauseMs = Math.min(2 * this.pauseMs, LONGEST_PAUSE_MS);
    return pauseMs;
  }
}
