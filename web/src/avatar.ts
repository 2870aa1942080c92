import { nameOf } from "./places";
import type { Author } from "./resources";

/** Shows somebody's picture in `place`, or the first letter of their name. */
export function showAvatar(place: HTMLElement, user: Pick<Author, "name" | "display_name" | "avatar_url">): void {
  // The name stands beside it.
  place.setAttribute("aria-hidden", "true");
  const letter = ([...nameOf(user)][0] ?? "").toUpperCase();
  const url = user.avatar_url;
  if (url === null) {
    place.replaceChildren(letter);
    return;
  }
  const picture = document.createElement("img");
  picture.alt = "";
  picture.addEventListener("error", () => place.replaceChildren(letter));
  picture.src = url;
  place.replaceChildren(picture);
}
