import { View } from "./dom";
import { sinceLabel } from "./labels";
import type { LiveStream } from "./live";
import { showObs } from "./obs";
import { watchPath } from "./places";

/** Live streams as cards. */
export class StreamList {
  private readonly view = new View("list-template");
  private shown = "";

  constructor(private readonly title: string) {}

  get root(): HTMLElement {
    return this.view.root;
  }

  /** Shows these streams; nothing at all when there are none. */
  show(streams: readonly LiveStream[]): void {
    this.root.hidden = streams.length === 0;
    this.view.part("title", HTMLHeadingElement).textContent = this.title;
    const cards = streams.map(card);
    // Replacing what is the same would take the focus away.
    const text = cards.map((item) => item.outerHTML).join("");
    if (text === this.shown) return;
    this.shown = text;
    this.view.part("cards", HTMLUListElement).replaceChildren(...cards);
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
