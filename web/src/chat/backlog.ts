import type { ChatMessage, Page } from "../resources";

/** Messages that are on the page at most, */
export const SHOWN_AT_MOST = 200;
/** that are kept of those that were read, */
const KEPT_AT_MOST = 600;
/** and that come to those on the page when somebody scrolls to their end. */
const STEP = 60;
/** Deletions of messages that may come later, from a history that was read before. */
const DELETIONS_AT_MOST = 500;

/** Which of two messages comes first: negative, the first one. */
export type Order = (one: ChatMessage, other: ChatMessage) => number;

/** As they were said. */
export const BY_EVENT: Order = (one, other) => one.event - other.event;
/** As what their authors saw plays. */
export const BY_MEDIA_TIME: Order = (one, other) =>
  one.media_time - other.media_time || one.event - other.event;

/**
 * What was said in a room, as far as it was read: a stretch without gaps, in one order, and which
 * of it is on the page. What does not fit any more goes at the end that nobody looks at,
 * and is read again.
 */
export class Backlog {
  private messages: ChatMessage[] = [];
  /** On the page: from here on, */
  private from = 0;
  /** to before here. */
  private to = 0;
  private readonly deletions = new Set<string>();
  /** Where older ones are read on; `null`: from the newest. */
  private cursor: string | null = null;
  private isBegun = false;
  private isWhole = false;
  private isCut = false;
  private isFollowing = true;
  private missed = 0;

  constructor(private readonly order: Order = BY_EVENT) {}

  /** Those on the page, the oldest first. */
  get shown(): readonly ChatMessage[] {
    return this.messages.slice(this.from, this.to);
  }

  /** Whether the newest are shown, and what comes is shown too. */
  get follows(): boolean {
    return this.isFollowing;
  }

  /** How many came since the newest were shown. */
  get unseen(): number {
    return this.missed;
  }

  /** What the next page of the history comes after. */
  get after(): string | null {
    return this.cursor;
  }

  /** Whether the history has older ones, as far as is known. */
  get hasOlder(): boolean {
    return !this.isWhole;
  }

  /** Whether the history was read once. */
  get isRead(): boolean {
    return this.isBegun;
  }

  find(id: string): ChatMessage | undefined {
    return this.messages.find((message) => message.id === id);
  }

  /** Whether it was said, and is deleted. */
  isDeleted(id: string): boolean {
    return this.deletions.has(id);
  }

  /** Those on the page that answer it. */
  answersTo(id: string): readonly ChatMessage[] {
    return this.shown.filter(({ reply_to }) => reply_to === id);
  }

  /** Nothing is known of the room. */
  clear(): void {
    this.messages = [];
    this.from = 0;
    this.to = 0;
    this.cursor = null;
    this.isBegun = false;
    this.isWhole = false;
    this.isCut = false;
    this.isFollowing = true;
    this.missed = 0;
  }

  /** Something is said. */
  said(message: ChatMessage): void {
    if (this.deletions.has(message.id)) return;
    if (this.isCut) {
      this.missed += 1;
      return;
    }
    if (!this.insert(message)) return;
    if (this.isFollowing) this.showNewest();
    else this.missed += 1;
    this.keepWithin();
  }

  deleted(id: string): void {
    this.deletions.add(id);
    for (const oldest of this.deletions) {
      if (this.deletions.size <= DELETIONS_AT_MOST) break;
      this.deletions.delete(oldest);
    }
    const at = this.messages.findIndex((message) => message.id === id);
    if (at < 0) return;
    this.messages.splice(at, 1);
    if (at < this.from) this.from -= 1;
    if (at < this.to) this.to -= 1;
  }

  /** Takes a page of the history, the newest first. Gives whether something older came with it. */
  read({ items, next }: Page<ChatMessage>): boolean {
    const [first] = this.messages;
    const older = first === undefined ? items : items.filter((one) => this.order(one, first) < 0);
    this.cursor = next;
    this.isBegun = true;
    this.isWhole = next === null;
    for (const message of items) {
      // Where the end is cut off, what is newer than the rest would leave a gap behind it.
      const last = this.messages.at(-1);
      const fits = !this.isCut || last === undefined || this.order(message, last) < 0;
      if (fits && !this.deletions.has(message.id)) this.insert(message);
    }
    if (this.isFollowing) this.showNewest();
    this.keepWithin();
    return older.length > 0;
  }

  /** Somebody scrolls up. Gives whether there was more to show; else the history may have it. */
  up(): boolean {
    if (this.from === 0) return false;
    this.isFollowing = false;
    this.from = Math.max(0, this.from - STEP);
    this.to = Math.min(this.to, this.from + SHOWN_AT_MOST);
    return true;
  }

  /** Somebody scrolls down. Gives whether there was more to show. */
  down(): boolean {
    if (this.to === this.messages.length) return false;
    this.to = Math.min(this.messages.length, this.to + STEP);
    this.from = Math.max(this.from, this.to - SHOWN_AT_MOST);
    return true;
  }

  /** Somebody looks at something that is not the newest: it stays where it is. */
  stay(): void {
    this.isFollowing = false;
  }

  /** Shows the newest from now on. Gives whether they are there; else the history has them. */
  follow(): boolean {
    if (this.isCut) return false;
    this.isFollowing = true;
    this.missed = 0;
    this.showNewest();
    this.keepWithin();
    return true;
  }

  private showNewest(): void {
    this.to = this.messages.length;
    this.from = Math.max(0, this.to - SHOWN_AT_MOST);
  }

  /** Puts it in its place; gives whether it was not there already. */
  private insert(message: ChatMessage): boolean {
    const { messages } = this;
    /** Whether it comes before the one at this place, is the same (0), or comes behind it. */
    const against = (at: number) => {
      const other = messages[at];
      return other === undefined ? -1 : this.order(message, other);
    };
    let at = messages.length;
    // What comes is nearly always the newest, or the oldest.
    if (against(0) < 0) at = 0;
    else while (at > 0 && against(at - 1) <= 0) at -= 1;
    if (against(at) === 0) return false;
    messages.splice(at, 0, message);
    if (at < this.from || (at === this.from && this.from > 0)) this.from += 1;
    // On a page that nobody holds still, what comes at its end is shown by `showNewest`.
    if (at < this.to) this.to += 1;
    return true;
  }

  private keepWithin(): void {
    if (this.to - this.from > SHOWN_AT_MOST) {
      if (this.isFollowing) this.from = this.to - SHOWN_AT_MOST;
      else this.to = this.from + SHOWN_AT_MOST;
    }
    const over = this.messages.length - KEPT_AT_MOST;
    if (over <= 0) return;
    // From the end that is further from what is on the page.
    const fromOldest = this.from >= this.messages.length - this.to;
    if (fromOldest) {
      this.messages.splice(0, over);
      this.from -= over;
      this.to -= over;
      // It is read again, from the newest on, past what is there.
      this.cursor = null;
      this.isWhole = false;
    } else {
      this.messages.splice(-over);
      this.isCut = true;
    }
  }
}
