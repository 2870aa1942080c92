/** Fills a place, each time that it is shown. */
export type Fill = () => HTMLElement;

/** A row of links to what stands below it: one at a time, the one that the address names. */
export class Tabs {
  private shown = "";

  /**
   * @param root has the links, to `#NAME`, in an element of the class `sections`.
   * @param fills what fills `place`, by name; the first unless the address names one.
   */
  constructor(
    private readonly root: HTMLElement,
    private readonly place: HTMLElement,
    private readonly fills: Readonly<Record<string, Fill>>,
  ) {
    window.addEventListener("hashchange", () => this.show());
    this.show();
  }

  /** Fills the place again. */
  renew(): void {
    const { shown } = this;
    this.shown = "";
    this.show(shown);
  }

  private show(otherwise = this.shown): void {
    const named = location.hash.slice(1);
    // Other names are for other things, such as the way past the header.
    const isOne = Object.hasOwn(this.fills, named);
    const name = isOne ? named : otherwise || (Object.keys(this.fills)[0] ?? "");
    const fill = this.fills[name];
    if (name === this.shown || fill === undefined) return;
    this.shown = name;
    for (const link of this.root.querySelectorAll(".sections a")) {
      if (link.getAttribute("href") === `#${name}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    this.place.replaceChildren(fill());
  }
}
