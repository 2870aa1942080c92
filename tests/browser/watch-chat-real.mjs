// Two people on the watch page of a real server in Chromium: they watch one stream, chat with each
// other, one follows the other, sees the recording that they post with what was said meanwhile, and is
// told on the page when they go live again.
//
//   node watch-chat-real.mjs URL SCREENS PASSWORD
//
// Accounts called ada and bea are there, with that password; bea has the stream garden. Says "live please",
// "end please" and "live again please" when it is to be so. Ends well if all was as it should be; the
// pictures are in SCREENS.
import assert from "node:assert/strict";

import { act, connected, hint, message, say } from "./chatting.mjs";
import { ask, LIVE_MS, PATIENCE_MS, run, somebody, tokenOf } from "./real.mjs";

/** Bea's stream has a title and is recorded, and going live makes a post. */
async function prepare() {
  const shown = { title: "The garden at night", description: "Moths, mostly." };
  const change = { ...shown, post_when_live: "yes", recording: true };
  await ask("PATCH", "streams/garden", change, await tokenOf("bea"));
}

const bell = ({ page }) => page.getByRole("link", { name: /^Notifications/ });
const rings = (visitor, text, timeout = PATIENCE_MS) =>
  bell(visitor).filter({ hasText: text }).waitFor({ timeout });
const phase = ({ page }, name) => page.locator(`.state[data-phase="${name}"]`).waitFor({ state: "attached", timeout: LIVE_MS });
/** Said when all were there and nothing was recorded yet. */
const BEFORE = "Is the lamp on?";

/** Posts what was recorded, which is listed from the end of its broadcast on; where it plays. */
async function postRecording(visitor) {
  const { page } = visitor;
  await visitor.open("/home");
  const choose = page.getByRole("button", { name: /^Choose: garden/ });
  const deadline = Date.now() + LIVE_MS;
  for (;;) {
    await visitor.button("Add a video").click();
    await choose.or(page.getByText("No video of yours is ready yet.")).first().waitFor();
    if ((await choose.count()) > 0) break;
    assert.ok(Date.now() < deadline, "nothing is recorded");
    await visitor.button("Close the list").click();
  }
  await choose.click();
  await page.getByRole("button", { name: /^Remove: garden/ }).waitFor();
  await visitor.eyes.look("watch-recording-chosen");
  await visitor.label("What do you want to say?").fill("How it was.");
  await visitor.button("Post").click();
  await visitor.said("Your post is out.");
  const post = page.getByRole("article").filter({ hasText: "How it was." });
  return post.getByRole("link", { name: "garden" }).getAttribute("href");
}

/** Goes to so many seconds before the end of the video, or after its beginning. */
const seek = ({ page }, seconds) =>
  page.evaluate((to) => {
    const video = document.querySelector("video");
    video.currentTime = to < 0 ? video.duration + to : to;
  }, seconds);

async function watchRecording(visitor, path) {
  const { page } = visitor;
  await visitor.open(path);
  await visitor.said("What was said appears as the video plays.");
  const isHistory = (response) => response.url().includes("backwards=true");
  const history = page.waitForResponse(isHistory, { timeout: LIVE_MS });
  await page.evaluate(() => {
    const video = document.querySelector("video");
    video.muted = true;
    return video.play();
  });
  await page.waitForFunction(() => document.querySelector("video").currentTime > 0.5, null, { timeout: LIVE_MS });
  await page.evaluate(() => document.querySelector("video").pause());
  await (await history).finished();
  await seek(visitor, -1);
  await message(visitor, "Answers ada: Good evening from the <b>meadow</b>.").waitFor();
  assert.equal(await message(visitor, "I am heard.").count(), 0, "it is deleted");
  assert.equal(await message(visitor, BEFORE).count(), 0, "it was said before the recording");
  await visitor.eyes.look("watch-replay");
  await seek(visitor, 0);
  await message(visitor, "Good evening from").first().waitFor({ state: "detached" });
  await visitor.said("Nobody has said anything so far.");
  assert.equal(await message(visitor, BEFORE).count(), 0, "it was said before the recording");
}

async function walk(browser) {
  await prepare();
  const visitor = await somebody(browser, "", "desktop");
  const ada = await somebody(browser, "ada", "phone");
  const bea = await somebody(browser, "bea", "desktop");
  await ada.logIn();
  await bea.logIn();
  for (const one of [visitor, ada, bea]) await one.open("/watch/garden");
  for (const one of [visitor, ada, bea]) {
    await one.seeTitle("The garden at night");
    await connected(one);
  }
  await say(bea, BEFORE);
  await message(ada, BEFORE).waitFor();
  console.log("live please");
  for (const one of [visitor, ada, bea]) await phase(one, "live");

  // They chat, and whoever has not logged in reads.
  await say(ada, "Good evening from the <b>meadow</b>.");
  await message(bea, "Good evening from the <b>meadow</b>.").waitFor();
  await act(bea, "Good evening from", "Reply");
  await say(bea, "Good evening, @ada.");
  for (const one of [visitor, ada, bea]) {
    await message(one, "Answers ada: Good evening from the <b>meadow</b>.").waitFor();
  }
  await visitor.page.getByRole("link", { name: "Log in to chat" }).waitFor();
  await ada.page.locator(".chat-head").filter({ hasText: "3 are here" }).waitFor();

  // Ada follows, and Bea is told on the page.
  await ada.button("Follow").click();
  await ada.said("You follow bea now.");
  await rings(bea, "1 unread");
  // The post that going live has made is there a moment later.
  await ada.page.reload();
  const like = ada.page.getByRole("button", { name: "Like" });
  await like.click();
  await ada.page.getByRole("button", { name: "Like 1", pressed: true }).waitFor();
  await phase(ada, "live");
  await message(ada, "Good evening, @ada.").waitFor();
  await ada.eyes.look("watch-live");
  await bea.eyes.look("watch-live");

  // A timeout, and what it says; taken back.
  await act(bea, "Good evening from", "10 minutes");
  await bea.said("ada says nothing for 10 minutes.");
  await ada.label("Your message").fill("Am I heard?");
  await ada.label("Your message").press("Enter");
  await hint(ada).filter({ hasText: "A moderator gave you a timeout, until" }).waitFor();
  await ada.eyes.look("watch-timeout");
  await bea.button("Undo").click();
  await bea.said("ada may talk again.");
  await ada.page.reload();
  await connected(ada);
  await say(ada, "I am heard.");
  await message(bea, "I am heard.").waitFor();
  await act(bea, "I am heard.", "Delete");
  await message(ada, "I am heard.").waitFor({ state: "detached" });

  // The broadcast ends, and the next one is told on the page that is open.
  console.log("end please");
  for (const one of [ada, bea]) await phase(one, "ended");
  await watchRecording(ada, await postRecording(bea));
  assert.equal(await bell(ada).filter({ hasText: "unread" }).count(), 0, "nothing was told so far");
  await ada.open("/watch/garden");
  await connected(ada);
  console.log("live again please");
  await rings(ada, "1 unread", LIVE_MS);
  await phase(ada, "live");
  await ada.eyes.look("watch-again");
  await bell(ada).click();
  const news = ada.page.locator(".notification").filter({ hasText: "bea went live" });
  await news.getByRole("link").last().click();
  await ada.page.waitForURL(/\/watch\/garden$/);
  await phase(ada, "live");
}

await run(walk);
