import { showAvatar } from "../avatar";
import { api } from "../browser";
import { ask } from "../ask";
import { Disclosure } from "../disclosure";
import { newId, View } from "../dom";
import { goToLogin, nameOf, profilePath } from "../places";
import { explain, LoginNeeded } from "../problem";
import { showText } from "../posts/text";
import { timeElement } from "../time";
import { studio } from "./api";
import type { ChatMessage } from "./resources";
import { renewal } from "./rules";

/** How many of the last messages are shown. */
const SHOWN = 50;
const LOOK_EVERY_MS = 3_000;

const TIMEOUTS: readonly (readonly [string, number])[] = [
  ["Time out for a minute", 60],
  ["Time out for 10 minutes", 600],
  ["Time out for an hour", 3_600],
  ["Time out for a day", 86_400],
];

/** The last messages of a chat, the newest first, and what a moderator can do about each. */
export class ChatLog {
  private readonly view = new View("chat-log-template");
  private readonly items = this.view.part("items", HTMLElement);
  private readonly rows = new Map<string, HTMLElement>();
  private shown: readonly ChatMessage[] = [];
  private asking = false;

  /** @param onSanction called when somebody was kept from talking. */
  constructor(
    private readonly stream: string,
    private readonly onSanction: () => void,
  ) {}

  get root(): HTMLElement {
    return this.view.root;
  }

  start(): void {
    void this.look();
    window.setInterval(() => {
      // Whoever looks at another section, or another tab, needs nothing.
      if (!document.hidden && this.root.offsetParent !== null) void this.look();
    }, LOOK_EVERY_MS);
  }

  private async look(): Promise<void> {
    if (this.asking) return;
    this.asking = true;
    try {
      this.show((await studio.chatMessages(this.stream, SHOWN)).items);
      this.view.text("trouble", "");
    } catch (error) {
      if (error instanceof LoginNeeded) goToLogin();
      this.view.text("trouble", explain(error));
    } finally {
      this.asking = false;
    }
  }

  private show(now: readonly ChatMessage[]): void {
    const { gone, added } = renewal(this.shown, now);
    for (const id of gone) this.drop(id);
    for (const message of added) this.rows.set(message.id, this.row(message));
    this.shown = now;
    now.forEach((message, at) => {
      const row = this.rows.get(message.id);
      // Moving what is in its place would take the focus away.
      if (row !== undefined && this.items.children[at] !== row) {
        this.items.insertBefore(row, this.items.children[at] ?? null);
      }
    });
    this.items.hidden = now.length === 0;
    this.view.part("empty", HTMLElement).hidden = now.length > 0;
  }

  private drop(id: string): void {
    const row = this.rows.get(id);
    this.rows.delete(id);
    if (row === undefined) return;
    const near = row.nextElementSibling ?? row.previousElementSibling;
    const hadFocus = row.contains(document.activeElement);
    row.remove();
    if (hadFocus) (near?.querySelector<HTMLElement>("button") ?? this.root).focus();
  }

  private row(message: ChatMessage): HTMLElement {
    const view = new View("chat-message-template");
    const { author } = message;
    showAvatar(view.part("avatar", HTMLElement), author);
    const link = view.part("author", HTMLAnchorElement);
    link.href = profilePath(author.name);
    link.textContent = nameOf(author);
    view.part("moderator", HTMLElement).hidden = !author.is_moderator;
    view.part("when", HTMLElement).append(timeElement(message.created_at, true));
    showText(view.part("text", HTMLElement), message.parts);
    this.addMenu(view, message);
    return view.root;
  }

  private addMenu(view: View, message: ChatMessage): void {
    const { author } = message;
    const button = view.part("more", HTMLButtonElement);
    const panel = view.part("more-menu", HTMLElement);
    panel.id = newId("chat-menu");
    button.setAttribute("aria-controls", panel.id);
    button.setAttribute("aria-label", `Moderate the message of ${author.name}`);
    const menu = new Disclosure(button, panel);
    const add = (label: string, act: () => void) => {
      const made = document.createElement("button");
      made.type = "button";
      made.textContent = label;
      made.addEventListener("click", () => {
        menu.close();
        button.focus();
        act();
      });
      const item = document.createElement("li");
      item.append(made);
      view.part("more-items", HTMLElement).append(item);
    };
    add("Delete the message", () => void this.delete(message));
    // Those who look after a room do not keep each other out.
    if (author.is_moderator || author.name === api.session.known?.name) return;
    for (const [label, seconds] of TIMEOUTS) {
      add(label, () => void this.run(() => this.keepOut(author.name, seconds)));
    }
    add("Ban…", () => this.askToBan(author.name));
  }

  private async delete(message: ChatMessage): Promise<void> {
    await this.run(async () => {
      await studio.deleteChatMessage(this.stream, message.id);
      this.drop(message.id);
      this.shown = this.shown.filter(({ id }) => id !== message.id);
      return "The message is deleted.";
    });
  }

  private askToBan(name: string): void {
    ask({
      title: `Ban ${name}?`,
      text: "They say nothing in this chat until you lift it. They still read.",
      button: "Ban",
      isDanger: true,
      run: async () => {
        const said = await this.keepOut(name, null);
        return () => this.say(said, "");
      },
    });
  }

  private async keepOut(name: string, seconds: number | null): Promise<string> {
    await studio.sanctionInChat(this.stream, name, seconds);
    this.onSanction();
    return seconds === null ? `${name} is banned.` : `${name} says nothing for a while.`;
  }

  private async run(action: () => Promise<string>): Promise<void> {
    this.say("", "");
    try {
      this.say(await action(), "");
    } catch (error) {
      if (error instanceof LoginNeeded) goToLogin();
      this.say("", explain(error));
    }
  }

  private say(status: string, problem: string): void {
    this.view.text("status", status);
    this.view.text("problem", problem);
  }
}
