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
  private shown = "";
  /** How many there were when more were asked for. */
  private before: number | null = null;

  /** @param more called when somebody wants to see more than there are. */
  constructor(
    private readonly title: string,
    more: () => void,
  ) {
    this.more.addEventListener("click", () => {
      this.before = this.cards.childElementCount;
      more();
    });
  }

  get root(): HTMLElement {
    return this.view.root;
  }

  /** Shows these streams; nothing at all when there are none. */
  show({ streams, next }: LivePage): void {
    this.root.hidden = streams.length === 0 && next === null;
    this.more.hidden = next === null;
    this.view.part("title", HTMLHeadingElement).textContent = this.title;
    const cards = streams.map(card);
    // Replacing what is the same would take the focus away.
    const text = cards.map((item) => item.outerHTML).join("");
    if (text === this.shown) return;
    this.shown = text;
    this.cards.replaceChildren(...cards);
    // Who asked for more goes on with the first that came.
    if (this.before !== null) cards[this.before]?.querySelector("a")?.focus();
    this.before = null;
  }
}

function card(stream: LiveStream): HTMLElement {
  const view = new View("card-template");
  view.part("link", HTMLAnchorElement).href = watchPath(stream.name);
  view.part("name", HTMLSpanElement).textContent = stream.title;
  const since = sinceLabel(stream.startedAt, new Date());
  const told = [since, ...(stream.owner === null ? [] : [stream.owner])].filter((text) => text !== "");
  view.part("since", HTMLSpanElement).textContent = told.join(" · ");
  return view.root;
}

/** What to do when nobody is live. */
export function emptyState(): HTMLElement {
  const view = new View("empty-template");
  showObs(view.root);
  return view.root;
}
