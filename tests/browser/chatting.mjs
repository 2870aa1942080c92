// What people do in the chat of a stream, on its page and in the studio.

export const connected = ({ page }) => page.locator('.chat[data-state="joined"]').waitFor();
export const message = ({ page }, text) => page.locator(".chat-message").filter({ hasText: text });
export const hint = ({ page }) => page.locator(".chat-hint");

export async function say(visitor, text) {
  const field = visitor.label("Your message");
  await field.fill(text);
  await field.press("Enter");
  await visitor.page.waitForFunction(() => document.querySelector(".chat-field").value === "");
}

/** Does something about a message, the oldest with the text, by the keyboard. */
export async function act(visitor, text, what) {
  const row = message(visitor, text).first();
  await row.getByRole("button", { name: /^What to do about/ }).focus();
  await visitor.page.keyboard.press("Enter");
  await row.getByRole("button", { name: what, exact: true }).press("Enter");
}
