/** A stream that is live, as `GET /api/v1/live` tells it. */
export interface LiveStream {
  /** The name in its URLs. */
  readonly name: string;
  /** When this broadcast began; a new broadcast of the same stream has another value. */
  readonly startedAt: string;
  /** Path of the HLS multivariant playlist. */
  readonly playlist: string;
}

const REQUEST_LIMIT_MS = 5_000;

/** Reads the answer of `GET /api/v1/live`. Throws on anything else. */
export function parseLive(body: unknown): LiveStream[] {
  if (!isRecord(body) || !Array.isArray(body["streams"])) {
    throw new Error("/api/v1/live: expected an object with streams");
  }
  return body["streams"].map((entry: unknown) => {
    if (
      !isRecord(entry) ||
      typeof entry["name"] !== "string" ||
      typeof entry["playlist"] !== "string"
    ) {
      throw new Error("/api/v1/live: expected every stream to have a name and a playlist");
    }
    return {
      name: entry["name"],
      startedAt: String(entry["started_at"] ?? ""),
      playlist: entry["playlist"],
    };
  });
}

/** Where a stream's poster is: beside its playlist, asked for with the same query. */
export function posterOf(playlist: string): string {
  return playlist.replace(/[^/?]*(?=\?|$)/, "poster.jpg");
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** Who is live now. */
export async function fetchLive(): Promise<LiveStream[]> {
  const response = await fetch("/api/v1/live", {
    cache: "no-store",
    signal: AbortSignal.timeout(REQUEST_LIMIT_MS),
  });
  if (!response.ok) {
    throw new Error(`/api/v1/live: HTTP ${response.status}`);
  }
  return parseLive(await response.json());
}

/** Asks again and again who is live. One request at a time. */
export class LivePoller {
  private timer: number | undefined;
  private asking = false;

  /**
   * @param onList called with every answer, and with `null` when there is none.
   * @param intervalMs time until the next question, asked for after every answer.
   */
  constructor(
    private readonly onList: (streams: LiveStream[] | null) => void,
    private readonly intervalMs: () => number,
  ) {
    // A tab in the background has throttled timers: catch up when it is seen again.
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.askNow();
    });
  }

  /** Asks at once; the next question follows after the interval. */
  askNow(): void {
    window.clearTimeout(this.timer);
    if (!this.asking) void this.ask();
  }

  private async ask(): Promise<void> {
    this.asking = true;
    let streams: LiveStream[] | null = null;
    try {
      streams = await fetchLive();
    } catch (error) {
      console.info("cannot tell who is live:", error);
    } finally {
      this.asking = false;
    }
    this.onList(streams);
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.ask(), this.intervalMs());
  }
}
