import type { Part } from "../resources";
import { targetOf } from "./rules";

/** A text in pieces, as text and links: nothing of it is read as markup. */
export function showText(place: HTMLElement, parts: readonly Part[]): void {
  place.replaceChildren(...parts.map(node));
}

function node(part: Part): Node {
  const target = targetOf(part);
  if (target === null) return document.createTextNode(part.text);
  const link = document.createElement("a");
  link.href = target;
  if (part.link !== null) {
    link.rel = "nofollow noopener ugc";
    // Addresses run so, whatever is around them.
    link.dir = "ltr";
  }
  link.textContent = part.text;
  return link;
}
