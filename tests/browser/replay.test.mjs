// The page of a recording, which is a sound here, and the chat beside it, in Chromium in front of
// `fake-api.mjs`.
//
//   [SCREENS=FOLDER] node --test replay.test.mjs
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { SIZES } from "./eyes.mjs";
import { addPost } from "./fake-posts.mjs";
import { Refusal } from "./fake-refusals.mjs";
import { addRecording, addStream, shownRecording } from "./fake-streams.mjs";
import { png } from "./png.mjs";
import { begin, bringSound, SECONDS, seek, SOUND, START } from "./sound.mjs";
import { stage } from "./stage.mjs";

const scene = stage();

const REPLAY = "/api/v1/streams/garden/chat/replay";

/** A scene with a recording of Bea's garden, and what was said meanwhile. */
async function garden(t, options = {}) {
  const made = await scene(t, options);
  const { fake, page, open } = made;
  const bea = fake.add("bea", { display_name: "Bea of the Garden" });
  const stream = addStream(fake, bea, "garden");
  const recording = addRecording(stream, { title: "The garden at night", playlist: SOUND });
  const post = addPost(fake, bea, "Moths.", { video: shownRecording(stream, recording) });
  const room = fake.chat.room("garden");
  const say = (seconds, user, text, rest = {}) =>
    fake.chat.say(user, room, { text, media_time: START + seconds * 1_000, ...rest }, { force: true });
  await page.route("**/poster.jpg", (route) => route.fulfill({ contentType: "image/png", body: png(640, 360) }));
  await bringSound(page);
  const openVideo = async () => {
    await open(`/posts/${post.id}/video`);
    await page.getByRole("heading", { level: 1, name: "The garden at night" }).waitFor();
  };
  return { ...made, bea, stream, post, room, say, openVideo };
}

const chat = (page) => page.getByRole("region", { name: "Chat replay" });
const log = (page) => page.getByRole("log", { name: "What was said" });
const said = (page, text) => log(page).locator(".chat-message").filter({ hasText: text });
const count = (page, messages) =>
  page.waitForFunction((wanted) => document.querySelectorAll(".chat-message").length === wanted, messages);
const texts = (page) => page.locator(".chat-text > p").allTextContents();
const asked = (fake, what) => fake.asked.filter(({ path }) => path.endsWith(what));

describe("what was said appears as the recording plays", { concurrency: true }, () => {
  for (const kind of Object.keys(SIZES)) {
    test(kind, async (t) => {
      const { fake, page, eyes, bea, say, openVideo } = await garden(t, { kind });
      const zed = fake.add("zed");
      say(-60, zed, "Of the broadcast before.");
      const question = say(1, zed, "Is that a **hawk moth**, @bea?");
      // Whoever is behind has spoken later, of what was seen before.
      say(100, zed, "There it goes.");
      say(2, bea, "It is one. https://example.org/moths", { reply_to: question.id });
      say(SECONDS + 60, zed, "Of the next one.");
      await openVideo();
      await chat(page).getByText("What was said appears as the video plays.").waitFor();
      assert.deepEqual(await texts(page), []);
      await eyes.look("replay-before");

      await page.evaluate(() => {
        const video = document.querySelector("video");
        video.muted = true;
        return video.play();
      });
      await said(page, "Is that a **hawk moth**").first().waitFor();
      await said(page, "Answers zed: Is that a **hawk moth**").filter({ hasText: "Host" }).waitFor();
      assert.equal(await said(page, "There it goes.").count(), 0);
      await eyes.look("replay");

      await page.evaluate(() => document.querySelector("video").pause());
      await seek(page, 120);
      await said(page, "There it goes.").waitFor();
      const all = ["Is that a **hawk moth**, @bea?", "It is one. https://example.org/moths", "There it goes."];
      await count(page, 3);
      assert.deepEqual(await texts(page), all);
      await seek(page, 1.5);
      await count(page, 1);
      assert.deepEqual(await texts(page), all.slice(0, 1));
      await seek(page, 0.2);
      await log(page).getByText("Nobody has said anything so far.").waitFor();
      // There is nothing to be said, and nobody to be silenced.
      assert.equal(await chat(page).getByRole("textbox").count(), 0);
      assert.equal(await page.locator(".chat-more:visible").count(), 0);
    });
  }
});

test("after a leap the last of what was said is read, and the rest when somebody scrolls to it", async (t) => {
  const { fake, page, room, say, openVideo } = await garden(t);
  const zed = fake.add("zed");
  const messages = Array.from({ length: 200 }, (_, at) => say(at + 0.5, zed, `Message ${at}.`));
  fake.chat.remove(room, messages[148].id);
  await openVideo();
  await begin(page);
  await seek(page, 150);
  await said(page, "Message 149.").waitFor();
  assert.equal((await texts(page)).length, 60);
  assert.equal(await said(page, "Message 148.").count(), 0);
  await said(page, "Message 149.").evaluate((row) => (row.closest("[role=log]").scrollTop = 0));
  await said(page, "Message 29.").waitFor();
  await log(page).evaluate((box) => (box.scrollTop = 0));
  await said(page, "Message 0.").waitFor();
  assert.equal((await texts(page)).length, 149);
  // What comes waits for whoever reads further up.
  await seek(page, 152);
  await page.getByRole("button", { name: "2 new messages" }).click();
  await said(page, "Message 151.").waitFor();
  const back = asked(fake, "/chat/replay").length;
  assert.ok(back <= 10, `${back} pages`);
});

test("no stream, or nothing said, is no chat", async (t) => {
  const { fake, page, post, say, bea, openVideo } = await garden(t);
  const answered = page.waitForResponse((response) => response.url().includes("/chat/replay"));
  await openVideo();
  await (await answered).finished();
  await begin(page);
  assert.equal(await page.locator(".chat").count(), 0);
  assert.equal(asked(fake, "/chat/replay").length, 1);
  say(1, bea, "Now there is.");
  await openVideo();
  await chat(page).waitFor();
  post.video = { ...post.video, stream: null };
  const before = asked(fake, "/chat/replay").length;
  const found = page.waitForResponse((response) => response.url().endsWith(`/api/v1/posts/${post.id}`));
  await openVideo();
  await (await found).finished();
  await begin(page);
  await seek(page, 5);
  assert.equal(await page.locator(".chat").count(), 0);
  assert.equal(asked(fake, "/chat/replay").length, before);
});

test("a chat that is not for who watches says so", async (t) => {
  const { fake, page, eyes, stream, bea, say, openVideo } = await garden(t, { name: "ada", kind: "phone" });
  say(1, bea, "Among ourselves.");
  stream.visibility = "followers";
  await openVideo();
  await chat(page).getByText("This chat is not for you.").waitFor();
  await eyes.look("replay-barred");
  const refused = page.waitForResponse((response) => response.url().includes("/chat/replay"));
  await begin(page);
  await (await refused).finished();
  await seek(page, 5);
  await chat(page).getByText("This chat is not for you.").waitFor();
  assert.deepEqual(await texts(page), []);
});

test("after a leap nothing is left of where playback was, whatever hangs", async (t) => {
  const { page, say, bea, openVideo } = await garden(t);
  say(1, bea, "At the beginning.");
  for (let at = 0; at < 80; at += 1) say(20, bea, `Meanwhile ${at}.`);
  say(200, bea, "At the end.");
  await openVideo();
  await begin(page);
  await seek(page, 5);
  await said(page, "At the beginning.").waitFor();
  let hang;
  const hung = new Promise((resolve) => (hang = resolve));
  await page.route(/\/chat\/replay\?/, hang, { times: 1 });
  await seek(page, 150);
  const route = await hung;
  await count(page, 0);
  // That place hangs; the next one does not wait for it.
  await seek(page, 210);
  await said(page, "At the end.").waitFor();
  await route.abort();
});

test("what does not come is asked for again", async (t) => {
  const { fake, page, bea, say, openVideo } = await garden(t);
  say(1, bea, "Here I am.");
  fake.faults.set(`GET ${REPLAY}`, "drop");
  await openVideo();
  await begin(page);
  await seek(page, 5);
  await chat(page).getByText("The chat does not come, trying again…").waitFor();
  fake.faults.set(`GET ${REPLAY}`, new Refusal(503, "busy", "Busy.", { headers: { "Retry-After": "1" } }));
  await said(page, "Here I am.").waitFor();
  await chat(page).getByText("trying again").waitFor({ state: "hidden" });
});
