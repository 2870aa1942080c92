/** How far a list was read, page by page, and what is asked for next. */
export class Reading {
  private next: string | null = null;
  /** What was asked for and did not come: it is asked for again. */
  private missed: { readonly after: string | null } | null = null;

  /** What the next page comes after; `null`: the list begins anew. */
  get after(): string | null {
    return this.missed === null ? this.next : this.missed.after;
  }

  /** Whether something is left to be asked for. */
  get goesOn(): boolean {
    return this.missed !== null || this.next !== null;
  }

  /** A page came. It may have nothing, and not be the last. */
  came(next: string | null): void {
    this.next = next;
    this.missed = null;
  }

  /** The page after `after` did not come. */
  failed(after: string | null): void {
    this.missed = { after };
  }
}
