/**
 * A key for everything that is to be done once, however often it is sent: the same for the same
 * wish, until it was granted.
 */
export class OnceKey {
  private wish = "";
  private key = "";

  /** The key to send `wish` under. */
  of(wish: unknown): string {
    const text = JSON.stringify(wish);
    if (text !== this.wish) {
      this.wish = text;
      this.key = randomKey();
    }
    return this.key;
  }

  /** The wish was granted; the same wish again is another one. */
  granted(): void {
    this.wish = "";
  }
}

/** `crypto.randomUUID` is for pages that came by https. */
function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
