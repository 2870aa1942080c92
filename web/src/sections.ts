/** Fills a section, when it is shown for the first time. */
export type Start<Context> = (root: HTMLElement, context: Context) => void;

/** Shows one section at a time: the one that the address names, or the first. */
export class Sections<Context> {
  private readonly started = new Set<string>();
  private shown = "";

  constructor(
    private readonly starts: Readonly<Record<string, Start<Context>>>,
    private readonly context: Context,
  ) {
    this.show();
    window.addEventListener("hashchange", () => {
      if (this.show()) this.root(this.shown).querySelector<HTMLElement>("h2")?.focus();
    });
  }

  /** Whether another one is shown now. */
  private show(): boolean {
    const named = location.hash.slice(1);
    // Other names are for other things, such as the way past the header.
    const name = Object.hasOwn(this.starts, named) ? named : this.shown || Object.keys(this.starts)[0];
    if (name === undefined || name === this.shown) return false;
    this.shown = name;
    for (const section of document.querySelectorAll<HTMLElement>("[data-section]")) {
      section.hidden = section.dataset["section"] !== name;
    }
    for (const link of document.querySelectorAll(".sections a")) {
      const isShown = link.getAttribute("href") === `#${name}`;
      if (isShown) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
      // On a phone the row is wider than the screen.
      if (isShown) link.scrollIntoView({ block: "nearest", inline: "center" });
    }
    if (!this.started.has(name)) {
      this.started.add(name);
      this.starts[name]?.(this.root(name), this.context);
    }
    return true;
  }

  private root(name: string): HTMLElement {
    const root = document.querySelector<HTMLElement>(`[data-section="${name}"]`);
    if (root === null) throw new Error(`the page has no section "${name}"`);
    return root;
  }
}
