/** Tells the server of something that somebody turns on and off, faster than it answers. */
export class LastWish {
  /** `null`: the server knows. */
  private wished: boolean | null = null;

  get isBeingTold(): boolean {
    return this.wished !== null;
  }

  /**
   * Sends a wish, and what is wished for until that is answered. While that goes on, it takes the
   * wish along and nothing is sent here. `failed` is told what the server holds then.
   */
  async tell(
    wish: boolean,
    send: (wish: boolean) => Promise<unknown>,
    failed: (is: boolean, error: unknown) => void,
  ): Promise<void> {
    const { isBeingTold } = this;
    this.wished = wish;
    if (isBeingTold) return;
    let is = !wish;
    try {
      while (this.wished !== is) {
        const told: boolean = this.wished;
        await send(told);
        is = told;
      }
    } catch (error) {
      failed(is, error);
    } finally {
      this.wished = null;
    }
  }
}
