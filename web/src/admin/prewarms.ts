import { part, View } from "../dom";
import { Form } from "../form";
import { explain } from "../problem";
import { sizeLabel } from "../size";
import { timeElement } from "../time";
import { admin } from "./api";
import { follow } from "./followed";
import type { Prewarm, PrewarmState } from "./resources";
import { progressLabel, wishOf } from "./rules";

/** Prewarms that are shown at most. */
const SHOWN = 20;

const STATES: Readonly<Record<PrewarmState, string>> = {
  waiting: "Waiting",
  running: "Running",
  done: "Done",
  failed: "Failed",
  cancelled: "Cancelled",
};
const ENDED: readonly PrewarmState[] = ["done", "failed", "cancelled"];

export function prewarmSection(root: HTMLElement): void {
  const kind = part(root, "prewarm-kind", HTMLSelectElement);
  const showKind = () => {
    for (const name of ["urls", "video", "playlist"]) {
      const isChosen = kind.value === name;
      part(root, `prewarm-${name}-field`, HTMLElement).hidden = !isChosen;
      const control = part(root, `prewarm-${name}`, HTMLElement) as HTMLInputElement | HTMLTextAreaElement;
      control.required = isChosen;
      control.disabled = !isChosen;
    }
    part(root, "prewarm-depth-field", HTMLElement).hidden = kind.value === "urls";
  };
  kind.addEventListener("change", showKind);
  showKind();

  new Form(part(root, "prewarm-form", HTMLFormElement), {
    submit: async (form) => {
      const wish = wishOf(kind.value, form.value(kind.value), form.value("depth"));
      show(root, await admin.prewarm(wish));
    },
  });
}

function show(root: HTMLElement, prewarm: Prewarm): void {
  const view = new View("prewarm-template");
  const list = part(root, "prewarms", HTMLElement);
  list.prepend(view.root);
  while (list.childElementCount > SHOWN) list.lastElementChild?.remove();
  part(root, "prewarms-panel", HTMLElement).hidden = false;
  const what = prewarm.kind === "urls" ? `${prewarm.urls} URLs` : `${prewarm.kind} ${prewarm.subject}`;
  view.text("title", what);
  const bar = view.part("bar", HTMLProgressElement);
  bar.setAttribute("aria-label", `Progress of ${what}`);
  const cancel = view.part("cancel", HTMLButtonElement);
  cancel.setAttribute("aria-label", `Cancel: ${what}`);
  cancel.addEventListener("click", () => {
    admin.cancelPrewarm(prewarm.id).then(
      (state) => tell(view, state),
      (error: unknown) => view.text("problem", explain(error)),
    );
  });
  const hasEnded = ({ state }: Prewarm) => ENDED.includes(state) || !view.root.isConnected;
  void follow(prewarm, hasEnded, () => admin.prewarmStatus(prewarm.id), (state) => tell(view, state));
}

function tell(view: View, prewarm: Prewarm): void {
  const { state, total, done, failed, bytes } = prewarm;
  const isOver = ENDED.includes(state);
  const shown = view.part("state", HTMLElement);
  shown.dataset["state"] = state === "done" ? "well" : state === "failed" ? "unwell" : "pending";
  const text = `${STATES[state] ?? state}: ${progressLabel(done, total)}`;
  if (shown.textContent !== text) shown.textContent = text;
  const bar = view.part("bar", HTMLProgressElement);
  bar.max = Math.max(1, total);
  bar.value = done;
  view
    .part("detail", HTMLElement)
    .replaceChildren(
      `${sizeLabel(bytes)}${failed > 0 ? ` · ${failed} failed` : ""} · asked for `,
      timeElement(prewarm.requested_at, true),
    );
  const nodes = (prewarm.nodes ?? []).map((node) => {
    const item = document.createElement("li");
    const away = node.is_live ? "" : ", away";
    item.textContent = [
      `${node.node}: ${(STATES[node.state] ?? node.state).toLowerCase()}${away}, ${progressLabel(node.done, node.total)}`,
      ...node.errors,
    ].join(" · ");
    return item;
  });
  view.part("nodes", HTMLElement).replaceChildren(...nodes);
  view.part("cancel", HTMLButtonElement).hidden = isOver;
}
