import { part, View } from "../dom";
import type { Form } from "../form";
import type { ProfileLink } from "../resources";

/** So many links a profile has at most. */
const LINKS_AT_MOST = 10;

/** The links of a profile as rows of fields. */
export class LinkRows {
  private readonly list: HTMLUListElement;
  private readonly more: HTMLButtonElement;
  private made = 0;

  constructor(
    root: HTMLElement,
    private readonly form: Form,
  ) {
    this.list = part(root, "links", HTMLUListElement);
    this.more = part(root, "add-link", HTMLButtonElement);
    this.more.addEventListener("click", () => {
      const row = this.add({ label: "", url: "" });
      row.querySelector("input")?.focus();
    });
  }

  show(links: readonly ProfileLink[]): void {
    this.list.replaceChildren();
    this.number();
    for (const link of links) this.add(link);
  }

  values(): ProfileLink[] {
    return this.rows().map((row) => ({
      label: part(row, "label", HTMLInputElement).value,
      url: part(row, "url", HTMLInputElement).value,
    }));
  }

  private rows(): Element[] {
    return [...this.list.children];
  }

  private add(link: ProfileLink): HTMLElement {
    const view = new View("link-template");
    this.made += 1;
    for (const name of ["label", "url"] as const) {
      const input = view.part(name, HTMLInputElement);
      input.id = `link-${this.made}-${name}`;
      input.value = link[name];
      view.part(`${name}-label`, HTMLLabelElement).htmlFor = input.id;
    }
    view.part("remove", HTMLButtonElement).addEventListener("click", () => {
      const near = view.root.nextElementSibling ?? view.root.previousElementSibling;
      view.root.remove();
      this.number();
      const target = near?.querySelector<HTMLElement>("input");
      (target ?? this.more).focus();
    });
    this.list.append(view.root);
    this.number();
    this.form.adopt(view.root);
    return view.root;
  }

  /** Names every field as the API names what is wrong with it. */
  private number(): void {
    this.more.hidden = this.list.childElementCount >= LINKS_AT_MOST;
    this.rows().forEach((row, at) => {
      for (const name of ["label", "url"]) {
        part(row, name, HTMLInputElement).name = `links.${at}.${name}`;
      }
      const remove = part(row, "remove", HTMLButtonElement);
      remove.setAttribute("aria-label", `Remove link ${at + 1}`);
    });
  }
}
