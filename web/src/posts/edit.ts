import { api } from "../browser";
import { View } from "../dom";
import { Form } from "../form";
import { Problem } from "../problem";
import type { Post } from "../resources";
import { needsText } from "./rules";
import { showText } from "./text";
import { Writing } from "./writing";

const MEANWHILE = "It was edited meanwhile. Save once more to put your text instead of the new one.";

/** Where the text of a post is changed. */
export class EditForm {
  private readonly view = new View("edit-template");
  private readonly writing = new Writing(this.view, "Your post");

  constructor(
    private post: Post,
    private readonly done: { saved(post: Post): void; cancelled(): void },
  ) {
    // Something has to be there: a text, or what the post shows.
    this.writing.field.required = needsText(post);
    this.writing.text = post.text;
    this.view.part("cancel", HTMLButtonElement).addEventListener("click", () => done.cancelled());
    this.view.part("take", HTMLButtonElement).addEventListener("click", () => {
      this.writing.text = this.post.text;
      this.writing.field.focus();
    });
    new Form(this.root, { submit: (form) => this.save(form) });
  }

  get root(): HTMLFormElement {
    return this.view.root as HTMLFormElement;
  }

  focus(): void {
    this.writing.field.focus();
  }

  private async save(form: Form): Promise<void> {
    const { id, revision } = this.post;
    try {
      this.done.saved(await api.editPost(id, form.value("text"), revision));
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== "edited-meanwhile") throw error;
      this.post = await api.post(id);
      showText(this.view.part("newer", HTMLElement), this.post.parts);
      this.view.part("meanwhile", HTMLElement).hidden = false;
      throw new Problem(error.status, error.code, MEANWHILE, [], null);
    }
  }
}
