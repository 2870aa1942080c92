import { showAvatar } from "./avatar";
import { View } from "./dom";
import type { PagedList } from "./paged";
import { nameOf, profilePath } from "./places";
import type { Author } from "./resources";

/** What can be done to somebody in a list. */
export interface PersonAction {
  readonly label: string;
  readonly primary?: boolean;
  /** Does it; resolves with what to tell. */
  run(user: Author): Promise<string>;
}

/** Somebody in a list. Each action takes them off it. */
export function personRow(
  user: Author,
  list: Pick<PagedList<unknown>, "act" | "remove">,
  actions: readonly PersonAction[],
): HTMLElement {
  const view = new View("person-template");
  showAvatar(view.part("avatar", HTMLElement), user);
  const link = view.part("link", HTMLAnchorElement);
  link.href = profilePath(user.name);
  link.textContent = nameOf(user);
  view.text("detail", `@${user.name}`);
  for (const action of actions) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = action.primary ? "button primary" : "button";
    button.textContent = action.label;
    button.setAttribute("aria-label", `${action.label}: ${user.name}`);
    button.addEventListener("click", () => {
      void list.act(button, async () => {
        const told = await action.run(user);
        list.remove(view.root);
        return told;
      });
    });
    view.part("actions", HTMLElement).append(button);
  }
  return view.root;
}
