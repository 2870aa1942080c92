import { quiet, View } from "./dom";
import { explain, Problem } from "./problem";

/** Puts a copy of the template on the page. */
export function put(templateId: string, title: string): View {
  const view = new View(templateId);
  putElement(view.root, title);
  return view;
}

export function putElement(root: HTMLElement, title: string): void {
  document.getElementById("page")?.replaceChildren(root);
  document.title = `${title} · Nova`;
}

/** What is said where something should be read, until it is. */
export function loading(): void {
  const text = quiet("Loading…");
  text.setAttribute("role", "status");
  document.getElementById("page")?.replaceChildren(text);
}

/** Says why a page does not show what it is for, and tries again if that can help. */
export function showTrouble(error: unknown, missing: string, again: () => void): void {
  const isMissing = error === null || (error instanceof Problem && [400, 404].includes(error.status));
  const view = put("trouble-template", isMissing ? "Nothing here" : "That did not work");
  view.text("title", isMissing ? "Nothing here" : "That did not work");
  view.text("text", isMissing ? missing : explain(error));
  const button = view.part("again", HTMLButtonElement);
  button.hidden = isMissing;
  button.addEventListener("click", again);
}
