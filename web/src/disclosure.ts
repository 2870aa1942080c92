/** A button that shows and hides a panel beside it. */
export class Disclosure {
  private readonly onPointer = ({ target }: Event) => {
    if (target instanceof Node && !this.has(target)) this.set(false);
  };

  constructor(
    private readonly button: HTMLButtonElement,
    private readonly panel: HTMLElement,
  ) {
    button.setAttribute("aria-expanded", "false");
    panel.hidden = true;
    button.addEventListener("click", () => this.set(panel.hidden !== false));
    for (const element of [button, panel]) {
      element.addEventListener("keydown", (event) => {
        if (event.key !== "Escape" || panel.hidden) return;
        event.stopPropagation();
        this.set(false);
        button.focus();
      });
      element.addEventListener("focusout", ({ relatedTarget }) => {
        // A click beside it tells no element; `pointerdown` sees to that.
        if (relatedTarget instanceof Node && !this.has(relatedTarget)) this.set(false);
      });
    }
  }

  close(): void {
    this.set(false);
  }

  private has(node: Node): boolean {
    return this.button.contains(node) || this.panel.contains(node);
  }

  private set(open: boolean): void {
    // Lists have many of these: only one that is open listens.
    if (open) document.addEventListener("pointerdown", this.onPointer);
    else document.removeEventListener("pointerdown", this.onPointer);
    this.panel.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
  }
}
