import { complaint } from "./complaints";
import { LoginNeeded, Problem, explain } from "./problem";
import { goToLogin } from "./places";

type Control = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

export interface FormOptions {
  /** Sends what is filled in; resolves with what to tell, if the page stays. */
  submit(form: Form): Promise<string | void>;
  /** The fields that problems without a field are about, by the problem's code. */
  readonly fieldOf?: Readonly<Record<string, string>>;
}

/**
 * A form that sends nothing by itself, and says what is wrong at the field that it is about.
 * Its controls are named as the API names them.
 */
export class Form {
  /** Read out at once. */
  private readonly alert = paragraph("form-alert", "alert");
  /** Read out when there is time. */
  private readonly status = paragraph("form-status", "status");
  private busy = false;
  private isDue = false;

  constructor(
    readonly element: HTMLFormElement,
    private readonly options: FormOptions,
  ) {
    element.noValidate = true;
    element.append(this.alert, this.status);
    this.adopt(element);
    element.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.busy) void this.send();
    });
    element.addEventListener("input", ({ target }) => {
      if (isControl(target)) showError(target, null);
      this.say("");
    });
  }

  /** Sends it as it is filled in now: at once, or after what is being sent. */
  resend(): void {
    if (this.busy) this.isDue = true;
    else void this.send();
  }

  /** Makes the controls in `root` ready for errors; call it for those that come later. */
  adopt(root: ParentNode): void {
    for (const control of controlsIn(root)) {
      const error = paragraph("field-error", null);
      error.id = `${control.id}-error`;
      const before = control.getAttribute("aria-describedby");
      control.setAttribute("aria-describedby", before === null ? error.id : `${before} ${error.id}`);
      const place = control.closest(".check") ?? control;
      place.after(error);
      if (control.type === "password" && control instanceof HTMLInputElement) addReveal(control);
    }
  }

  /** What is filled in for `name`. */
  value(name: string): string {
    return this.control(name)?.value ?? "";
  }

  control(name: string): Control | undefined {
    return controlsIn(this.element).find((control) => control.name === name);
  }

  /** Empties the form; what it said stays to be read. */
  clear(): void {
    this.element.reset();
    for (const control of controlsIn(this.element)) showError(control, null);
  }

  /** Says that something went well. */
  say(text: string): void {
    this.alert.textContent = "";
    this.status.textContent = text;
  }

  /** Says that something went wrong. */
  fail(text: string): void {
    this.status.textContent = "";
    this.alert.textContent = text;
  }

  private async send(): Promise<void> {
    this.say("");
    const controls = controlsIn(this.element);
    for (const control of controls) showError(control, complaint(control as HTMLInputElement));
    if (this.focusFirstError()) return;
    this.setBusy(true);
    try {
      this.say((await this.options.submit(this)) ?? "");
    } catch (error) {
      if (error instanceof LoginNeeded) goToLogin();
      this.showProblem(error);
    } finally {
      this.setBusy(false);
    }
    if (!this.isDue) return;
    this.isDue = false;
    await this.send();
  }

  private showProblem(error: unknown): void {
    const unplaced = error instanceof Problem ? this.place(error) : [];
    if (unplaced === null) {
      this.focusFirstError();
      return;
    }
    this.fail(unplaced.length > 0 ? unplaced.join(" ") : explain(error));
    this.focusFirstError();
  }

  /** Shows what `problem` says about fields; gives what has no field here, `null` if all has. */
  private place(problem: Problem): string[] | null {
    const { fieldOf = {} } = this.options;
    const named = Object.hasOwn(fieldOf, problem.code) ? fieldOf[problem.code] : undefined;
    const fields =
      named === undefined || problem.fields.length > 0
        ? problem.fields
        : [{ field: named, message: explain(problem) }];
    if (fields.length === 0) return [];
    const unplaced = fields.filter(({ field, message }) => {
      const control = this.control(field) ?? this.control(field.split(".").pop() ?? "");
      if (control !== undefined) showError(control, message);
      return control === undefined;
    });
    return unplaced.length === 0 ? null : unplaced.map(({ message }) => message);
  }

  private focusFirstError(): boolean {
    const wrong = controlsIn(this.element).find((control) => control.getAttribute("aria-invalid") === "true");
    wrong?.focus();
    return wrong !== undefined;
  }

  private setBusy(busy: boolean): void {
    this.busy = busy;
    this.element.setAttribute("aria-busy", String(busy));
  }
}

function isControl(target: unknown): target is Control {
  return (
    (target instanceof HTMLInputElement && target.type !== "submit") ||
    target instanceof HTMLTextAreaElement ||
    target instanceof HTMLSelectElement
  );
}

/** Those that have a name: the others are not for the API. */
function controlsIn(root: ParentNode): Control[] {
  const found = [...root.querySelectorAll("input, textarea, select")];
  return found.filter(isControl).filter((control) => control.name !== "");
}

function showError(control: Control, message: string | null): void {
  const error = document.getElementById(`${control.id}-error`);
  if (error !== null) error.textContent = message ?? "";
  if (message === null) control.removeAttribute("aria-invalid");
  else control.setAttribute("aria-invalid", "true");
}

function paragraph(className: string, role: string | null): HTMLParagraphElement {
  const made = document.createElement("p");
  made.className = className;
  if (role !== null) made.setAttribute("role", role);
  return made;
}

/** A button that shows what is typed: better than to type it twice. */
function addReveal(password: HTMLInputElement): void {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "reveal";
  button.setAttribute("aria-pressed", "false");
  button.setAttribute("aria-controls", password.id);
  button.setAttribute("aria-label", "Show the password");
  button.textContent = "Show";
  button.addEventListener("click", () => {
    const shown = password.type === "text";
    password.type = shown ? "password" : "text";
    button.setAttribute("aria-pressed", String(!shown));
    button.textContent = shown ? "Show" : "Hide";
  });
  const box = document.createElement("div");
  box.className = "password";
  password.replaceWith(box);
  box.append(password, button);
}
