// What was said while a recording was live, without a page: it comes as playback reaches it.
import { Problem } from "../problem";
import type { ChatMessage, Page } from "../resources";

/** So far behind what was read playback goes on from there; from further on, it begins anew. */
const LEAP_MS = 30_000;
/** Nobody went back by less: the date of a player trembles. */
const TREMOR_MS = 1_000;
/** With fewer messages that wait for their time, the next page is read. */
const AHEAD_AT_LEAST = 20;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

export interface ReplaySource {
  /** A page of what was said from a media time on, in the order of media time. */
  load(from: number, after: string | null): Promise<Page<ChatMessage>>;
}

/** How it stands with what was said. */
export type ReplayState =
  /** Nothing has played yet. */
  | "waiting"
  | "playing"
  /** It could not be read, and is tried again. */
  | "lost"
  /** There is no such room for whoever asks. */
  | "barred";

export interface ReplayHearer {
  state(state: ReplayState): void;
  /** Playback is elsewhere: what was said where it was is not what is seen. */
  left(): void;
  /** It goes on from where playback is now: what was said before is history. */
  began(): void;
  /** What was said while that was seen which plays now. */
  said(message: ChatMessage): void;
}

/** A chat that is said again. Times are media times, in milliseconds since 1970. */
export class ChatReplay {
  private ahead: ChatMessage[] = [];
  /** How far it was said; `null`: nothing has played. */
  private at: number | null = null;
  /** Where it began, */
  private from = 0;
  /** how far it was read since, */
  private known = 0;
  /** and where it is read on. */
  private cursor: string | null = null;
  private hasBegun = false;
  private isWhole = false;
  private isBarred = false;
  private isReading = false;
  /** How often it began anew: what is read for an older time comes too late. */
  private turn = 0;
  private pauseMs = FIRST_PAUSE_MS;
  private readNotBefore = 0;

  constructor(
    private readonly source: ReplaySource,
    private readonly hearer: ReplayHearer,
  ) {}

  /** How far it was said: what has this media time was, too. */
  get saidUpTo(): number | null {
    return this.at;
  }

  /** Playback is here, at this time of the day. To be called a few times a second. */
  plays(mediaTime: number, now: number): void {
    if (this.isBarred) return;
    if (this.hasLeapt(mediaTime)) this.beginAt(mediaTime);
    this.at = Math.max(this.at ?? mediaTime, mediaTime);
    this.say();
    const isShort = !this.isWhole && this.ahead.length < AHEAD_AT_LEAST;
    if (isShort && !this.isReading && now >= this.readNotBefore) void this.read(now);
  }

  private hasLeapt(mediaTime: number): boolean {
    if (this.at === null || mediaTime < this.at - TREMOR_MS) return true;
    return !this.isWhole && mediaTime > this.known + LEAP_MS;
  }

  private beginAt(mediaTime: number): void {
    this.turn += 1;
    this.ahead = [];
    this.at = mediaTime;
    this.from = mediaTime;
    this.known = mediaTime;
    this.cursor = null;
    this.hasBegun = false;
    this.isWhole = false;
    this.isReading = false;
    this.hearer.left();
  }

  private say(): void {
    const { ahead, at } = this;
    if (at === null) return;
    const later = ahead.findIndex(({ media_time }) => media_time > at);
    for (const message of ahead.splice(0, later < 0 ? ahead.length : later)) this.hearer.said(message);
  }

  /** One page at a time; where playback leaps meanwhile, it is for nobody. */
  private async read(now: number): Promise<void> {
    const { turn } = this;
    this.isReading = true;
    try {
      const page = await this.source.load(this.from, this.cursor);
      if (turn !== this.turn) return;
      this.pauseMs = FIRST_PAUSE_MS;
      this.hearer.state("playing");
      this.take(page);
    } catch (error) {
      console.info("chat:", error);
      if (turn === this.turn) this.failed(error, now);
    } finally {
      if (turn === this.turn) this.isReading = false;
    }
  }

  private take({ items, next }: Page<ChatMessage>): void {
    this.ahead.push(...items);
    this.known = items.at(-1)?.media_time ?? this.known;
    this.cursor = next;
    this.isWhole = next === null;
    if (!this.hasBegun) {
      this.hasBegun = true;
      this.hearer.began();
    }
    this.say();
  }

  private failed(error: unknown, now: number): void {
    this.isBarred = error instanceof Problem && error.status === 404;
    const after = error instanceof Problem ? error.retryAfter : null;
    this.readNotBefore = now + (after === null ? this.pauseMs : after * 1_000);
    this.pauseMs = Math.min(2 * this.pauseMs, LONGEST_PAUSE_MS);
    this.hearer.state(this.isBarred ? "barred" : "lost");
  }
}
