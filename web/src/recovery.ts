/** What a fatal player error was about. */
export type FaultKind = "network" | "media" | "other";

/** What to do about it. */
export type Remedy =
  /** Rebuild the media pipeline at once, keeping what is loaded. */
  | { readonly act: "recover-media" }
  /** Start loading again, keeping what is buffered. */
  | { readonly act: "load-again"; readonly delayMs: number }
  /** Throw the player away and begin with the multivariant playlist. */
  | { readonly act: "rebuild"; readonly delayMs: number };

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 8_000;
const LOADS_BEFORE_REBUILD = 3;
const MEDIA_FAULTS_BEFORE_REBUILD = 2;

/**
 * The rule of recovery. It never gives up: a live stream may come back at any
 * time. Every remedy is stronger or later than the one before, until play goes on.
 */
export class Recovery {
  private networkFaults = 0;
  private mediaFaults = 0;

  /** @param jitter a number in [0, 1): viewers of one outage must not return in step. */
  constructor(private readonly jitter: () => number = Math.random) {}

  /** Play goes on: the next fault begins with the gentlest remedy. */
  settled(): void {
    this.networkFaults = 0;
    this.mediaFaults = 0;
  }

  /**
   * @param loaded whether the multivariant playlist had been read.
   * @param moving whether play goes on from the buffer: a rebuild would end it.
   */
  fault(kind: FaultKind, loaded: boolean, moving: boolean): Remedy {
    if (kind === "media") {
      this.mediaFaults += 1;
      if (this.mediaFaults <= MEDIA_FAULTS_BEFORE_REBUILD) return { act: "recover-media" };
      return { act: "rebuild", delayMs: this.delay(this.mediaFaults) };
    }
    this.networkFaults += 1;
    const delayMs = this.delay(this.networkFaults);
    const patient = moving || this.networkFaults <= LOADS_BEFORE_REBUILD;
    const gentle = kind === "network" && loaded && patient;
    return gentle ? { act: "load-again", delayMs } : { act: "rebuild", delayMs };
  }

  private delay(faults: number): number {
    const full = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (faults - 1));
    return full * (0.75 + 0.5 * this.jitter());
  }
}
