import { View } from "./dom";
import { goToLogin } from "./places";
import { explain, LoginNeeded } from "./problem";
import { Reading } from "./reading";
import type { Page } from "./resources";

export interface PagedOptions<T> {
  /** What is in the list, for those who hear it. */
  readonly label: string;
  /** What is said instead of an empty list. */
  readonly empty: string | Node;
  load(after: string | null): Promise<Page<T>>;
  row(item: T, list: PagedList<T>): HTMLElement;
}

/** A list that is read page by page, with what can be done to each row. */
export class PagedList<T> {
  private readonly view = new View("paged-template");
  private readonly items = this.view.part("items", HTMLUListElement);
  // Rows have parts of their own, some of the same names.
  private readonly more = this.view.part("more", HTMLButtonElement);
  private readonly empty = this.view.part("empty", HTMLElement);
  private readonly status = this.view.part("status", HTMLElement);
  private readonly problem = this.view.part("problem", HTMLElement);
  private readonly reading = new Reading();
  private loading = false;
  /** Of the pages that were asked for: what an older one brings comes too late. */
  private turn = 0;

  constructor(private readonly options: PagedOptions<T>) {
    this.items.setAttribute("aria-label", options.label);
    this.empty.append(options.empty);
    this.more.addEventListener("click", () => void this.load(this.reading.after));
  }

  get root(): HTMLElement {
    return this.view.root;
  }

  /** Reads the list from its beginning. */
  async reload(): Promise<void> {
    await this.load(null);
  }

  /** Does something to a row, and says what came of it. */
  async act(button: HTMLButtonElement, action: () => Promise<string>): Promise<void> {
    if (button.getAttribute("aria-busy") === "true") return;
    button.setAttribute("aria-busy", "true");
    this.say("", "");
    try {
      this.say(await action(), "");
    } catch (error) {
      if (error instanceof LoginNeeded) goToLogin();
      this.say("", explain(error));
    } finally {
      button.removeAttribute("aria-busy");
    }
  }

  /** Takes a row away, and the focus to what stands in its place. */
  remove(row: HTMLElement): void {
    const near = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    const target = near?.querySelector<HTMLElement>("button") ?? this.root;
    target.focus();
    this.showEmpty();
  }

  /** Takes a row away that nobody here took. The focus goes with it only where it was in it. */
  drop(row: HTMLElement): void {
    if (row.contains(document.activeElement)) {
      this.remove(row);
      return;
    }
    row.remove();
    this.showEmpty();
  }

  /** Puts a row before all others. */
  prepend(item: T): void {
    this.items.prepend(this.options.row(item, this));
    this.showEmpty();
  }

  private async load(after: string | null): Promise<void> {
    // Whoever has the list read anew may mean another list by now.
    if (this.loading && after !== null) return;
    this.turn += 1;
    const { turn } = this;
    this.loading = true;
    this.root.setAttribute("aria-busy", "true");
    this.say("", "");
    try {
      const page = await this.options.load(after);
      if (turn !== this.turn) return;
      const rows = page.items.map((item) => this.options.row(item, this));
      if (after === null) this.items.replaceChildren(...rows);
      else this.items.append(...rows);
      // Who pressed the button goes on with the first row that it brought. A page may have none.
      if (after !== null) rows[0]?.querySelector<HTMLElement>("button, a")?.focus();
      if (after !== null && rows.length === 0 && page.next === null) this.root.focus();
      this.reading.came(page.next);
      this.more.textContent = "Show more";
      this.more.hidden = !this.reading.goesOn;
      this.showEmpty();
    } catch (error) {
      if (error instanceof LoginNeeded) goToLogin();
      if (turn !== this.turn) return;
      this.reading.failed(after);
      this.say("", explain(error));
      this.more.textContent = "Try again";
      this.more.hidden = false;
    } finally {
      if (turn === this.turn) {
        this.loading = false;
        this.root.removeAttribute("aria-busy");
      }
    }
  }

  private showEmpty(): void {
    const isEmpty = this.items.childElementCount === 0 && !this.reading.goesOn;
    this.empty.hidden = !isEmpty;
    this.items.hidden = this.items.childElementCount === 0;
  }

  private say(status: string, problem: string): void {
    this.status.textContent = status;
    this.problem.textContent = problem;
  }
}
