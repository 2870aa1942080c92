import type { Api } from "./api";
import { Problem } from "./problem";

/** A stream that is live, as `GET /api/v1/live` tells it. */
export interface LiveStream {
  /** The name in its URLs. */
  readonly name: string;
  /** What it is called. */
  readonly title: string;
  /** The name of the account that it belongs to; `null`: the server did not say. */
  readonly owner: string | null;
  /** When this broadcast began; a new broadcast of the same stream has another value. */
  readonly startedAt: string;
  /** Path of the HLS multivariant playlist, with the viewer's token where one is needed. */
  readonly playlist: string;
}

/** A page of streams that are live, the newest broadcast first. */
export interface LivePage {
  readonly streams: readonly LiveStream[];
  /** What the next page comes after; `null`: there is none. */
  readonly next: string | null;
}

/** Reads the answer of `GET /api/v1/live`. Throws on anything else. */
export function parseLive(body: unknown): LivePage {
  if (!isRecord(body) || !Array.isArray(body["streams"])) {
    throw new Error("/api/v1/live: expected an object with streams");
  }
  const { streams: entries, next } = body;
  const streams = entries.map((entry: unknown) => {
    const fields: Readonly<Record<string, unknown>> = isRecord(entry) ? entry : {};
    const { name, title, owner, started_at, playlist } = fields;
    if (typeof name !== "string" || typeof playlist !== "string") {
      throw new Error("/api/v1/live: expected every stream to have a name and a playlist");
    }
    return {
      name,
      title: typeof title === "string" && title !== "" ? title : name,
      owner: typeof owner === "string" ? owner : null,
      startedAt: String(started_at ?? ""),
      playlist,
    };
  });
  return { streams, next: typeof next === "string" ? next : null };
}

/** Where a stream's poster is: beside its playlist, asked for with the same query. */
export function posterOf(playlist: string): string {
  return playlist.replace(/[^/?]*(?=\?|$)/, "poster.jpg");
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** The token in the address of something that not everybody may play. */
const TOKEN = /\/~[^/]+/;

/** `address` with the token that `playlist` has: of what is played, that of the viewer changes. */
export function renewed(address: string, playlist: string): string {
  const token = TOKEN.exec(playlist)?.[0];
  return token === undefined ? address : address.replace(TOKEN, token);
}

/** Whether the address of a playlist has a token. */
export function hasToken(playlist: string): boolean {
  return TOKEN.test(playlist);
}

type Asked = Pick<Api, "live" | "stream" | "playback" | "session">;

/**
 * Who is live now, of those whom the viewer may and wants to see: the first `pages` of them. Where
 * a later page does not come, those before it are what there is.
 */
export async function fetchLive(api: Pick<Api, "live">, pages = 1): Promise<LivePage> {
  let live = parseLive(await api.live(null));
  for (let read = 1; read < pages && live.next !== null; read += 1) {
    try {
      const page = parseLive(await api.live(live.next));
      live = { streams: [...live.streams, ...page.streams], next: page.next };
    } catch (error) {
      console.info("cannot tell who else is live:", error);
      break;
    }
  }
  return live;
}

/**
 * The same, and the stream `watched` where they have it not: whoever mutes its owner may watch
 * it all the same, and it may be on another page.
 */
export async function fetchLiveAnd(api: Asked, watched: string, pages = 1): Promise<LivePage> {
  const live = await fetchLive(api, pages);
  const isListed = live.streams.some(({ name }) => name === watched);
  // Nobody is muted by who is not logged in.
  const isWhole = api.session.known === null && live.next === null;
  if (isListed || isWhole) return live;
  try {
    const { live_since, title, owner } = await api.stream(watched);
    if (live_since === null) return live;
    const { playlist } = await api.playback(watched);
    const stream = { name: watched, title, owner, startedAt: live_since, playlist };
    return { ...live, streams: [...live.streams, stream] };
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return live;
    throw error;
  }
}

/** Asks again and again who is live. One request at a time. */
export class LivePoller {
  private timer: number | undefined;
  private asking = false;
  /** Something else is wanted than what is asked. */
  private again = false;

  /**
   * @param read asks who is live.
   * @param onList called with every answer, and with `null` when there is none.
   * @param intervalMs time until the next question, asked for after every answer.
   */
  constructor(
    private readonly read: () => Promise<LivePage>,
    private readonly onList: (live: LivePage | null) => void,
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

  /** Asks for something else than before: at once, or after what is asked now. */
  askAnew(): void {
    this.again = this.asking;
    this.askNow();
  }

  private async ask(): Promise<void> {
    this.asking = true;
    this.again = false;
    let live: LivePage | null = null;
    try {
      live = await this.read();
    } catch (error) {
      console.info("cannot tell who is live:", error);
    } finally {
      this.asking = false;
    }
    this.onList(live);
    // Whoever heard it may have asked at once.
    if (this.asking) return;
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.ask(), this.again ? 0 : this.intervalMs());
  }
}
