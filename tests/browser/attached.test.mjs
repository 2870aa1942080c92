// Pictures, videos and streams of posts in Chromium, in front of `fake-api.mjs`.
//
//   [SCREENS=FOLDER] node --test attached.test.mjs
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { SIZES } from "./eyes.mjs";
import { addImage, addPost } from "./fake-posts.mjs";
import { invalid, Refusal } from "./fake-refusals.mjs";
import { addRecording, addStream, addVideo, liveStream } from "./fake-streams.mjs";
import { png, pngFile } from "./png.mjs";
import { button, stage } from "./stage.mjs";

const scene = stage();

const article = (page, text) => page.locator(".post").filter({ hasText: text }).first();
const writing = (page) => page.getByLabel("What do you want to say?");
const choose = (page, files) => page.locator(".composer input[type=file]").setInputFiles(files);
const sent = (fake, method, end) =>
  fake.asked.filter((asked) => asked.method === method && asked.path.endsWith(end));
const SEA = pngFile("sea.png", 800, 500);
const PIER = pngFile("pier.png", 300, 600, [30, 120, 60], [230, 220, 90]);

describe("a post with pictures is written, shown and looked at", () => {
  for (const kind of Object.keys(SIZES)) {
    test(kind, async (t) => {
      const { fake, page, open, eyes } = await scene(t, { name: "ada", kind });
      await open("/home");
      await writing(page).fill("Two of the harbour.");
      await choose(page, [SEA, PIER]);
      await page.getByLabel("What is on picture 1?").fill("The sea at noon");
      await page.getByLabel("What is on picture 2?").waitFor();
      assert.equal(await button(page, "Add a stream").isDisabled(), true);
      await eyes.look("attached-composer");
      await button(page, "Post").click();
      await page.getByText("Your post is out.").waitFor();
      assert.equal(await page.locator(".attached-picture").count(), 0);
      const post = article(page, "Two of the harbour.");
      const pictures = post.getByRole("img");
      assert.deepEqual(await pictures.evaluateAll((all) => all.map(({ alt }) => alt)), [
        "The sea at noon",
        "Picture without a description",
      ]);
      await page.waitForFunction(() =>
        [...document.querySelectorAll(".pictures img")].every(({ naturalWidth }) => naturalWidth > 0),
      );
      await eyes.look("attached-card");
      await post.getByRole("link", { name: "The sea at noon" }).click();
      const dialog = page.getByRole("dialog", { name: "Picture" });
      await dialog.getByText("1 of 2").waitFor();
      await dialog.getByText("The sea at noon").waitFor();
      await eyes.look("attached-open");
      await page.keyboard.press("ArrowRight");
      await dialog.getByText("2 of 2").waitFor();
      assert.ok(await dialog.getByRole("button", { name: "Next" }).isDisabled());
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "detached" });
      const [{ images }] = fake.posts.values();
      assert.deepEqual(images.map(({ width, description }) => [width, description]), [
        [800, "The sea at noon"],
        [300, ""],
      ]);
    });
  }
});

test("one to four pictures have their places", async (t) => {
  const { fake, page, open, eyes } = await scene(t, {});
  const bob = fake.add("bob");
  const one = (at) => addImage(fake, bob, png(640, 400, [60 * at, 90, 200]), { description: `Picture ${at}` });
  for (const count of [1, 2, 3, 4]) {
    const images = Array.from({ length: count }, (_, at) => one(at + 1));
    addPost(fake, bob, `There are ${count}.`, { images });
  }
  const tall = addImage(fake, bob, png(200, 1_600), { width: 200, height: 1_600 });
  addPost(fake, bob, "A tall one.", { images: [tall] });
  await open("/discover");
  await article(page, "There are 1.").waitFor();
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await page.waitForFunction(() => [...document.images].every(({ complete }) => complete));
  const sizes = await page.locator(".pictures img").evaluateAll((all) =>
    all.map((image) => image.getBoundingClientRect()).map(({ width, height }) => [width, height]),
  );
  assert.ok(sizes.every(([width, height]) => width >= 60 && height >= 60 && height <= 600), `${sizes}`);
  await eyes.look("attached-grids");
});

test("a picture alone is a post, and what is wrong with a file is told before it is sent", async (t) => {
  const { fake, page, open, eyes } = await scene(t, { name: "ada" });
  await open("/home");
  await choose(page, [{ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("x") }]);
  await page.getByText("The picture has to be a PNG, JPEG or WebP file.").waitFor();
  await choose(page, [{ ...SEA, buffer: Buffer.alloc(6 * 1024 * 1024) }]);
  await page.getByText("The picture has more than 5 MB.").waitFor();
  await choose(page, [{ ...SEA, buffer: SEA.buffer.subarray(0, 20) }]);
  await page.getByText("This file is no picture that can be read.").waitFor();
  await eyes.look("attached-wrong");
  assert.equal(await page.locator(".attached-picture").count(), 0);
  await choose(page, Array(5).fill(SEA));
  await page.getByText("sea.png: A post has 4 pictures at most.").waitFor();
  assert.equal(await page.locator(".attached-picture").count(), 4);
  assert.ok(await button(page, "Add pictures").isDisabled());
  for (const at of [4, 3, 2]) await button(page, `Remove picture ${at}`).click();
  await page.getByLabel("What is on the picture?").fill("x".repeat(1_501));
  await button(page, "Post").click();
  await page.getByText("At most 1,500 characters.").waitFor();
  await page.getByLabel("What is on the picture?").fill("");
  await button(page, "Post").click();
  await page.getByText("Your post is out.").waitFor();
  const [post] = fake.posts.values();
  assert.deepEqual([post.text, post.images.length], ["", 1]);
  assert.equal(sent(fake, "POST", "/images").length, 1);
  // And it needs no text when it is edited.
  const shown = page.getByRole("article").first();
  await shown.getByRole("button", { name: "More" }).click();
  await button(page, "Edit").click();
  await button(page, "Save").click();
  await page.getByText("Saved.").waitFor();
});

test("pictures that are read at once are no more than a post has", async (t) => {
  const { page, open } = await scene(t, { name: "ada" });
  await open("/home");
  await choose(page, Array(3).fill(SEA));
  await page.getByLabel("What is on picture 3?").waitFor();
  await page.evaluate(() => {
    const read = window.createImageBitmap.bind(window);
    window.held = [];
    window.createImageBitmap = (...of) => new Promise((done) => window.held.push(() => done(read(...of))));
  });
  await choose(page, [SEA]);
  await choose(page, [PIER]);
  await page.waitForFunction(() => window.held.length === 2);
  await page.evaluate(() => window.held.forEach((go) => go()));
  await page.getByText("A post has 4 pictures at most.").waitFor();
  assert.equal(await page.locator(".attached-picture").count(), 4);
});

test("a card says when what it showed is gone, and a quote shows a stream", async (t) => {
  const { fake, page, open } = await scene(t, {});
  const bob = fake.add("bob");
  addPost(fake, bob, "", {});
  const stream = { name: "harbour", title: "The harbour", is_live: false, owner: "bob" };
  const quoted = addPost(fake, bob, "Look at this.", { stream });
  addPost(fake, bob, "I did.", { quote: quoted.id });
  await open("/discover");
  await page.getByText("What this showed is not there any more.").waitFor();
  const quote = article(page, "I did.").locator("blockquote");
  await quote.getByRole("link", { name: "The harbour" }).waitFor();
});

test("what was sent is not sent again, unless the server does not know it any more", async (t) => {
  const { fake, page, open } = await scene(t, { name: "ada" });
  await open("/home");
  await choose(page, [SEA]);
  fake.faults.set("POST /api/v1/posts", "drop");
  await button(page, "Post").click();
  await page.getByText("The server does not answer.").waitFor();
  fake.faults.clear();
  fake.faults.set("POST /api/v1/posts", invalid("images", "there is no picture"));
  await button(page, "Post").click();
  await page.getByText("There is no picture.").waitFor();
  assert.equal(sent(fake, "POST", "/images").length, 1);
  await button(page, "Post").click();
  await page.getByText("Your post is out.").waitFor();
  assert.equal(sent(fake, "POST", "/images").length, 2);
});

test("a post shows a stream that is named or chosen of those that are live", async (t) => {
  const { fake, page, open, eyes } = await scene(t, { name: "ada" });
  fake.live.push(liveStream("harbour"));
  await open("/home");
  await button(page, "Add a stream").click();
  const field = page.getByLabel("The name of the stream");
  await page.locator(".composer datalist option[value=harbour]").waitFor({ state: "attached" });
  await button(page, "Post").click();
  await page.getByText("Fill this in.").waitFor();
  await eyes.look("attached-stream");
  await field.fill("nowhere");
  await button(page, "Post").click();
  await page.getByText("No such stream.").waitFor();
  await button(page, "Remove the stream").click();
  assert.ok(await button(page, "Add pictures").isEnabled());
  await button(page, "Add a stream").click();
  await field.fill("harbour");
  await button(page, "Post").click();
  await page.getByText("Your post is out.").waitFor();
  await page.getByRole("article").getByRole("link", { name: /harbour/ }).waitFor();
  assert.equal(await field.isVisible(), false);
});

describe("a video is chosen, taken back and posted", () => {
  for (const kind of Object.keys(SIZES)) {
    test(kind, async (t) => {
      const { fake, page, user, open, eyes } = await scene(t, { name: "ada", kind });
      await page.route("**/poster.jpg", (route) => route.fulfill({ contentType: "image/png", body: png(640, 360) }));
      addRecording(addStream(fake, user, "harbour"), { started_at: "2027-01-15T08:00:00Z" });
      addVideo(fake, user, "A day at sea", { created_at: "2027-01-19T08:00:00Z" });
      const isComing = { state: "transcoding", duration: null, playback: null };
      addVideo(fake, user, "A night at sea", { created_at: "2027-01-18T08:00:00Z", ...isComing });
      fake.pageSize = 3;
      const garden = addStream(fake, user, "garden");
      const [older, newer] = ["2027-01-16T08:00:00Z", "2027-01-17T08:00:00Z"].map((started_at) =>
        addRecording(garden, { started_at }),
      );
      await open("/home");
      await button(page, "Add a video").click();
      const choice = page.getByRole("group", { name: "Which video?" });
      const videos = choice.getByRole("listitem");
      await videos.filter({ hasText: "garden" }).waitFor();
      await videos.filter({ hasText: "A day at sea" }).getByText("1:02").waitFor();
      assert.equal(await videos.count(), 2);
      assert.ok(await button(page, "Add pictures").isDisabled());
      assert.ok(await button(page, "Add a stream").isDisabled());
      await choice.getByRole("button", { name: "Show more" }).click();
      await videos.filter({ hasText: "harbour" }).waitFor();
      assert.equal(await videos.count(), 4);
      await page.waitForFunction(() => [...document.images].every(({ naturalWidth }) => naturalWidth > 0));
      await eyes.look("attached-videos");
      await button(page, "Close the list").click();
      assert.ok(await button(page, "Add a video").evaluate((one) => one === document.activeElement));

      const choose = async (text) => {
        await button(page, "Add a video").click();
        await choice.getByRole("button", { name: text }).click();
      };
      await choose(/^Choose: A day at sea, 19/);
      const remove = page.getByRole("button", { name: /^Remove: A day at sea, 19/ });
      await remove.waitFor();
      assert.ok(await remove.evaluate((one) => one === document.activeElement));
      assert.equal(await choice.isVisible(), false);
      await remove.press("Enter");
      assert.equal(await remove.count(), 0);
      assert.ok(await button(page, "Add pictures").isEnabled());
      await choose(/^Choose: garden, 17/);
      await page.getByRole("list", { name: "The video of the post" }).getByText("59:59").waitFor();
      await eyes.look("attached-own-video");
      // It is a post without a word.
      await button(page, "Post").click();
      await page.getByText("Your post is out.").waitFor();
      const [post] = fake.posts.values();
      assert.equal(post.video.id, newer.id);
      assert.notEqual(post.video.id, older.id);
      await page.getByRole("article").getByRole("link", { name: "garden" }).waitFor();
      assert.equal(await page.getByRole("button", { name: /^Remove: / }).count(), 0);
    });
  }
});

test("an imported video is posted as a recording is", async (t) => {
  const { fake, page, user, open } = await scene(t, { name: "ada" });
  const video = addVideo(fake, user, "A day at sea");
  await open("/home");
  await button(page, "Add a video").click();
  await page.getByRole("button", { name: /^Choose: A day at sea/ }).click();
  await button(page, "Post").click();
  await page.getByText("Your post is out.").waitFor();
  const [post] = fake.posts.values();
  assert.deepEqual([post.video.id, post.video.stream], [video.id, null]);
  await page.getByRole("article").getByRole("link", { name: /A day at sea/ }).waitFor();
});

test("whoever has no video that plays is told, and one that is gone is told and taken away", async (t) => {
  const { fake, page, user, open } = await scene(t, { name: "ada" });
  addVideo(fake, user, "A day at sea", { state: "transcoding", playback: null });
  await open("/home");
  await button(page, "Add a video").click();
  await page.getByText("No video of yours is ready yet.").waitFor();
  await button(page, "Close the list").click();
  const stream = addStream(fake, user, "garden");
  addRecording(stream);
  fake.faults.set("GET /api/v1/me/videos", "drop");
  await button(page, "Add a video").click();
  await page.getByText("The server does not answer.").waitFor();
  fake.faults.clear();
  await button(page, "Try again").click();
  await page.getByRole("button", { name: /^Choose: garden/ }).click();
  await writing(page).fill("Look at this.");
  stream.recordings = [];
  await button(page, "Post").click();
  await page.getByText("This video is not there any more. Choose another one.").waitFor();
  assert.equal(await page.getByRole("button", { name: /^Remove: / }).count(), 0);
  assert.equal(await writing(page).inputValue(), "Look at this.");
  await button(page, "Post").click();
  await page.getByText("Your post is out.").waitFor();
});

test("a post shows a video, which plays on a page of its own", async (t) => {
  const { fake, page, open, eyes } = await scene(t, { kind: "phone" });
  const bob = fake.add("bob");
  const id = "0190a5c0-0000-7000-8000-000000000000";
  const files = { playlist: "index.m3u8", manifest: "manifest.mpd", poster: "poster.jpg" };
  const urls = Object.fromEntries(Object.entries(files).map(([name, file]) => [name, `/vod/${id}/${file}`]));
  const video = { id, title: "A day at sea", duration: 3_725.4, stream: null, ...urls };
  const post = addPost(fake, bob, "", { video });
  await page.route("**/poster.jpg", (route) =>
    route.fulfill({ contentType: "image/png", body: png(640, 360) }),
  );
  await open("/discover");
  const card = page.getByRole("article").first();
  await card.getByText("1:02:05").waitFor();
  await page.waitForFunction(() => document.querySelector(".video img")?.naturalWidth > 0);
  await eyes.look("attached-video");
  await card.getByRole("link", { name: /A day at sea/ }).click();
  await page.waitForURL(new RegExp(`/posts/${post.id}/video$`));
  await page.getByRole("heading", { name: "A day at sea" }).waitFor();
  assert.equal(await page.locator("video").getAttribute("poster"), urls.poster);
  assert.equal(await page.locator(".chat").count(), 0);
  await eyes.look("attached-video-page");
  await page.getByRole("link", { name: "The post that it is on" }).click();
  await page.waitForURL(new RegExp(`/posts/${post.id}$`));
  post.is_deleted = true;
  await open(`/posts/${post.id}/video`);
  await page.getByText("This video is deleted, or it is not for you.").waitFor();
});

test("a moderator deletes somebody else's post, and nobody else is offered that", async (t) => {
  const { fake, page, open, eyes } = await scene(t, { name: "ada" });
  const post = addPost(fake, fake.add("bob"), "Not as it should be.");
  await open(`/posts/${post.id}`);
  const shown = article(page, "Not as it should be.");
  await shown.getByRole("button", { name: "More" }).click();
  assert.equal(await button(page, "Delete as a moderator…").count(), 0);
  fake.users.get("ada").role = "moderator";
  // Whoever gets another role logs in again.
  await page.evaluate(() => localStorage.setItem("nova.session", JSON.stringify({ name: "ada", role: "moderator" })));
  await open(`/posts/${post.id}`);
  await shown.getByRole("button", { name: "More" }).click();
  await button(page, "Delete as a moderator…").click();
  await page.getByText("Delete somebody else's post, as a moderator?").waitFor();
  await eyes.look("post-moderated");
  fake.faults.set(`DELETE /api/v1/posts/${post.id}`, new Refusal(403, "forbidden", "This needs the role moderator."));
  await button(page, "Delete").click();
  await page.getByText("This needs the role moderator.").waitFor();
  await button(page, "Delete").click();
  await page.getByText("The post is deleted.").waitFor();
  assert.ok(post.is_deleted);
});
