import { View } from "./dom";
import { sinceLabel } from "./labels";
import type { LivePage, LiveStream } from "./live";
import { showObs } from "./obs";
import { watchPath } from "./places";

/** Live streams as cards. */
export class StreamList {
  private readonly view = new View("list-template");
  private readonly cards = this.view.part("cards", HTMLUListElement);
  private readonly more = this.view.part("more", HTMLButtonElement);
  /** By the name of the stream. */
  private readonly shown = new Map<string, View>();
  /** Which was the last one when more were asked for. */
  private last: Element | null = null;

  /** @param more called when somebody wants to see more than there are. */
  constructor(title: string, more: () => void) {
    this.view.text("title", title);
    this.more.addEventListener("click", () => {
      this.last = this.cards.lastElementChild;
      more();
    });
  }

  get root(): HTMLElement {
    return this.view.root;
  }

  /** Shows these streams; nothing at all when there are none. */
  show({ streams, next }: LivePage): void {
    const focused = document.activeElement;
    const wasInCards = this.cards.contains(focused);
    this.drop(new Set(streams.map(({ name }) => name)));
    this.place(streams);
    this.more.hidden = next === null;
    this.root.hidden = streams.length === 0 && next === null;
    if (focused === this.more) this.leaveButton();
    else if (wasInCards) this.keepFocus(focused);
    // Whoever waited for more and is elsewhere by now stays there.
    if (next === null || this.firstOfMore() !== null) this.last = null;
  }

  private drop(wanted: ReadonlySet<string>): void {
    for (const [name, { root }] of this.shown) {
      if (wanted.has(name)) continue;
      root.remove();
      this.shown.delete(name);
    }
  }

  /** Cards stay the elements that they are: whoever is at one stays there. */
  private place(streams: readonly LiveStream[]): void {
    let place = this.cards.firstElementChild;
    for (const stream of streams) {
      const view = this.shown.get(stream.name) ?? new View("card-template");
      this.shown.set(stream.name, view);
      fill(view, stream);
      if (view.root === place) place = place.nextElementSibling;
      else this.cards.insertBefore(view.root, place);
    }
  }

  /** The first card behind those that there were when more were asked for. */
  private firstOfMore(): HTMLElement | null {
    return this.last?.nextElementSibling?.querySelector("a") ?? null;
  }

  /** Who asked for more goes on with the first that came. */
  private leaveButton(): void {
    const first = this.firstOfMore();
    if (first !== null) first.focus();
    else if (this.more.hidden) this.root.focus();
  }

  /** A card that was moved has lost the focus, and so has one that is gone. */
  private keepFocus(focused: Element | null): void {
    if (document.activeElement === focused) return;
    const isThere = focused instanceof HTMLElement && this.cards.contains(focused);
    (isThere ? focused : this.root).focus({ preventScroll: true });
  }
}

function fill(view: View, { name, title, owner, startedAt }: LiveStream): void {
  const since = sinceLabel(startedAt, new Date());
  const told = [since, ...(owner === null ? [] : [owner])].filter((text) => text !== "");
  view.part("link", HTMLAnchorElement).href = watchPath(name);
  view.text("name", title);
  view.text("since", told.join(" · "));
}

/** What to do when nobody is live. */
export function emptyState(): HTMLElement {
  const view = new View("empty-template");
  showObs(view.root);
  return view.root;
}
