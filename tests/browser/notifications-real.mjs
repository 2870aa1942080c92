// Two people on the pages of a real server in Chromium: each is told of what the other does, while
// the page is open.
//
//   node notifications-real.mjs URL SCREENS PASSWORD
//
// Accounts called ada and bea are there, with that password; bea has a stream. Says "live please"
// when it is to go live, and waits. Ends well if all was as it should be; the pictures are in SCREENS.
import assert from "node:assert/strict";

import { LIVE_MS, PATIENCE_MS, run, somebody } from "./real.mjs";

const bell = ({ page }) => page.getByRole("link", { name: /^Notifications/ });
/** Waits until the bell says so. */
const rings = (visitor, text, timeout = PATIENCE_MS) =>
  bell(visitor).filter({ hasText: text }).waitFor({ timeout });
const row = ({ page }, text) => page.locator(".notification").filter({ hasText: text });

async function walk(browser) {
  const ada = await somebody(browser, "ada", "phone");
  const bea = await somebody(browser, "bea", "desktop");
  await ada.logIn();
  await bea.logIn();

  // Bea has nothing, and stays on the page.
  await bea.open("/notifications");
  await bea.said("Nothing has happened yet.");
  await bea.eyes.look("notifications-empty");
  await bea.open("/home");
  await bea.label("What do you want to say?").fill("The tide is out.");
  await bea.button("Post").click();
  await bea.said("Your post is out.");

  // Ada follows her and likes the post: the bell of the open page says so.
  await ada.open("/@bea");
  await ada.button("Follow").click();
  await ada.said("You follow bea now.");
  await rings(bea, "1 unread");
  const post = ada.page.locator(".post").filter({ hasText: "The tide is out." });
  await post.getByRole("button", { name: "Like" }).click();
  await post.getByRole("button", { name: "Like 1", pressed: true }).waitFor();
  await rings(bea, "2 unread");
  await bea.eyes.look("notifications-bell");

  // The list, and a row that comes while it is open.
  await bell(bea).click();
  await row(bea, "ada liked your post").waitFor();
  await row(bea, "ada followed you").waitFor();
  await rings(bea, /^\s*Notifications\s*$/);
  await bell(ada).click();
  await ada.said("Nothing has happened yet.");
  await bea.page.evaluate(() => (window.isTheSame = true));
  await ada.open("/@bea");
  await post.getByRole("link", { name: "Comments" }).click();
  await ada.label("Your comment").fill("And <b>the boats</b>?");
  await ada.button("Comment").click();
  await ada.said("Your comment is posted.");
  await row(bea, "ada answered your post").waitFor();
  await row(bea, "And <b>the boats</b>?").waitFor();
  assert.equal(await bea.page.evaluate(() => window.isTheSame), true, "the page was not loaded anew");
  assert.equal(await row(bea, "").count(), 3);
  await bea.eyes.look("notifications");

  // What is undone is gone with the next look.
  await ada.open("/@bea");
  await post.getByRole("button", { name: "Like 1" }).click();
  await post.getByRole("button", { name: "Like", pressed: false }).waitFor();
  await bea.page.reload();
  await row(bea, "ada answered your post").waitFor();
  assert.equal(await row(bea, "liked your post").count(), 0);

  // Bea goes live: whoever follows her is told, on the page.
  await ada.open("/notifications");
  await ada.said("Nothing has happened yet.");
  console.log("live please");
  await row(ada, "bea went live").waitFor({ timeout: LIVE_MS });
  await row(ada, "Live").waitFor();
  await ada.eyes.look("notifications-live");
  await ada.open("/home");

  // Preferences: of answers she does not want to know.
  await bea.open("/settings#preferences");
  const answers = bea.page.getByLabel("Somebody answers a post of mine");
  await bea.page.waitForFunction(() => document.querySelector("#notify_comment")?.checked === true);
  await answers.uncheck();
  await bea.button("Save the preferences").click();
  await bea.said("Saved.");
  await bea.eyes.look("notifications-preferences");
  await bea.page.reload();
  await bea.page.waitForFunction(() => document.querySelector("#notify_comment")?.checked === false);

  // Who logs out is told nothing more.
  await bea.button("bea").click();
  await bea.button("Log out").click();
  await bea.page.waitForURL((url) => url.pathname === "/");
  assert.equal(await bell(bea).isVisible(), false);
}

await run(walk);
