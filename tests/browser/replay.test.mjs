// The page of a recording and the chat beside it, in Chromium in front of `fake-api.mjs`. The browser
// plays by itself, as Safari does, what is a sound here: it dates what plays from START on.
//
//   [SCREENS=FOLDER] node --test replay.test.mjs
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { SIZES } from "./eyes.mjs";
import { addPost } from "./fake-posts.mjs";
import { Refusal } from "./fake-refusals.mjs";
import { addRecording, addStream, shownRecording } from "./fake-streams.mjs";
import { png } from "./png.mjs";
import { stage } from "./stage.mjs";

const scene = stage();

const START = Date.parse("2027-01-15T08:00:00Z");
const SECONDS = 300;
const REPLAY = "/api/v1/streams/garden/chat/replay";

/** Nothing to be heard, as a WAV file. */
function silence(seconds) {
  const rate = 4_000;
  const wav = Buffer.alloc(44 + rate * seconds, 128);
  wav.write("RIFF");
  wav.writeUInt32LE(wav.length - 8, 4);
  wav.write("WAVEfmt ", 8);
  wav.writeUInt32LE(16, 16);
  // PCM of one channel, 8 bits a sample.
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(1, 22);
  wav.writeUInt32LE(rate, 24);
  wav.writeUInt32LE(rate, 28);
  wav.writeUInt16LE(1, 32);
  wav.writeUInt16LE(8, 34);
  wav.write("data", 36);
  wav.writeUInt32LE(wav.length - 44, 40);
  return wav;
}

const SOUND = silence(SECONDS);

function sound(route) {
  const [, first, last] = /bytes=(\d+)-(\d*)/.exec(route.request().headers().range ?? "") ?? [];
  const headers = { "Content-Type": "audio/wav", "Accept-Ranges": "bytes" };
  if (first === undefined) return route.fulfill({ headers, body: SOUND });
  const end = last === "" ? SOUND.length - 1 : Math.min(Number(last), SOUND.length - 1);
  const range = `bytes ${first}-${end}/${SOUND.length}`;
  const body = SOUND.subarray(Number(first), end + 1);
  return route.fulfill({ status: 206, headers: { ...headers, "Content-Range": range }, body });
}

/** A scene with a recording of Bea's garden, and what was said meanwhile. */
async function garden(t, options = {}) {
  const made = await scene(t, options);
  const { fake, page, open } = made;
  const bea = fake.add("bea", { display_name: "Bea of the Garden" });
  const stream = addStream(fake, bea, "garden");
  const recording = addRecording(stream, { title: "The garden at night", playlist: "/vod/x/sound.wav" });
  const post = addPost(fake, bea, "Moths.", { video: shownRecording(stream, recording) });
  const room = fake.chat.room("garden");
  const say = (seconds, user, text, rest = {}) =>
    fake.chat.say(user, room, { text, media_time: START + seconds * 1_000, ...rest }, { force: true });
  await page.route("**/sound.wav", sound);
  await page.route("**/poster.jpg", (route) => route.fulfill({ contentType: "image/png", body: png(640, 360) }));
  await page.addInitScript((start) => {
    for (const name of ["MediaSource", "ManagedMediaSource", "WebKitMediaSource"]) {
      Object.defineProperty(window, name, { value: undefined });
    }
    HTMLMediaElement.prototype.getStartDate = function startDate() {
      return new Date(this.readyState > 0 ? start : Number.NaN);
    };
  }, START);
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

/** Begins to play, and stands still. */
const begin = (page) =>
  page.evaluate(async () => {
    const video = document.querySelector("video");
    video.muted = true;
    await video.play();
    video.pause();
  });

const seek = (page, seconds) =>
  page.evaluate(async (to) => {
    const video = document.querySelector("video");
    const there = new Promise((done) => video.addEventListener("seeked", done, { once: true }));
    video.currentTime = to;
    await there;
  }, seconds);

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
  await openVideo();
  const before = asked(fake, "/chat/replay").length;
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
  await begin(page);
  await seek(page, 5);
  // Nobody asks again and again.
  await page.waitForTimeout(1_500);
  assert.deepEqual(await texts(page), []);
  assert.ok(asked(fake, "/chat/replay").length <= 2);
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
