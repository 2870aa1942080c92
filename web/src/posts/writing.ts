import { lengthOf } from "../complaints";
import { newId, type View } from "../dom";
import { counterLabel, TEXT_LIMIT } from "./rules";

/** The field that a post is written in, with what counts its characters. */
export class Writing {
  readonly field: HTMLTextAreaElement;
  private readonly counter: HTMLElement;

  /** @param label what stands over it. */
  constructor(view: View, label: string) {
    this.field = view.part("text", HTMLTextAreaElement);
    this.counter = view.part("counter", HTMLElement);
    this.field.id = newId("text");
    this.counter.id = `${this.field.id}-counter`;
    this.field.setAttribute("aria-describedby", this.counter.id);
    this.field.dataset["limit"] = String(TEXT_LIMIT);
    const title = view.part("label", HTMLLabelElement);
    title.htmlFor = this.field.id;
    title.textContent = label;
    this.field.addEventListener("input", () => this.count());
    this.field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.field.form?.requestSubmit();
    });
    this.count();
  }

  set text(text: string) {
    this.field.value = text;
    this.count();
  }

  count(): void {
    const length = lengthOf(this.field.value);
    this.counter.textContent = counterLabel(length);
    this.counter.classList.toggle("wrong", length > TEXT_LIMIT);
  }
}
