import { lengthOf } from "../complaints";
import { newId, part } from "../dom";
import { OnceKey } from "../idempotency";
import { nameOf } from "../places";
import type { ChatMessage } from "../resources";
import { counterLabel, excerptOf, type Hindrance, hindranceOf, TEXT_LIMIT, waitLabel } from "./rules";

/** What is sent of what was written. */
export interface Written {
  readonly text: string;
  readonly reply_to: string | null;
  readonly key: string;
}

export interface ComposerOptions {
  /** Sends it; resolves once it is said. */
  send(written: Written): Promise<void>;
  /** Something keeps somebody from talking, or nothing any more. */
  hindered(hindrance: Hindrance | null): void;
}

const TICK_MS = 500;
/** Of the field; more are scrolled. */
const ROWS_AT_MOST = 5;

/** The field in which somebody writes in a chat, and what is to be known before they send. */
export class ChatComposer {
  private readonly form: HTMLFormElement;
  private readonly field: HTMLTextAreaElement;
  private readonly counter: HTMLElement;
  private readonly button: HTMLButtonElement;
  private readonly answered: HTMLElement;
  private readonly answeredText: HTMLElement;
  private readonly once = new OnceKey();
  private replyTo: ChatMessage | null = null;
  private isBusy = false;
  private isOpen = false;
  private hindrance: Hindrance | null = null;
  private ticking: number | undefined;
  /** What the field was as high as. */
  private fitted = "";

  constructor(
    root: HTMLElement,
    private readonly options: ComposerOptions,
  ) {
    this.form = part(root, "form", HTMLFormElement);
    this.field = part(root, "field", HTMLTextAreaElement);
    this.counter = part(root, "counter", HTMLElement);
    this.button = part(root, "send", HTMLButtonElement);
    this.answered = part(root, "answered", HTMLElement);
    this.answeredText = part(root, "answered-text", HTMLElement);
    this.field.id = newId("chat-field");
    part(root, "field-label", HTMLLabelElement).htmlFor = this.field.id;
    this.counter.id = `${this.field.id}-counter`;
    this.field.setAttribute("aria-describedby", this.counter.id);
    this.field.addEventListener("input", () => this.show());
    this.field.addEventListener("keydown", (event) => this.onKey(event));
    part(root, "forget-answer", HTMLButtonElement).addEventListener("click", () => {
      this.answer(null);
      this.field.focus();
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.send();
    });
    this.show();
  }

  /** Whether what is written reaches the server. */
  set open(isOpen: boolean) {
    this.isOpen = isOpen;
    this.show();
  }

  /** The message that is answered by what is written. */
  answer(message: ChatMessage | null): void {
    this.replyTo = message;
    this.answered.hidden = message === null;
    if (message === null) return;
    const name = document.createElement("bdi");
    name.textContent = nameOf(message.author);
    const said = document.createElement("bdi");
    said.textContent = excerptOf(message);
    this.answeredText.replaceChildren("Answers ", name, ": ", said);
    this.field.focus();
  }

  /** The message is not there any more. */
  forget(id: string): void {
    if (this.replyTo?.id === id) this.answer(null);
  }

  /** Something keeps them from talking for so long; `null`: nothing does. */
  hinder(hindrance: Hindrance | null): void {
    this.hindrance = hindrance;
    window.clearInterval(this.ticking);
    if (hindrance !== null && hindrance.until !== null) {
      this.ticking = window.setInterval(() => this.tick(), TICK_MS);
    }
    this.options.hindered(hindrance);
    this.show();
  }

  private tick(): void {
    const { hindrance } = this;
    if (hindrance?.until != null && hindrance.until <= Date.now()) this.hinder(null);
    else this.show();
  }

  private onKey(event: KeyboardEvent): void {
    // Of what is still being composed, Enter ends a word.
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.form.requestSubmit();
    } else if (event.key === "Escape" && this.replyTo !== null) {
      event.stopPropagation();
      this.answer(null);
    }
  }

  private get waits(): number | null {
    const until = this.hindrance?.until ?? null;
    return until !== null && until > Date.now() ? until : null;
  }

  private async send(): Promise<void> {
    const text = this.field.value.trim();
    const length = lengthOf(text);
    if (this.isBusy || !this.isOpen || this.waits !== null || length < 1 || length > TEXT_LIMIT) return;
    const wish = { text, reply_to: this.replyTo?.id ?? null };
    const written = this.field.value;
    this.isBusy = true;
    this.show();
    try {
      await this.options.send({ ...wish, key: this.once.of(wish) });
      this.once.granted();
      // What was written on meanwhile stays.
      if (this.field.value === written) this.field.value = "";
      this.answer(null);
      if (this.hindrance !== null && this.waits === null) this.hinder(null);
    } catch (error) {
      this.hinder(hindranceOf(error, Date.now()));
    } finally {
      this.isBusy = false;
      this.show();
    }
  }

  private show(): void {
    const { field, button, counter } = this;
    const length = lengthOf(field.value.trim());
    counter.textContent = counterLabel(length);
    counter.classList.toggle("wrong", length > TEXT_LIMIT);
    const { waits } = this;
    button.textContent = waits === null ? "Send" : waitLabel(waits, Date.now());
    const isReady = this.isOpen && waits === null && length <= TEXT_LIMIT;
    button.setAttribute("aria-disabled", String(!isReady));
    this.form.setAttribute("aria-busy", String(this.isBusy));
    this.fit();
  }

  /** As many rows as what is written takes, within bounds. */
  private fit(): void {
    const { field } = this;
    if (this.fitted === field.value) return;
    this.fitted = field.value;
    field.rows = 1;
    while (field.rows < ROWS_AT_MOST && field.scrollHeight > field.clientHeight + 1) field.rows += 1;
  }
}
