import { showAvatar } from "../avatar";
import { newId, View } from "../dom";
import { nameOf, profilePath } from "../places";
import { showText } from "../posts/text";
import type { ChatMessage } from "../resources";
import { excerptOf, MEASURES, type Measure, mentions } from "./rules";

/** What somebody can do about a message. */
export interface RowActs {
  /** Who reads it: the name of an account; `null`: a visitor. */
  readonly me: string | null;
  /** Whose stream it is, as far as is known. */
  readonly owner: string | null;
  readonly isModerator: boolean;
  readonly maySay: boolean;
  /** The message that another one answers, if it is there. */
  find(id: string): ChatMessage | undefined;
  isDeleted(id: string): boolean;
  reply(message: ChatMessage): void;
  remove(message: ChatMessage): void;
  keepFromTalking(message: ChatMessage, measure: Measure): void;
}

const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

/** A message as it stands in a chat, with a button for what can be done about it. */
export function messageRow(message: ChatMessage, acts: RowActs): HTMLElement {
  const view = new View("chat-message-template");
  const { author } = message;
  showAvatar(view.part("avatar", HTMLElement), author);
  const link = view.part("author", HTMLAnchorElement);
  link.href = profilePath(author.name);
  link.textContent = nameOf(author);
  link.title = `@${author.name}`;
  const badge = view.part("badge", HTMLElement);
  badge.textContent = author.name === acts.owner ? "Host" : "Moderator";
  badge.hidden = !author.is_moderator;
  showTime(view.part("time", HTMLTimeElement), message.created_at);
  const text = view.part("text", HTMLElement);
  showText(text, message.parts);
  // Whoever follows a link goes on watching.
  for (const outward of text.querySelectorAll("a")) outward.target = "_blank";
  if (message.reply_to !== null) showAnswered(view, message.reply_to, acts);
  view.root.classList.toggle("to-me", mentions(message.parts, acts.me));
  wireActions(view, message, acts);
  return view.root;
}

function showTime(place: HTMLTimeElement, at: string): void {
  place.dateTime = at;
  const time = Date.parse(at);
  place.textContent = Number.isNaN(time) ? "" : TIME.format(time);
}

function showAnswered(view: View, id: string, acts: RowActs): void {
  const place = view.part("answers", HTMLElement);
  place.hidden = false;
  const answered = acts.find(id);
  if (answered === undefined) {
    const isDeleted = acts.isDeleted(id);
    place.textContent = isDeleted ? "Answers a message that is deleted" : "Answers a message further up";
    return;
  }
  const name = document.createElement("bdi");
  name.textContent = nameOf(answered.author);
  const said = document.createElement("bdi");
  said.textContent = excerptOf(answered);
  place.replaceChildren("Answers ", name, ": ", said);
}

/** The actions are made when somebody wants them: most messages are only read. */
function wireActions(view: View, message: ChatMessage, acts: RowActs): void {
  const { author } = message;
  const isMine = author.name === acts.me;
  const mayDelete = isMine || acts.isModerator;
  const button = view.part("more", HTMLButtonElement);
  button.hidden = acts.me === null || !(mayDelete || acts.maySay);
  if (button.hidden) return;
  const panel = view.part("actions", HTMLElement);
  panel.id = newId("chat-actions");
  button.setAttribute("aria-controls", panel.id);
  button.setAttribute("aria-expanded", "false");
  button.setAttribute("aria-label", `What to do about this message of ${nameOf(author)}`);
  const set = (isOpen: boolean) => {
    panel.hidden = !isOpen;
    button.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) return;
    panel.replaceChildren(...actions());
    panel.scrollIntoView({ block: "nearest" });
  };
  const actions = () => {
    const all: HTMLElement[] = [];
    const add = (label: string, act: () => void) => {
      all.push(actButton(label, () => {
        set(false);
        button.focus({ preventScroll: true });
        act();
      }));
    };
    if (acts.maySay) add("Reply", () => acts.reply(message));
    if (mayDelete) add("Delete", () => acts.remove(message));
    if (acts.isModerator && !isMine && !author.is_moderator) {
      const label = document.createElement("span");
      label.className = "quiet";
      label.textContent = "Silence:";
      all.push(label);
      for (const measure of MEASURES) add(measure.label, () => acts.keepFromTalking(message, measure));
    }
    return all;
  };
  button.addEventListener("click", () => set(panel.hidden !== false));
  view.root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || panel.hidden !== false) return;
    event.stopPropagation();
    set(false);
    button.focus();
  });
}

function actButton(label: string, act: () => void): HTMLButtonElement {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "chat-act";
  button.textContent = label;
  button.addEventListener("click", act);
  return button;
}
