// The way of somebody through the pages, from signing up to deleting the account.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Eyes } from "./eyes.mjs";
import { Visitor } from "./visitor.mjs";

/** A red square of one pixel. */
const PICTURE = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC",
  "base64",
);

/** What is typed as a password on the way, one after the other. */
const PASSWORDS = ["violet harbour", "amber lighthouse", "granite orchard"];

/** Walks as `name`, who meets `friend` on the way: somebody who is there, and has a password. */
export class Walk extends Visitor {
  constructor({ page, eyes, base, linkTo, name, friend }) {
    super({ page, base, name, password: PASSWORDS[0] });
    Object.assign(this, { eyes, linkTo, other: friend.name, who: friend });
    this.email = `${name}@example.org`;
  }

  async all() {
    await this.meetFriend();
    await this.signUp();
    await this.begin();
    await this.editProfile();
    await this.follow();
    await this.block();
    await this.changeAddress();
    await this.chooseColours();
    await this.makeToken();
    await this.endSessions();
    await this.resetPassword();
    await this.changePassword();
    await this.bePrivate();
    await this.logOutAndIn();
    await this.takeDataAndGo();
    await this.friend.leave();
  }

  async meetFriend() {
    this.friend = await this.elsewhere(this.who);
    this.friend.eyes = new Eyes(this.friend.page, this.eyes.kind, this.eyes.folder);
    await this.friend.logIn();
  }

  async signUp() {
    await this.open("/");
    await this.eyes.look("home");
    await this.page.getByRole("link", { name: "Sign up" }).click();
    await this.seeTitle("Sign up");
    await this.eyes.look("signup");
    await this.fillInBadly();
    await this.label("Name").fill(this.name);
    await this.page.keyboard.press("Enter");
    await this.seeTitle("Look into your mail");
    await this.eyes.look("signup-sent");

    const link = await this.linkTo(this.email, "/verify");
    await this.page.goto(link);
    await this.seeTitle("One step to go");
    assert.ok(!this.page.url().includes("token"), "the token is out of the address");
    await this.eyes.look("verify");
    await this.button("Confirm my address").click();
    await this.page.waitForURL((url) => url.pathname === "/login");
    await this.said("Your account is ready.");
    await this.eyes.look("login-ready");

    await this.page.goto(link);
    await this.button("Confirm my address").click();
    await this.seeTitle("This link is not valid any more");
    await this.eyes.look("verify-again");
  }

  /** Everything wrong that can be, until only the name is. */
  async fillInBadly() {
    await this.button("Sign up").click();
    await this.said("Fill this in.");
    assert.equal(await this.focused(), "name");
    await this.label("Name").fill("Ada of the Harbour");
    await this.label("E-mail").fill("ada");
    await this.label("Password").fill("short");
    await this.button("Sign up").click();
    await this.said("An address has the form name@example.org.");
    await this.said("At least 8 characters.");
    await this.said("Letters from A to Z, digits,");
    assert.equal(await this.focused(), "name");
    await this.eyes.look("signup-wrong");
    await this.label("Name").fill(this.other);
    await this.label("E-mail").fill(this.email);
    await this.label("Password").fill(this.password);
    await this.button("Sign up").click();
    await this.said("The user name is taken.");
    assert.equal(await this.focused(), "name");
    await this.eyes.look("signup-taken");
  }

  async begin() {
    await this.open("/login");
    await this.seeTitle("Log in");
    await this.eyes.look("login");
    // Whether somebody is there is told nobody.
    for (const login of [`not-${this.name}`, this.name]) {
      await this.fillInLogin(login, "something else");
      await this.said("The name or the password is not right.");
    }
    await this.eyes.look("login-wrong");
    await this.fillInLogin(this.name, this.password);
    await this.page.waitForURL((url) => url.pathname === "/");
    await this.button(this.name).click();
    // What is below the menu is covered by it.
    await this.eyes.look("menu", { but: ["target-size"] });
    await this.page.getByRole("link", { name: "Settings" }).click();
    await this.seeTitle("Settings");
  }

  async editProfile() {
    await this.label("Shown name").fill("Ada of the Harbour");
    await this.label("About you").fill("Boats, mostly.\nSometimes birds.");
    await this.button("Add a link").click();
    await this.label("Label").fill("Home");
    await this.label("Address").fill("javascript:alert(1)");
    await this.button("Save the profile").click();
    await this.said("A link begins with https:// or http://.");
    await this.eyes.look("settings-profile-wrong");
    await this.label("Address").fill("https://harbour.example.org/ada");
    await this.button("Save the profile").click();
    await this.said("Saved.");
    await this.choosePicture();
    await this.eyes.look("settings-profile");
    await this.page.getByRole("link", { name: "See your profile as it is" }).click();
    await this.seeTitle("Ada of the Harbour");
    const links = this.page.getByRole("list", { name: "Links" });
    await links.getByRole("link", { name: "Home", exact: true }).waitFor();
    await this.said("You have not posted yet.");
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
    await this.open(`/@${this.other}#followers`);
    await this.button("Follow").click();
    await this.said(`You follow ${this.other} now.`);
    await this.page.getByRole("link", { name: "Ada of the Harbour" }).waitFor();
    await this.eyes.look("profile-followed");
    await this.button("More").click();
    await this.eyes.look("profile-menu", { but: ["target-size"] });
    await this.button("Report…").click();
    await this.button("Send the report").click();
    await this.said("Fill this in.");
    await this.label("Why").selectOption("spam");
    await this.label("What happened").fill("Sends the same again and again.");
    await this.eyes.look("report");
    await this.button("Send the report").click();
    await this.said("The moderators will look at your report");
    await this.button("Unfollow").click();
    await this.said(`You do not follow ${this.other}.`);
  }

  /** Mutes and blocks, and lets go again. */
  async block() {
    const { other, friend } = this;
    await this.more("Mute");
    await this.said(`You see nothing of ${other} from now on.`);
    await this.eyes.look("profile-muted");
    await this.more("Block");
    await this.said(`You and ${other} see nothing of each other.`);
    await this.eyes.look("profile-blocked");
    await friend.open(`/@${this.name}`);
    await friend.seeTitle("Nobody here");

    await this.open("/settings#privacy");
    await this.button(`Unblock: ${other}`).waitFor();
    await this.button(`Unmute: ${other}`).waitFor();
    await this.eyes.look("settings-blocked");
    await this.button(`Unblock: ${other}`).click();
    await this.said(`You do not block ${other} any more.`);
    await this.button(`Unmute: ${other}`).click();
    await this.said(`You do not mute ${other} any more.`);
    await friend.open(`/@${this.name}`);
    await friend.seeTitle("Ada of the Harbour");
  }

  async changeAddress() {
    await this.section("Account");
    this.email = `${this.name}-new@example.org`;
    const form = this.form("Change the e-mail address");
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

  /** Light whatever the device has, then as the device has it again. */
  async chooseColours() {
    const theme = () => this.page.evaluate(() => document.documentElement.dataset.theme);
    await this.section("Preferences");
    await this.label("Colours").selectOption("Light");
    await this.button("Save the preferences").click();
    await this.said("Saved.");
    await this.page.reload();
    await this.label("Colours").and(this.page.locator(":enabled")).waitFor();
    assert.equal(await theme(), "light");
    await this.label("Colours").selectOption("As the device has them");
    await this.button("Save the preferences").click();
    await this.said("Saved.");
    assert.equal(await theme(), undefined);
    await this.eyes.look("settings-preferences");
  }

  async makeToken() {
    await this.section("API tokens");
    await this.said("You have no tokens.");
    await this.eyes.look("settings-tokens-none");
    await this.label("What for").fill("The lighthouse");
    await this.page.getByLabel("see your account").check();
    await this.button("Make the token").click();
    const shown = this.page.getByText(/^nova_pat_/);
    await shown.waitFor();
    const token = await shown.textContent();
    assert.equal(await this.asks(token), 200);
    await this.eyes.look("settings-tokens");
    await this.button("Revoke: The lighthouse").click();
    await this.said("The token The lighthouse is revoked.");
    await this.said("You have no tokens.");
    assert.equal(await this.asks(token), 401);
  }

  /** How a program with this token is answered that asks whose it is. */
  async asks(token) {
    const headers = { Authorization: `Bearer ${token}` };
    const answer = await fetch(`${this.base}/api/v1/me`, { headers });
    return answer.status;
  }

  /** Logs in elsewhere too, ends that session from here, then all of them. */
  async endSessions() {
    const elsewhere = await this.elsewhere(this);
    await elsewhere.logIn();
    await this.section("Sessions");
    await this.button(/^End: /).waitFor();
    await this.eyes.look("settings-sessions");
    await this.button(/^End: /).click();
    await this.said(/^The session of .* is ended\./);
    await elsewhere.open("/settings");
    await elsewhere.page.waitForURL(/\/login\?next=%2Fsettings/);
    await elsewhere.leave();
    await this.button("Log out on all devices").click();
    await this.said("You are logged out on all devices.");
    await this.page.getByRole("link", { name: "Sign up" }).first().waitFor();
    await this.eyes.look("logged-out-everywhere");
  }

  async resetPassword() {
    await this.open("/login");
    await this.page.getByRole("link", { name: "Forgot your password?" }).click();
    await this.seeTitle("Forgot your password?");
    await this.eyes.look("reset");
    await this.label("E-mail").fill(this.email);
    await this.button("Send the link").click();
    await this.seeTitle("Look into your mail");
    await this.eyes.look("reset-sent");
    await this.page.goto(await this.linkTo(this.email, "/reset"));
    await this.seeTitle("A new password");
    await this.label("New password").fill("short");
    await this.button("Set the password").click();
    await this.said("At least 8 characters.");
    await this.eyes.look("new-password");
    this.password = PASSWORDS[1];
    await this.label("New password").fill(this.password);
    await this.button("Set the password").click();
    await this.said("Your new password is set.");
    await this.logIn();
  }

  async changePassword() {
    const elsewhere = await this.elsewhere(this);
    await elsewhere.logIn();
    await this.open("/settings#account");
    const form = this.form("Change the password");
    const old = form.getByLabel("Your password", { exact: true });
    await form.getByLabel("New password", { exact: true }).fill(PASSWORDS[2]);
    await old.fill(PASSWORDS[0]);
    await this.button("Change the password").click();
    await this.said("The password is not right.");
    await old.fill(this.password);
    await this.button("Change the password").click();
    await this.said("Your password is changed.");
    await this.eyes.look("settings-account-changed");
    this.password = PASSWORDS[2];
    await elsewhere.open("/settings");
    await elsewhere.page.waitForURL(/\/login\?next=%2Fsettings/);
    await elsewhere.leave();
  }

  /** Is asked by the friend, who sees nothing until then. */
  async bePrivate() {
    const { name, other, friend } = this;
    await this.section("Privacy");
    await this.page.getByLabel("Private account").check();
    await this.button("Save").click();
    await this.said("Your account is private.");
    await this.said("You block nobody.");
    await this.eyes.look("settings-privacy");

    await friend.open(`/@${name}`);
    await friend.said("This account is private");
    await friend.button("Ask to follow").click();
    await friend.said(`${name} is asked whether you may follow.`);
    await friend.eyes.look("profile-private");
    await this.page.reload();
    await this.button(`Accept: ${other}`).waitFor();
    await this.eyes.look("settings-requests");
    await this.button(`Accept: ${other}`).click();
    await this.said(`${other} follows you now.`);
    await this.button(`Remove: ${other}`).waitFor();
    await friend.page.reload();
    await friend.said(`${name} has not posted yet.`);
    await friend.eyes.look("profile-private-followed");
    await this.button(`Remove: ${other}`).click();
    await this.said(`${other} does not follow you any more.`);
    await friend.page.reload();
    await friend.button("Ask to follow").waitFor();
  }

  /** By the address this time. */
  async logOutAndIn() {
    await this.button("Ada of the Harbour").click();
    await this.button("Log out").click();
    await this.page.waitForURL((url) => url.pathname === "/");
    await this.page.getByRole("link", { name: "Sign up" }).waitFor();
    await this.open("/settings#data");
    await this.page.waitForURL(/\/login\?next=%2Fsettings/);
    await this.eyes.look("login-next");
    await this.fillInLogin(this.email, this.password);
    await this.page.waitForURL((url) => url.pathname === "/settings");
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
    const form = this.form("Delete the account");
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
    await this.open("/login");
    await this.fillInLogin(this.name, this.password);
    await this.said("The name or the password is not right.");
  }
}
