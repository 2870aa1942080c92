// What somebody prefers, kept in this browser, so that no page has to ask for it.

/** The preferences that pages have a use for. */
export type Preference = "autoplay" | "theme";

const key = (name: Preference) => `nova.${name}`;

/** What is kept; `null` when nothing is, or the browser keeps nothing. */
export function kept(name: Preference): string | null {
  try {
    return localStorage.getItem(key(name));
  } catch {
    // Storage is refused by the browser's settings.
    return null;
  }
}

/** Keeps it, and tells this page as `storage` tells the others. */
export function keep(name: Preference, value: string): void {
  try {
    localStorage.setItem(key(name), value);
  } catch (error) {
    console.info("preferences:", error);
  }
  window.dispatchEvent(new Event("preferencekept"));
}
