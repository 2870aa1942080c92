// What was typed when its writer turned out not to be logged in any more, kept in this tab until
// they are back.

const key = (name: string, place: string) => `nova.draft.${name}.${place}`;

/** Keeps what `name` typed at `place`. */
export function keepDraft(name: string, place: string, text: string): void {
  try {
    sessionStorage.setItem(key(name, place), text);
  } catch (error) {
    console.info("drafts:", error);
  }
}

/** What `name` typed at `place` before; it is kept no longer. */
export function takeDraft(name: string, place: string): string {
  try {
    const text = sessionStorage.getItem(key(name, place)) ?? "";
    sessionStorage.removeItem(key(name, place));
    return text;
  } catch {
    // Storage is refused by the browser's settings.
    return "";
  }
}
