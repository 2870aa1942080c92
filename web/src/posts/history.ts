import { api } from "../browser";
import { View } from "../dom";
import { PagedList } from "../paged";
import type { Post, Revision } from "../resources";
import { timeElement } from "../time";
import { showText } from "./text";

/** Shows every text that a post had before the one that it has. */
export function openHistory(post: Post): void {
  const view = new View("history-template");
  const dialog = view.root as HTMLDialogElement;
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  view.part("close", HTMLButtonElement).addEventListener("click", () => dialog.close());
  const list = new PagedList<Revision>({
    label: "Texts, newest first",
    empty: "Nothing is kept.",
    load: (after) => api.revisions(post.id, after),
    row,
  });
  view.part("place", HTMLElement).append(list.root);
  void list.reload();
  dialog.showModal();
}

function row({ number, parts, created_at }: Revision): HTMLElement {
  const view = new View("revision-template");
  view.text("number", number === 0 ? "First text" : `Edit ${number}`);
  view.part("time", HTMLElement).append(timeElement(created_at, true));
  showText(view.part("text", HTMLElement), parts);
  return view.root;
}
