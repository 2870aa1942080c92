import type { Notification, Page } from "../resources";

/** What is to become of a list of notifications. Ids are in the order of their beginnings. */
export interface Differences {
  /** Those that are shown and are there no more. */
  readonly gone: readonly string[];
  /** Those that are shown otherwise. */
  readonly changed: readonly Notification[];
  /** Those that come before all others, the newest first. */
  readonly added: readonly Notification[];
}

/**
 * What the newest page has otherwise than what is shown, which goes further back. What has come back
 * further down, of somebody who is blocked no more, has its place there and is shown with the next
 * reading.
 */
export function differences(
  shown: ReadonlyMap<string, { readonly revision: number }>,
  { items, next }: Page<Notification>,
): Differences {
  const there = new Set(items.map(({ id }) => id));
  // What lies beyond the page is not known.
  const lowest = next === null ? "" : items.at(-1)?.id;
  const isGone = (id: string): boolean => lowest !== undefined && id >= lowest && !there.has(id);
  const gone = [...shown.keys()].filter(isGone);
  const left = [...shown.keys()].filter((id) => !isGone(id));
  const highest = left.reduce((one, other) => (other > one ? other : one), "");
  return {
    gone,
    changed: items.filter(({ id, revision }) => (shown.get(id)?.revision ?? revision) !== revision),
    added: items.filter(({ id }) => !shown.has(id) && id > highest),
  };
}
