import { goToLogin } from "../places";
import { LoginNeeded, Problem } from "../problem";
import type { StreamStatus } from "./resources";

/** The server measures every 5 s. */
const EVERY_MS = 2_500;
/** While nobody looks, the graphs go on, but more coarsely. */
const HIDDEN_MS = 10_000;

/** Asks again and again what is measured of a stream; one request at a time. */
export class StatusPoller {
  private readonly listeners: ((status: StreamStatus | null) => void)[] = [];
  private timer: number | undefined;
  private asking = false;
  /** The last answer; `null`: there was none, or it did not come. */
  private known: StreamStatus | null = null;

  /** @param onGone called when there is no such stream any more. */
  constructor(
    private readonly ask: () => Promise<StreamStatus>,
    private readonly onGone: (error: Problem) => void,
  ) {}

  /** Calls `listener` with each answer, and with `null` where none came. */
  onStatus(listener: (status: StreamStatus | null) => void): void {
    this.listeners.push(listener);
    if (this.known !== null) listener(this.known);
  }

  start(): void {
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.askNow();
    });
    this.askNow();
  }

  /** Asks at once; the next question follows after the interval. */
  askNow(): void {
    window.clearTimeout(this.timer);
    if (!this.asking) void this.look();
  }

  private async look(): Promise<void> {
    this.asking = true;
    try {
      this.known = await this.ask();
    } catch (error) {
      if (error instanceof LoginNeeded) goToLogin();
      if (error instanceof Problem && error.status === 404) {
        this.onGone(error);
        return;
      }
      // Nobody asked for it; the page says that it does not know.
      this.known = null;
      console.info("status:", error);
    } finally {
      this.asking = false;
    }
    for (const listener of this.listeners) listener(this.known);
    window.clearTimeout(this.timer);
    const pause = document.hidden ? HIDDEN_MS : EVERY_MS;
    this.timer = window.setTimeout(() => void this.look(), pause);
  }
}
