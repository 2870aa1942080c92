import { View } from "./dom";
import { Form } from "./form";

export interface Question {
  readonly title: string;
  /** What comes of it. */
  readonly text: string;
  /** The button that does it. */
  readonly button: string;
  /** Whether it cannot be undone. */
  readonly isDanger?: boolean;
  /** What has to be said to it. */
  readonly field?: Field;
  /**
   * Does it, with what was said. The question stays if that fails, and says why; else it goes, and
   * what `run` resolves with is called.
   */
  run(said: string): Promise<(() => void) | void>;
}

interface Field {
  /** As the API names it. */
  readonly name: string;
  readonly label: string;
  readonly hint?: string;
  /** Characters at most. */
  readonly limit: number;
  /** One line that has to be this. */
  readonly exactly?: string;
}

/** Asks before something is done. The focus goes back to where it was. */
export function ask(question: Question): void {
  const view = new View("ask-template");
  const dialog = view.root as HTMLDialogElement;
  view.text("title", question.title);
  view.text("text", question.text);
  const button = view.part("do", HTMLButtonElement);
  button.textContent = question.button;
  button.classList.add(question.isDanger === true ? "danger" : "primary");
  const control = question.field === undefined ? null : addField(view, question.field);
  dialog.addEventListener("close", () => dialog.remove());
  view.part("cancel", HTMLButtonElement).addEventListener("click", () => dialog.close());
  document.body.append(dialog);
  new Form(view.part("form", HTMLFormElement), {
    submit: async () => {
      const then = await question.run(control?.value.trim() ?? "");
      dialog.close();
      // Nothing outside had the focus while the question was open.
      then?.();
    },
  });
  dialog.showModal();
}

function addField(view: View, field: Field): HTMLInputElement | HTMLTextAreaElement {
  const { exactly } = field;
  const control = document.createElement(exactly === undefined ? "textarea" : "input");
  control.id = "ask-field";
  control.name = field.name;
  control.required = true;
  control.dir = "auto";
  control.dataset["limit"] = String(field.limit);
  control.setAttribute("aria-describedby", "ask-hint");
  if (control instanceof HTMLTextAreaElement) control.rows = 3;
  if (control instanceof HTMLInputElement && exactly !== undefined) {
    control.autocomplete = "off";
    control.autocapitalize = "none";
    control.spellcheck = false;
    control.pattern = exactly.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
    control.title = `Type ${exactly} to go on.`;
  }
  view.text("label", field.label);
  view.text("hint", field.hint ?? "");
  const place = view.part("field", HTMLElement);
  place.append(control);
  place.hidden = false;
  return control;
}
