import { part } from "./dom";

/** So long it is said that something is copied. */
const COPIED_MS = 2_000;

/**
 * The place where a secret is shown once: on the page and nowhere else, and no longer than the page
 * is there.
 */
export class SecretBox {
  private readonly secret: HTMLElement;
  private readonly copy: HTMLButtonElement;

  constructor(private readonly box: HTMLElement) {
    this.secret = part(box, "secret", HTMLElement);
    this.copy = part(box, "copy-secret", HTMLButtonElement);
    wireCopy(this.copy, () => this.secret.textContent ?? "");
    // The way back would show the page as it was left.
    window.addEventListener("pagehide", () => this.hide());
  }

  show(secret: string): void {
    this.secret.textContent = secret;
    this.copy.textContent = "Copy";
    this.box.hidden = false;
    this.box.focus();
  }

  hide(): void {
    this.secret.textContent = "";
    this.box.hidden = true;
  }
}

/** Has `button` copy what `text` gives. */
export function wireCopy(button: HTMLButtonElement, text: () => string): void {
  // Only secure contexts have a clipboard: https, or localhost.
  button.hidden = navigator.clipboard === undefined;
  button.addEventListener("click", () => {
    navigator.clipboard.writeText(text()).then(
      () => {
        button.textContent = "Copied";
        window.setTimeout(() => (button.textContent = "Copy"), COPIED_MS);
      },
      (error: unknown) => console.info("copy:", error),
    );
  });
}
