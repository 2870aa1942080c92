import { type View, part } from "../dom";
import { Form, type FormOptions } from "../form";
import { put } from "../page";

/** Puts a copy of the template on the page, with its form at work. */
export function putForm(templateId: string, title: string, options: FormOptions): View {
  const view = put(templateId, title);
  new Form(part(view.root, "form", HTMLFormElement), options);
  return view;
}

/** What came of it, instead of the form; and where to go from here. */
export function tell(title: string, text: string, onward: { href: string; label: string }): void {
  const view = put("told-template", title);
  view.text("title", title);
  view.text("text", text);
  const link = view.part("onward", HTMLAnchorElement);
  link.href = onward.href;
  link.textContent = onward.label;
  // What was focused is gone; the title is read instead.
  view.part("title", HTMLElement).focus();
}
