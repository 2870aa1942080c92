import { part } from "../dom";
import type { ChatMessage, Page } from "../resources";
import { Backlog, type Order } from "./backlog";
import { newestLabel } from "./rules";

/** So near to its end somebody reads what is newest, */
const AT_END_PX = 40;
/** and so near to its beginning what is older is read. */
const AT_BEGIN_PX = 120;
/** Pages of the history that are asked for in a row, to come past what is there already. */
const PAGES_IN_A_ROW = 12;

export interface LogOptions {
  /** Reads a page of what was said, the newest first. */
  load(after: string | null): Promise<Page<ChatMessage>>;
  row(message: ChatMessage): HTMLElement;
  /** Unless it is that in which they were said. */
  readonly order?: Order;
}

/** What is said, in a box of its own: it follows what is newest until somebody scrolls up. */
export class ChatLog {
  readonly backlog: Backlog;
  private readonly rows = new Map<string, HTMLElement>();
  private readonly log: HTMLElement;
  private readonly list: HTMLElement;
  private readonly older: HTMLButtonElement;
  private readonly empty: HTMLElement;
  private readonly newest: HTMLButtonElement;
  private reading: Promise<void> | null = null;
  /** How often the room was read from its newest messages: what belongs to an older one is late. */
  private readings = 0;
  private hasFailed = false;
  private isDue = false;

  /** @param root has the parts of the template of a chat, and no message yet. */
  constructor(
    root: HTMLElement,
    private readonly options: LogOptions,
  ) {
    this.backlog = new Backlog(options.order);
    this.log = part(root, "log", HTMLElement);
    this.list = part(root, "rows", HTMLElement);
    this.older = part(root, "older", HTMLButtonElement);
    this.empty = part(root, "empty", HTMLElement);
    this.newest = part(root, "newest", HTMLButtonElement);
    this.log.addEventListener("scroll", () => this.onScroll(), { passive: true });
    this.older.addEventListener("click", () => {
      this.log.focus({ preventScroll: true });
      this.goUp();
    });
    this.newest.addEventListener("click", () => {
      this.toNewest();
      this.log.focus({ preventScroll: true });
    });
    // A keyboard on a phone takes half of the box; who read the newest still does.
    new ResizeObserver(() => {
      if (this.backlog.follows) this.scrollToEnd();
    }).observe(this.log);
  }

  /** Shows nothing, until it begins again. */
  clear(): void {
    this.forget();
    this.due();
  }

  /** Reads the room from its newest messages. */
  begin(): void {
    this.forget();
    void this.readOlder();
  }

  private forget(): void {
    this.backlog.clear();
    this.reading = null;
    this.readings += 1;
    this.hasFailed = false;
  }

  said(message: ChatMessage): void {
    this.backlog.said(message);
    this.due();
  }

  deleted(id: string): void {
    const row = this.rows.get(id);
    this.backlog.deleted(id);
    // The focus goes to what stays.
    if (row?.contains(document.activeElement) === true) this.log.focus({ preventScroll: true });
    // Nobody reads it in what answers it either.
    for (const answer of this.backlog.answersTo(id)) this.makeAgain(answer);
    this.due();
  }

  /** Makes all rows again: what can be done about them has changed. */
  renew(): void {
    for (const row of this.rows.values()) row.remove();
    this.rows.clear();
    this.due();
  }

  private makeAgain(message: ChatMessage): void {
    const before = this.rows.get(message.id);
    if (before === undefined) return;
    const row = this.options.row(message);
    const hadFocus = before.contains(document.activeElement);
    before.replaceWith(row);
    this.rows.set(message.id, row);
    if (hadFocus) this.log.focus({ preventScroll: true });
  }

  toNewest(): void {
    if (!this.backlog.follow()) this.begin();
    this.show();
  }

  /** However much is said, it is shown once for each picture on the screen. */
  private due(): void {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.show();
    });
  }

  /** Brings the rows in line with the backlog, and keeps what somebody reads where it is. */
  private show(): void {
    const { backlog, list, rows } = this;
    const { shown } = backlog;
    const held = backlog.follows ? null : this.firstInSight();
    const wanted = new Set(shown.map(({ id }) => id));
    for (const [id, row] of rows) {
      if (wanted.has(id)) continue;
      row.remove();
      rows.delete(id);
    }
    // Only what is new at the end is to be read out.
    this.log.setAttribute("aria-live", backlog.follows && this.reading === null ? "polite" : "off");
    let place = list.firstElementChild;
    for (const message of shown) {
      let row = rows.get(message.id);
      if (row === undefined) {
        row = this.options.row(message);
        rows.set(message.id, row);
      }
      if (row === place) place = place.nextElementSibling;
      else list.insertBefore(row, place);
    }
    this.showEdges();
    if (backlog.follows) this.scrollToEnd();
    else if (held !== null) this.log.scrollTop = held.row.offsetTop - held.from;
  }

  private showEdges(): void {
    const { backlog } = this;
    const isEmpty = backlog.shown.length === 0;
    this.empty.hidden = !(isEmpty && backlog.isRead && !backlog.hasOlder);
    this.older.hidden = !this.hasFailed && (!backlog.isRead || !backlog.hasOlder);
    this.older.textContent = this.hasFailed ? "Try again to read what was said" : "Older messages";
    this.older.setAttribute("aria-busy", String(this.reading !== null));
    this.newest.hidden = backlog.follows;
    this.newest.textContent = newestLabel(backlog.unseen);
  }

  /** The first row that somebody sees and that stays, and how far from the upper edge it is. */
  private firstInSight(): { readonly row: HTMLElement; readonly from: number } | null {
    const { scrollTop } = this.log;
    for (const { id } of this.backlog.shown) {
      const row = this.rows.get(id);
      if (row !== undefined && row.offsetTop + row.offsetHeight > scrollTop) {
        return { row, from: row.offsetTop - scrollTop };
      }
    }
    return null;
  }

  private scrollToEnd(): void {
    this.log.scrollTop = this.log.scrollHeight;
  }

  private onScroll(): void {
    const { log, backlog } = this;
    const toEnd = log.scrollHeight - log.scrollTop - log.clientHeight;
    if (toEnd <= AT_END_PX) {
      if (backlog.follows) return;
      if (backlog.down()) this.show();
      else if (backlog.follow()) this.show();
      return;
    }
    if (backlog.follows) {
      backlog.stay();
      this.showEdges();
    }
    if (log.scrollTop <= AT_BEGIN_PX && !this.hasFailed) this.goUp();
  }

  private goUp(): void {
    if (this.backlog.up()) this.show();
    else if (this.backlog.hasOlder) void this.readOlder();
  }

  private readOlder(): Promise<void> {
    const { readings } = this;
    this.reading ??= this.read(readings).finally(() => {
      if (readings !== this.readings) return;
      this.reading = null;
      this.show();
    });
    return this.reading;
  }

  private async read(readings: number): Promise<void> {
    const { backlog } = this;
    this.hasFailed = false;
    try {
      for (let pages = 0; backlog.hasOlder && pages < PAGES_IN_A_ROW; pages += 1) {
        const page = await this.options.load(backlog.after);
        if (readings !== this.readings || backlog.read(page)) return;
      }
    } catch (error) {
      console.info("chat:", error);
      if (readings === this.readings) this.hasFailed = true;
    }
  }
}
