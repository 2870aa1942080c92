// The pages of accounts and people in Chromium, in front of `fake-api.mjs`.
//
//   [SCREENS=FOLDER] node --test pages.test.mjs
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { describe, test } from "node:test";

import { SIZES } from "./eyes.mjs";
import { tooOften } from "./fake-refusals.mjs";
import { liveStream } from "./fake-streams.mjs";
import { button, logIn, stage } from "./stage.mjs";
import { Walk } from "./walk.mjs";

const scene = stage();
const refreshes = (fake) => fake.asked.filter(({ path }) => path === "/api/v1/session/refresh");

describe("somebody walks from signing up to deleting the account", { concurrency: true }, () => {
  for (const kind of Object.keys(SIZES)) {
    test(kind, async (t) => {
      const { fake, page, eyes } = await scene(t, { kind });
      const friend = fake.add("bob", { bio: "Bob.", display_name: "Bob the Boatman" });
      const linkTo = async (email, path) => {
        const link = fake.linkTo(email);
        assert.ok(link.includes(`${path}#token=`), link);
        return link;
      };
      const walk = new Walk({ page, eyes, base: fake.url, linkTo, name: "ada", friend });
      await walk.all();
      assert.deepEqual(fake.reports.map(({ user, reason }) => [user, reason]), [["bob", "spam"]]);
    });
  }
});

for (const name of [null, "ada"]) {
  const who = name === null ? "nobody" : "somebody";
  test(`a stream's page asks no more than it needs when ${who} is logged in`, async (t) => {
    const { fake, page, open } = await scene(t, { name });
    fake.asked.length = 0;
    await open("/");
    if (name !== null) await button(page, name).waitFor();
    await page.getByRole("heading", { name: "Nobody is live right now" }).waitFor();
    // What is live depends on who asks.
    const needed = ["/api/v1/live", ...(name === null ? [] : ["/api/v1/session/refresh"])];
    assert.deepEqual([...new Set(fake.asked.map(({ path }) => path))].sort(), needed);
  });
}

test("more of who is live comes by a button, and the focus stays where somebody has it", async (t) => {
  const { fake, page, open } = await scene(t, {});
  const live = (at) => liveStream(`s${at}`);
  fake.live = Array.from({ length: 101 }, (_, at) => live(at + 1));
  const card = (at) => page.locator(`.card[href="/watch/s${at}"]`);
  const hasFocus = (locator) => locator.evaluate((one) => one === document.activeElement);
  const focused = (selector) => page.waitForFunction((one) => document.activeElement.matches(one), selector);
  // It asks again when the page is seen again.
  const askAgain = () => page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  const more = button(page, "Show more");
  await open("/");
  await card(100).waitFor();
  assert.equal(await card(101).count(), 0);
  await more.press("Enter");
  await focused('[href="/watch/s101"]');
  assert.equal(await more.isVisible(), false);
  fake.live[100].title = "Another title";
  fake.live.unshift(live(0));
  await askAgain();
  await card(101).filter({ hasText: "Another title" }).waitFor();
  assert.equal(await page.locator(".card").first().getAttribute("href"), "/watch/s0");
  assert.ok(await hasFocus(card(101)));

  // Who has gone on before the answer is not brought back.
  for (let at = 102; at <= 250; at += 1) fake.live.push(live(at));
  await askAgain();
  await more.waitFor();
  let go;
  const held = new Promise((resolve) => (go = resolve));
  await page.route(/\/api\/v1\/live\?/, (route) => held.then(() => route.continue()));
  await more.press("Enter");
  await page.keyboard.press("Shift+Tab");
  assert.ok(await hasFocus(card(199)));
  go();
  await card(250).waitFor();
  assert.ok(await hasFocus(card(199)));
});

test("who is at the button for more when there are no more goes to the list", async (t) => {
  const { fake, page, open } = await scene(t, {});
  fake.live = Array.from({ length: 101 }, (_, at) => liveStream(`s${at}`));
  await open("/");
  await button(page, "Show more").focus();
  fake.live.pop();
  await page.waitForFunction(() => document.activeElement.matches(".streams"));
});

test("ten tabs refresh one after the other, and stay logged in", async (t) => {
  const { fake, context, open, page } = await scene(t, { name: "ada" });
  await open("/settings");
  await page.getByLabel("Shown name").waitFor();
  fake.asked.length = 0;
  const tabs = await Promise.all(Array.from({ length: 10 }, () => context.newPage()));
  await Promise.all(tabs.map((tab) => tab.goto(`${fake.url}/settings`)));
  for (const tab of tabs) await tab.getByLabel("Shown name").waitFor();
  assert.deepEqual(refreshes(fake).map(({ status }) => status), Array(10).fill(200));
  // Each with what the one before it was given.
  assert.equal(new Set(refreshes(fake).map(({ headers }) => headers.cookie)).size, 10);
  await page.reload();
  await page.getByLabel("Shown name").waitFor();
});

test("an access token that is refused is replaced, and the work is done", async (t) => {
  const { fake, page, open } = await scene(t, { name: "ada" });
  await open("/settings");
  await page.getByLabel("Shown name").fill("Ada");
  fake.access.clear();
  await button(page, "Save the profile").click();
  await page.getByText("Saved.").waitFor();
  assert.equal(fake.users.get("ada").display_name, "Ada");
});

test("a wrong password is tried once", async (t) => {
  const { fake, page, open } = await scene(t, { name: "ada" });
  await open("/settings#data");
  const form = page.locator("form", { hasText: "Delete the account" });
  await form.getByLabel("Your password", { exact: true }).fill("something else");
  await page.getByLabel("I want my account to be deleted").check();
  await button(page, "Delete the account").click();
  await page.getByText("The password is not right.").waitFor();
  assert.equal(fake.asked.filter(({ method }) => method === "DELETE").length, 1);
});

test("what the server says of a field stands at that field, which has the focus", async (t) => {
  const { page, open, eyes, fake } = await scene(t, { name: "ada" });
  fake.users.get("ada").links = [{ label: "Home", url: "https://example.org/" }];
  await open("/settings");
  await button(page, "Add a link").click();
  const second = page.getByLabel("Address", { exact: true }).nth(1);
  await second.fill("https://javascript.example.org/");
  await button(page, "Save the profile").click();
  await page.getByText("A link has to lead to a page.").waitFor();
  assert.equal(await second.getAttribute("aria-invalid"), "true");
  assert.ok(await second.evaluate((input) => input === document.activeElement));
  assert.match(await second.evaluate((input) => input.getAttribute("aria-describedby")), /-error$/);
  await eyes.look("link-wrong");
  await page.keyboard.press("End");
  await page.keyboard.type("x");
  assert.equal(await second.getAttribute("aria-invalid"), null);
  await button(page, "Remove link 1").click();
  assert.equal(await page.getByLabel("Address", { exact: true }).count(), 1);
});

test("who asked too often is told how long to wait", async (t) => {
  const { fake, page, open, eyes } = await scene(t, {});
  await open("/login");
  fake.faults.set("POST /api/v1/session", tooOften(240));
  await page.getByLabel("Name or e-mail").fill("ada");
  await page.getByLabel("Password", { exact: true }).fill("correct horse");
  await button(page, "Log in").click();
  const alert = page.getByRole("alert").filter({ hasText: "Try again in 4 minutes." });
  await alert.waitFor();
  await eyes.look("too-often");
});

test("a server that does not answer logs nobody out", async (t) => {
  const { fake, page, open } = await scene(t, { name: "ada" });
  fake.faults.set("POST /api/v1/session/refresh", "drop");
  await open("/settings");
  await page.getByText("The server does not answer.").waitFor();
  fake.faults.clear();
  await button(page, "Try again").click();
  await page.getByLabel("Shown name").waitFor();
});

test("a report that was lost on the way is sent again under the same key", async (t) => {
  const { fake, page, open } = await scene(t, { name: "ada" });
  fake.add("bob");
  await open("/@bob");
  await button(page, "More").click();
  await button(page, "Report…").click();
  await page.getByLabel("Why").selectOption("abuse");
  fake.faults.set("POST /api/v1/reports", "drop");
  await button(page, "Send the report").click();
  await page.getByText("The server does not answer.").waitFor();
  fake.faults.clear();
  await button(page, "Send the report").click();
  await page.getByText("The moderators will look").waitFor();
  const sent = fake.asked.filter(({ path }) => path === "/api/v1/reports");
  const keys = sent.map(({ headers }) => headers["idempotency-key"]);
  assert.ok(keys.length >= 2);
  assert.match(keys[0], /^[0-9a-f]{32}$/);
  assert.equal(new Set(keys).size, 1);
});

test("logging out in one tab is seen in the other", async (t) => {
  const { fake, context, open, page } = await scene(t, { name: "ada" });
  await open("/settings");
  await page.getByLabel("Shown name").waitFor();
  const stream = await context.newPage();
  await stream.goto(`${fake.url}/`);
  await button(stream, "ada").click();
  await button(stream, "Log out").click();
  await page.waitForURL(/\/login/);
});

test("the way back after a logout shows nothing of the account", async (t) => {
  const { page, open } = await scene(t, { name: "ada" });
  await open("/settings#account");
  await page.getByText("ada@example.org").waitFor();
  await button(page, "ada").click();
  await button(page, "Log out").click();
  await page.waitForURL((url) => url.pathname === "/");
  await page.goBack();
  await page.waitForURL(/\/login/);
  assert.equal(await page.getByText("ada@example.org").count(), 0);
});

test("a session that was ended elsewhere leads to the login, and back", async (t) => {
  const { fake, page, open, user } = await scene(t, { name: "ada" });
  fake.endSessions(user);
  await open("/settings#privacy");
  await page.waitForURL(/\/login/);
  await page.getByText("You are not logged in any more.").waitFor();
  await page.getByLabel("Name or e-mail").fill("ada");
  await page.getByLabel("Password", { exact: true }).fill("correct horse");
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.pathname === "/settings" && url.hash === "#privacy");
  await page.getByRole("heading", { name: "Follow requests" }).waitFor();
});

test("a login leads to no other server", async (t) => {
  const { page, open, fake } = await scene(t, {});
  fake.add("ada");
  await open("/login?next=//example.org/settings");
  await page.getByLabel("Name or e-mail").fill("ada");
  await page.getByLabel("Password", { exact: true }).fill("correct horse");
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.pathname === "/" && url.host === new URL(fake.url).host);
});

test("the keyboard alone reaches everything, and comes back from where it was", async (t) => {
  const { fake, page, open } = await scene(t, { name: "ada" });
  fake.add("bob");
  await open("/@bob");
  await button(page, "Follow").waitFor();
  const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim() ?? "");
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  await press("Tab");
  assert.equal(await focused(), "Skip to the content");
  await press("Enter", "Tab");
  assert.equal(await focused(), "Follow");
  await press("Enter");
  await page.getByText("You follow bob now.").waitFor();
  await press("Tab", "Enter");
  await button(page, "Mute").waitFor();
  await press("Escape");
  assert.equal(await focused(), "More");
  assert.equal(await button(page, "Mute").count(), 0);
  await press("Enter", "Tab", "Tab", "Tab", "Enter");
  await page.getByRole("dialog", { name: "Report bob" }).waitFor();
  await press("Escape");
  assert.equal(await page.getByRole("dialog").count(), 0);
  assert.equal(await focused(), "More");
});

test("requests are answered, and the focus goes on to the next", async (t) => {
  const { fake, page, open, user, eyes } = await scene(t, { name: "ada", kind: "phone" });
  user.is_private = true;
  for (const name of ["bob", "cleo", "dora"]) fake.add(name).follows.set(user, "requested");
  user.blocks.add(fake.add("eve"));
  user.mutes.add(fake.add("a-name-that-is-as-long-as-it-gets"));
  await open("/settings#privacy");
  await button(page, "Accept: bob").waitFor();
  await button(page, "Unmute: a-name-that-is-as-long-as-it-gets").waitFor();
  await eyes.look("settings-privacy-full");
  await button(page, "Accept: bob").click();
  await page.getByText("bob follows you now.").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.ariaLabel), "Accept: cleo");
  await button(page, "Refuse: dora").click();
  await page.getByText("The request of dora is refused.").waitFor();
  await button(page, "Remove: bob").click();
  await page.getByText("bob does not follow you any more.").waitFor();
  assert.deepEqual(
    ["bob", "cleo", "dora"].map((name) => fake.users.get(name).follows.get(user) ?? "no"),
    ["no", "requested", "no"],
  );
});

test("a long list is read page by page", async (t) => {
  const { fake, page, open } = await scene(t, {});
  const bob = fake.add("bob");
  for (let at = 0; at < 45; at += 1) fake.add(`fan-${at}`).follows.set(bob, "yes");
  await open("/@bob#followers");
  const rows = page.getByRole("list", { name: "Followers of bob" }).getByRole("listitem");
  for (const count of [20, 40]) {
    await rows.nth(count - 1).waitFor();
    assert.equal(await rows.count(), count);
    await button(page, "Show more").click();
  }
  await rows.nth(44).waitFor();
  assert.equal(await button(page, "Show more").count(), 0);
});

test("the longest that people can be called fits on a phone", async (t) => {
  const { fake, page, eyes, open } = await scene(t, { kind: "phone" });
  const called = (name) => ({
    display_name: "W".repeat(50),
    bio: "W".repeat(500),
    email: `${name}@${"long".repeat(15)}.example.org`,
    links: [{ label: "", url: `https://example.org/${"path".repeat(100)}` }],
    is_private: true,
    role: "moderator",
  });
  const [ada, bob] = ["a", "b"].map((letter) => fake.add(letter.repeat(32), called(letter)));
  ada.mutes.add(bob);
  bob.follows.set(ada, "yes");
  const times = { created_at: new Date().toISOString(), expires_at: null, last_used_at: null };
  const token = { id: randomUUID(), name: "W".repeat(100), scopes: ["account:read"], ...times };
  ada.tokens.push(token);
  await logIn(page, fake, ada);
  await open(`/@${ada.name}#followers`);
  await page.getByRole("list", { name: /^Followers of/ }).waitFor();
  await eyes.look("long-profile");
  await open(`/@${bob.name}`);
  await page.getByText("Follows you").waitFor();
  await button(page, "More").click();
  await eyes.look("long-profile-other", { but: ["target-size"] });
  await open("/settings#account");
  for (const [section, shown] of [
    ["Account", ada.email],
    ["Privacy", "You block nobody."],
    ["API tokens", token.name],
  ]) {
    await page.getByRole("link", { name: section, exact: true }).click();
    await page.getByText(shown).waitFor();
    await eyes.look(`long-${section.split(" ").pop().toLowerCase()}`);
  }
});

test("a private account is asked, and shows its people to followers only", async (t) => {
  const { fake, page, open, user } = await scene(t, { name: "ada" });
  const bob = fake.add("bob", { is_private: true });
  await open("/@bob#followers");
  await page.getByText("This account is private").waitFor();
  await button(page, "Ask to follow").click();
  await page.getByText("bob is asked whether you may follow.").waitFor();
  await button(page, "Withdraw request").waitFor();
  user.follows.set(bob, "yes");
  await page.reload();
  await page.getByRole("list", { name: "Followers of bob" }).waitFor();
});

test("whoever is blocked can be let go", async (t) => {
  const { fake, page, open, user } = await scene(t, { name: "ada" });
  fake.add("bob").follows.set(user, "yes");
  await open("/@bob");
  await page.getByText("Follows you").waitFor();
  await button(page, "More").click();
  await button(page, "Block").click();
  await page.getByText("You and bob see nothing of each other.").waitFor();
  assert.equal(await page.getByText("Follows you").count(), 0);
  assert.equal(await button(page, "Follow").count(), 0);
  await button(page, "More").click();
  await button(page, "Unblock").click();
  await button(page, "Follow").waitFor();
});

test("colours that were chosen on one device are there on another", async (t) => {
  const { fake, page, open } = await scene(t, {});
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme ?? "dark");
  const ada = fake.add("ada", { preferences: { theme: "light" } });
  await page.emulateMedia({ colorScheme: "dark" });
  await open("/");
  assert.equal(await theme(), "dark");
  await logIn(page, fake, ada);
  assert.equal(await theme(), "light");

  await open("/settings#preferences");
  await page.getByLabel("Colours").selectOption("As the device has them");
  await button(page, "Save the preferences").click();
  await page.getByText("Saved.").waitFor();
  for (const [colorScheme, shown] of [
    ["dark", undefined],
    ["light", "light"],
  ]) {
    await page.emulateMedia({ colorScheme });
    await page.waitForFunction((it) => document.documentElement.dataset.theme === it, shown);
  }
  assert.deepEqual(ada.preferences, { theme: "system", autoplay: "on", post_when_live: "no" });
  await page.getByLabel("Colours").selectOption("Dark");
  await button(page, "Save the preferences").click();
  await page.waitForFunction(() => document.documentElement.dataset.theme === undefined);
  assert.deepEqual(ada.preferences, { theme: "dark", autoplay: "on", post_when_live: "no" });
});

test("a link that was used, or is not whole, says what to do", async (t) => {
  const { page, open, eyes } = await scene(t, {});
  await open("/verify#token=used");
  await button(page, "Confirm my address").click();
  await page.getByRole("heading", { name: "This link is not valid any more" }).waitFor();
  await eyes.look("link-used");
  await open("/confirm-email");
  await page.getByRole("heading", { name: "This link is not whole" }).waitFor();
  await eyes.look("link-not-whole");
});
