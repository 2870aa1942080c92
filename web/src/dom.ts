/** The element marked `data-part="name"` in `root`, which has to be of the given kind. */
export function part<T extends Element>(
  root: ParentNode,
  name: string,
  kind: new () => T,
): T {
  const found = root.querySelector(`[data-part="${name}"]`);
  if (!(found instanceof kind)) {
    throw new Error(`no ${kind.name} is marked data-part="${name}"`);
  }
  return found;
}

/** A copy of a template of the page, and its `data-part` elements by name. */
export class View {
  readonly root: HTMLElement;

  constructor(templateId: string) {
    const template = document.getElementById(templateId);
    if (!(template instanceof HTMLTemplateElement)) {
      throw new Error(`the page has no template "${templateId}"`);
    }
    const root = template.content.firstElementChild?.cloneNode(true);
    if (!(root instanceof HTMLElement)) {
      throw new Error(`template "${templateId}" is empty`);
    }
    this.root = root;
  }

  /** The element marked `data-part="name"`, which has to be of the given kind. */
  part<T extends Element>(name: string, kind: new () => T): T {
    return part(this.root, name, kind);
  }

  /** Writes `text` into the element marked `data-part="name"`. */
  text(name: string, text: string): void {
    this.part(name, HTMLElement).textContent = text;
  }
}

let numbered = 0;

/** An id that no other element of the page has. */
export function newId(name: string): string {
  numbered += 1;
  return `${name}-${numbered}`;
}

/** A paragraph of quiet text. */
export function quiet(...content: (string | Node)[]): HTMLParagraphElement {
  const made = document.createElement("p");
  made.className = "quiet";
  made.append(...content);
  return made;
}

/** A link inside of text. */
export function plainLink(href: string, text: string): HTMLAnchorElement {
  const made = document.createElement("a");
  made.className = "plain";
  made.href = href;
  made.textContent = text;
  return made;
}
