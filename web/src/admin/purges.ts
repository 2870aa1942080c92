import { ask } from "../ask";
import { part, View } from "../dom";
import { Form } from "../form";
import { timeElement } from "../time";
import { admin } from "./api";
import { follow } from "./followed";
import type { PathPatternKind, Purge, PurgeKind } from "./resources";
import { purgeText } from "./rules";

/** Purges that are shown at most. */
const SHOWN = 20;

type Kind = PurgeKind | PathPatternKind;

interface Asked {
  readonly kind: Kind;
  readonly subject: string;
  readonly soft: boolean;
}

const HINTS: Readonly<Record<Kind, string>> = {
  url: "One path, such as /live/garden/index.m3u8.",
  prefix: "All paths that begin with it, such as /live/garden/.",
  pattern: "Paths that it matches from end to end: * is any text within a segment, ** any text.",
  tag: "All paths of the assets with this tag.",
  stream: "All of a stream, by its name.",
  video: "All of a video, by its id.",
  everything: "",
};

export function purgeSection(root: HTMLElement): void {
  const kind = part(root, "purge-kind", HTMLSelectElement);
  const subject = part(root, "purge-subject", HTMLInputElement);
  const soft = part(root, "purge-soft", HTMLInputElement);
  const chosen = () => kind.value as Kind;
  const showKind = () => {
    const isAll = chosen() === "everything";
    part(root, "purge-subject-field", HTMLElement).hidden = isAll;
    subject.required = !isAll;
    part(root, "purge-hint", HTMLElement).textContent = HINTS[chosen()];
  };
  kind.addEventListener("change", showKind);
  showKind();

  new Form(part(root, "purge-form", HTMLFormElement), {
    submit: async () => {
      const asked = { kind: chosen(), subject: subject.value.trim(), soft: soft.checked };
      if (asked.kind === "everything") {
        askForAll(root, asked);
        return;
      }
      show(root, await request(asked));
    },
    fieldOf: { validation: "subject" },
  });
}

function askForAll(root: HTMLElement, asked: Asked): void {
  ask({
    title: "Purge everything?",
    text: "All caches begin with nothing, and origins are asked for all that viewers want.",
    button: "Purge everything",
    isDanger: true,
    run: async () => {
      const purge = await request({ ...asked, subject: "" });
      return () => show(root, purge);
    },
  });
}

function request({ kind, subject, soft }: Asked): Promise<Purge> {
  const isPaths = kind === "prefix" || kind === "pattern";
  return isPaths ? admin.purgePaths(kind, subject, soft) : admin.purge(kind, subject, soft);
}

/** Shows a purge, and how it goes on until all nodes have obeyed. */
function show(root: HTMLElement, purge: Purge): void {
  const view = new View("purge-template");
  const list = part(root, "purges", HTMLElement);
  list.prepend(view.root);
  while (list.childElementCount > SHOWN) list.lastElementChild?.remove();
  part(root, "purges-panel", HTMLElement).hidden = false;
  const what = purge.subject === "" ? purge.kind : `${purge.kind} ${purge.subject}`;
  view.text("title", purge.soft ? `${what} (stale)` : what);
  const hasEnded = (state: Purge) => state.is_complete || !view.root.isConnected;
  void follow(purge, hasEnded, () => admin.purgeStatus(purge.id), (state) => tell(view, state));
}

function tell(view: View, purge: Purge): void {
  const state = view.part("state", HTMLElement);
  state.dataset["state"] = purge.is_complete ? "well" : "pending";
  const text = purgeText(purge);
  if (state.textContent !== text) state.textContent = text;
  const detail = view.part("detail", HTMLElement);
  detail.replaceChildren("asked for ", timeElement(purge.requested_at, true));
  if (purge.away > 0) detail.append(` · ${purge.away} away: they obey before they serve again`);
  const nodes = purge.awaited_nodes ?? [];
  if (nodes.length > 0) detail.append(` · awaited: ${nodes.join(", ")}`);
}
