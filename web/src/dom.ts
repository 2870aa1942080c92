/** A copy of a template of index.html, and its `data-part` elements by name. */
export class View {
  readonly root: HTMLElement;

  constructor(templateId: string) {
    const template = document.getElementById(templateId);
    if (!(template instanceof HTMLTemplateElement)) {
      throw new Error(`index.html has no template "${templateId}"`);
    }
    const root = template.content.firstElementChild?.cloneNode(true);
    if (!(root instanceof HTMLElement)) {
      throw new Error(`template "${templateId}" is empty`);
    }
    this.root = root;
  }

  /** The element marked `data-part="name"`, which has to be of the given kind. */
  part<T extends Element>(name: string, kind: new () => T): T {
    const found = this.root.querySelector(`[data-part="${name}"]`);
    if (!(found instanceof kind)) {
      throw new Error(`no ${kind.name} is marked data-part="${name}"`);
    }
    return found;
  }
}
