// Somebody in front of the pages, and what everybody does there.
import { DEVICE } from "./eyes.mjs";

export class Visitor {
  constructor({ page, base, name, password }) {
    Object.assign(this, { page, base, name, password });
  }

  async open(path) {
    await this.page.goto(this.base + path);
  }

  button(name) {
    return this.page.getByRole("button", { name, exact: true });
  }

  label(name) {
    return this.page.getByLabel(name, { exact: true });
  }

  /** The form that has this text. */
  form(text) {
    return this.page.locator("form", { hasText: text });
  }

  async seeTitle(name) {
    await this.page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
  }

  async said(text) {
    await this.page.getByText(text).first().waitFor();
  }

  /** A section of the settings, by the link to it. */
  async section(name) {
    await this.page.getByRole("link", { name, exact: true }).click();
    await this.page.getByRole("heading", { level: 2, name, exact: true }).waitFor();
  }

  /** Something to do with whose profile it is. */
  async more(what) {
    await this.button("More").click();
    await this.button(what).click();
  }

  async logIn() {
    await this.open("/login");
    await this.fillInLogin(this.name, this.password);
    await this.page.waitForURL((url) => url.pathname === "/");
  }

  async fillInLogin(login, password) {
    await this.label("Name or e-mail").fill(login);
    await this.label("Password").fill(password);
    await this.button("Log in").click();
  }

  /** The same kind of browser on another device, for somebody with a name and a password. */
  async elsewhere({ name, password }) {
    const viewport = this.page.viewportSize();
    const context = await this.page.context().browser().newContext({ ...DEVICE, viewport });
    return new Visitor({ page: await context.newPage(), base: this.base, name, password });
  }

  async leave() {
    await this.page.context().close();
  }

  focused() {
    return this.page.evaluate(() => document.activeElement?.id ?? null);
  }
}
