// The way of somebody through the pages, from signing up to deleting the account.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A red square of one pixel. */
const PICTURE = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC",
  "base64",
);

/** Walks as `name`, who follows `other` on the way. */
export class Walk {
  constructor({ page, eyes, base, linkTo, name, other }) {
    Object.assign(this, { page, eyes, base, linkTo, name, other });
    this.email = `${name}@example.org`;
    this.password = "violet harbour";
  }

  async all() {
    await this.signUp();
    await this.logIn();
    await this.editProfile();
    await this.follow();
    await this.changeAddress();
    await this.chooseColours();
    await this.makeToken();
    await this.endSessions();
    await this.resetPassword();
    await this.bePrivate();
    await this.takeDataAndGo();
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

  async seeTitle(name) {
    await this.page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
  }

  async said(text) {
    await this.page.getByText(text).first().waitFor();
  }

  async section(name) {
    await this.page.getByRole("link", { name, exact: true }).click();
    await this.page.getByRole("heading", { level: 2, name, exact: true }).waitFor();
  }

  async signUp() {
    await this.open("/");
    await this.page.getByRole("link", { name: "Sign up" }).click();
    await this.seeTitle("Sign up");
    await this.eyes.look("signup");
    await this.label("Name").fill(this.name);
    await this.label("E-mail").fill(this.email);
    await this.label("Password").fill("short");
    await this.button("Sign up").click();
    await this.said("At least 8 characters.");
    assert.equal(await this.focused(), "password");
    await this.eyes.look("signup-wrong");
    await this.label("Password").fill(this.password);
    await this.page.keyboard.press("Enter");
    await this.seeTitle("Look into your mail");
    await this.eyes.look("signup-sent");

    await this.page.goto(await this.linkTo(this.email, "/verify"));
    await this.seeTitle("One step to go");
    assert.ok(!this.page.url().includes("token"), "the token is out of the address");
    await this.eyes.look("verify");
    await this.button("Confirm my address").click();
    await this.page.waitForURL((url) => url.pathname === "/login");
    await this.said("Your account is ready.");
  }

  async logIn() {
    await this.seeTitle("Log in");
    await this.eyes.look("login");
    await this.label("Name or e-mail").fill(this.name);
    await this.label("Password").fill("something else");
    await this.button("Log in").click();
    await this.said("The name or the password is not right.");
    await this.eyes.look("login-wrong");
    await this.label("Password").fill(this.password);
    await this.button("Log in").click();
    await this.page.waitForURL((url) => url.pathname === "/");
    await this.button(this.name).click();
    await this.eyes.look("menu");
    await this.page.getByRole("link", { name: "Settings" }).click();
    await this.seeTitle("Settings");
  }

  async editProfile() {
    await this.label("Shown name").fill("Ada of the Harbour");
    await this.label("About you").fill("Boats, mostly.\nSometimes birds.");
    await this.button("Add a link").click();
    await this.label("Label").fill("Home");
    await this.label("Address").fill("https://harbour.example.org/ada");
    await this.button("Save the profile").click();
    await this.said("Saved.");
    await this.choosePicture();
    await this.eyes.look("settings-profile");
    await this.page.getByRole("link", { name: "See your profile as it is" }).click();
    await this.seeTitle("Ada of the Harbour");
    await this.page.getByRole("link", { name: "Home", exact: true }).waitFor();
    await this.said("Nobody yet.");
    await this.eyes.look("own-profile");
  }

  async choosePicture() {
    await this.label("Picture").setInputFiles({
      name: "red.png",
      mimeType: "image/png",
      buffer: PICTURE,
    });
    await this.button("Use this picture").click();
    await this.said("This is your picture now.");
    const isShown = () => document.querySelector(".avatar.large img")?.naturalWidth > 0;
    await this.page.waitForFunction(isShown);
  }

  async follow() {
    await this.open(`/@${this.other}`);
    await this.button("Follow").click();
    await this.said(`You follow ${this.other} now.`);
    await this.page.getByRole("link", { name: "Ada of the Harbour" }).waitFor();
    await this.button("More").click();
    // What is below the menu is covered by it.
    await this.eyes.look("profile-menu", { but: ["target-size"] });
    await this.button("Report…").click();
    await this.button("Send the report").click();
    await this.said("Fill this in.");
    await this.label("Why").selectOption("spam");
    await this.label("What happened").fill("Sends the same again and again.");
    await this.eyes.look("report");
    await this.button("Send the report").click();
    await this.said("The moderators will look at your report");
    await this.more("Mute");
    await this.said(`You see nothing of ${this.other} from now on.`);
    await this.eyes.look("profile");
    await this.more("Unmute");
    await this.said(`You see ${this.other} again.`);
    await this.button("Unfollow").click();
    await this.said(`You do not follow ${this.other}.`);
  }

  async more(what) {
    await this.button("More").click();
    await this.button(what).click();
  }

  async changeAddress() {
    await this.open("/settings#account");
    await this.page.getByRole("heading", { level: 2, name: "Account" }).waitFor();
    this.email = `${this.name}-new@example.org`;
    const form = this.page.locator("form", { hasText: "Change the e-mail address" });
    await form.getByLabel("New address").fill(this.email);
    await form.getByLabel("Your password", { exact: true }).fill("not this one");
    await this.button("Change the address").click();
    await this.said("The password is not right.");
    await this.eyes.look("settings-account");
    await form.getByLabel("Your password", { exact: true }).fill(this.password);
    await this.button("Change the address").click();
    await form.getByRole("status").filter({ hasText: /\w/ }).waitFor();
    await this.page.goto(await this.linkTo(this.email, "/confirm-email"));
    await this.seeTitle("A new address");
    await this.eyes.look("confirm-email");
    await this.button("Use this address").click();
    await this.seeTitle("Your new address is set");
    await this.page.getByRole("link", { name: "Settings", exact: true }).click();
    await this.said(this.email);
  }

  /** Light from here on: the rules of contrast hold in both. */
  async chooseColours() {
    await this.section("Preferences");
    await this.label("Colours").selectOption("Light");
    await this.button("Save the preferences").click();
    await this.said("Saved.");
    await this.eyes.look("settings-preferences");
  }

  async makeToken() {
    await this.section("API tokens");
    await this.label("What for").fill("The lighthouse");
    await this.page.getByLabel("see your account").check();
    await this.button("Make the token").click();
    await this.said(/^nova_pat_/);
    await this.eyes.look("settings-tokens");
    await this.button("Revoke: The lighthouse").click();
    await this.said("The token The lighthouse is revoked.");
    await this.said("You have no tokens.");
  }

  /** Logs in elsewhere too, ends that session from here, then all of them. */
  async endSessions() {
    const elsewhere = await this.page.context().browser().newContext();
    const page = await elsewhere.newPage();
    await this.logInOn(page);
    await this.section("Sessions");
    await this.button(/^End: /).waitFor();
    await this.eyes.look("settings-sessions");
    await this.button(/^End: /).click();
    await this.said(/^The session of .* is ended\./);
    await page.goto(`${this.base}/settings`);
    await page.waitForURL(/\/login\?next=%2Fsettings/);
    await elsewhere.close();
    await this.button("Log out on all devices").click();
    await this.said("You are logged out on all devices.");
    await this.page.getByRole("link", { name: "Sign up" }).first().waitFor();
    await this.eyes.look("logged-out-everywhere");
  }

  async logInOn(page) {
    await page.goto(`${this.base}/login`);
    await page.getByLabel("Name or e-mail").fill(this.name);
    await page.getByLabel("Password", { exact: true }).fill(this.password);
    await page.getByRole("button", { name: "Log in", exact: true }).click();
    await page.waitForURL((url) => url.pathname === "/");
  }

  async resetPassword() {
    await this.open("/login");
    await this.page.getByRole("link", { name: "Forgot your password?" }).click();
    await this.seeTitle("Forgot your password?");
    await this.eyes.look("reset");
    await this.label("E-mail").fill(this.email);
    await this.button("Send the link").click();
    await this.seeTitle("Look into your mail");
    await this.page.goto(await this.linkTo(this.email, "/reset"));
    await this.seeTitle("A new password");
    await this.eyes.look("new-password");
    this.password = "amber lighthouse";
    await this.label("New password").fill(this.password);
    await this.button("Set the password").click();
    await this.said("Your new password is set.");
    await this.logInOn(this.page);
  }

  async bePrivate() {
    await this.open("/settings#privacy");
    await this.page.getByLabel("Private account").check();
    await this.button("Save").click();
    await this.said("Your account is private.");
    await this.said("You block nobody.");
    await this.eyes.look("settings-privacy");
  }

  async takeDataAndGo() {
    await this.section("Your data");
    await this.eyes.look("settings-data");
    const folder = await mkdtemp(join(tmpdir(), "nova-export-"));
    const download = this.page.waitForEvent("download");
    await this.button("Export the account").click();
    const path = join(folder, "export.json");
    await (await download).saveAs(path);
    const exported = await readFile(path, "utf8");
    assert.ok(exported.includes(this.email) && JSON.parse(exported), "the export has the account");
    await rm(folder, { recursive: true });
    const form = this.page.locator("form", { hasText: "Delete the account" });
    await form.getByLabel("Your password", { exact: true }).fill(this.password);
    await this.button("Delete the account").click();
    await this.said("Tick this box first.");
    await this.label("I want my account to be deleted").check();
    await this.button("Delete the account").click();
    await this.seeTitle("Your account is deleted");
    await this.eyes.look("deleted");
    await this.open(`/@${this.name}`);
    await this.seeTitle("Nobody here");
    await this.eyes.look("nobody");
  }

  focused() {
    return this.page.evaluate(() => document.activeElement?.id ?? null);
  }
}
