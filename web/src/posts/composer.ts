import { api } from "../browser";
import { newId, View } from "../dom";
import { Form } from "../form";
import { OnceKey } from "../idempotency";
import { LoginNeeded } from "../problem";
import type { Post, PostWish, Visibility } from "../resources";
import { Attached } from "./attached";
import { keepDraft, takeDraft } from "./draft";
import { Writing } from "./writing";

export interface ComposerOptions {
  /** What is written, for the label over it. */
  readonly label: string;
  /** What the button says. */
  readonly button: string;
  /** What it answers. */
  readonly replyTo?: Post;
  /** What it quotes; then it needs no text of its own. */
  readonly quote?: Post;
  /** What is said when it is done. */
  readonly said: string;
  posted(post: Post): void;
  /** With it there is a button that gives up. */
  cancelled?(): void;
}

/** Where a post, a comment or a quote is written. */
export class Composer {
  private readonly view = new View("composer-template");
  private readonly writing: Writing;
  private readonly attached: Attached;
  private readonly once = new OnceKey();
  /** Whose words they are, also when the login has ended meanwhile. */
  private readonly me = api.session.known?.name ?? "";
  private readonly place: string;

  constructor(private readonly options: ComposerOptions) {
    const { label, button, replyTo, quote } = options;
    this.writing = new Writing(this.view, label);
    this.attached = new Attached(this.view, () => this.requireText());
    this.view.text("submit", button);
    this.prepareVisibility();
    this.prepareCancel();
    this.attached.form = new Form(this.root, {
      submit: (form) => this.send(form),
      fieldOf: { "body-too-large": "text" },
    });
    this.writing.field.addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      // What has words too is pasted as words.
      if (files.length === 0 || event.clipboardData?.types.includes("text/plain")) return;
      event.preventDefault();
      void this.attached.add(files);
    });
    this.requireText();
    this.place = replyTo?.id ?? (quote === undefined ? "new" : `quote-${quote.id}`);
    this.writing.text = takeDraft(this.me, this.place);
  }

  get root(): HTMLFormElement {
    return this.view.root as HTMLFormElement;
  }

  focus(): void {
    this.writing.field.focus();
  }

  /** Something has to be there: a text, or what the post shows. */
  private requireText(): void {
    this.writing.field.required = this.options.quote === undefined && !this.attached.isThere;
  }

  private prepareVisibility(): void {
    const select = this.view.part("visibility", HTMLSelectElement);
    select.id = newId("visibility");
    this.view.part("visibility-label", HTMLLabelElement).htmlFor = select.id;
    // Whoever sees a post sees what is said about it.
    this.view.part("visibility-field", HTMLElement).hidden = this.options.replyTo !== undefined;
    select.value = this.options.replyTo?.visibility ?? "public";
  }

  private prepareCancel(): void {
    const button = this.view.part("cancel", HTMLButtonElement);
    const { cancelled } = this.options;
    button.hidden = cancelled === undefined;
    button.addEventListener("click", () => cancelled?.());
  }

  private async send(form: Form): Promise<string> {
    const { replyTo, quote, posted, said } = this.options;
    const text = form.value("text");
    let post;
    try {
      const wish: PostWish = {
        text,
        visibility: form.value("visibility") as Visibility,
        ...(replyTo && { reply_to: replyTo.id }),
        ...(quote && { quote: quote.id }),
        ...(await this.attached.send((status) => form.say(status))),
      };
      post = await api.createPost(wish, this.once.of(wish));
    } catch (error) {
      if (error instanceof LoginNeeded) keepDraft(this.me, this.place, text);
      throw this.attached.refused(error);
    }
    this.once.granted();
    // What was typed since is of the next one.
    if (form.value("text") === text) this.writing.text = "";
    this.attached.clear();
    posted(post);
    return said;
  }
}
