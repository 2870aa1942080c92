// The pages of posts in Chromium, in front of `fake-api.mjs`.
//
//   [SCREENS=FOLDER] node --test posts.test.mjs
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { SIZES } from "./eyes.mjs";
import { addPost, editPost } from "./fake-posts.mjs";
import { addStream, foundStream, liveStream } from "./fake-streams.mjs";
import { invalid, Refusal, tooOften } from "./fake-refusals.mjs";
import { PostsWalk, settled } from "./posts-walk.mjs";
import { button, logIn, stage } from "./stage.mjs";

const scene = stage();

const article = (page, text) => page.locator(".post").filter({ hasText: text }).first();
const writing = (page) => page.getByLabel("What do you want to say?");
const sent = (fake, method, end) =>
  fake.asked.filter((asked) => asked.method === method && asked.path.endsWith(end));

describe("two people write, read and quarrel", { concurrency: true }, () => {
  for (const kind of Object.keys(SIZES)) {
    test(kind, async (t) => {
      const { fake, page, eyes } = await scene(t, { kind });
      const [reader, writer] = ["ada", "bob"].map((name) => fake.add(name));
      writer.display_name = "Bob the Boatman";
      await new PostsWalk({ page, eyes, base: fake.url, reader, writer }).all();
      const [{ user, post, reason }] = fake.reports;
      assert.deepEqual([user, reason, fake.posts.has(post)], ["bob", "other", true]);
    });
  }
});

test("whoever is not logged in is led to what everybody sees", async (t) => {
  const { fake, page, open, eyes } = await scene(t, { kind: "phone" });
  const post = addPost(fake, fake.add("bob"), "Hello, whoever you are.");
  await open("/home");
  await page.waitForURL(/\/discover$/);
  await article(page, "whoever you are").waitFor();
  assert.equal(await page.getByRole("link", { name: "Home", exact: true }).count(), 0);
  await eyes.look("posts-visitor");
  assert.equal(await button(page, "More").count(), 0);
  await button(page, "Like").click();
  await page.waitForURL(/\/login\?next=%2Fdiscover$/);
  await open(`/posts/${post.id}`);
  await page.getByRole("link", { name: "Log in to comment" }).waitFor();
  await eyes.look("posts-visitor-thread");
});

test("what was typed stays when it cannot be sent, and is sent once under one key", async (t) => {
  const { fake, page, open } = await scene(t, { name: "ada" });
  await open("/home");
  await writing(page).fill("A post on a bad line.");
  fake.faults.set("POST /api/v1/posts", "drop");
  await button(page, "Post").click();
  await page.getByText("The server does not answer.").waitFor();
  assert.equal(await writing(page).inputValue(), "A post on a bad line.");
  fake.faults.clear();
  fake.faults.set("POST /api/v1/posts", tooOften(40));
  await button(page, "Post").click();
  await page.getByText("Try again in 40 seconds.").waitFor();
  await button(page, "Post").click();
  await page.getByText("Your post is out.").waitFor();
  const keys = sent(fake, "POST", "/posts").map(({ headers }) => headers["idempotency-key"]);
  assert.match(keys[0], /^[0-9a-f]{32}$/);
  assert.equal(new Set(keys).size, 1);
  // The same words again are another post.
  await writing(page).fill("A post on a bad line.");
  await button(page, "Post").click();
  await page.getByRole("article").nth(1).waitFor();
  assert.equal(fake.posts.size, 2);
});

test("what the server says of a text stands at it", async (t) => {
  const { fake, page, open, eyes } = await scene(t, { name: "ada" });
  await open("/home");
  await writing(page).fill("One.");
  fake.faults.set("POST /api/v1/posts", invalid("text", "expected at most 30 hashtags"));
  await button(page, "Post").click();
  await page.getByText("Expected at most 30 hashtags.").waitFor();
  assert.equal(await writing(page).getAttribute("aria-invalid"), "true");
  assert.ok(await writing(page).evaluate((field) => field === document.activeElement));
  await eyes.look("posts-text-wrong");
});

test("what was typed is there after the login that had to come between", async (t) => {
  const { fake, page, open, user } = await scene(t, { name: "ada" });
  await open("/home");
  await writing(page).fill("Half a thought");
  fake.endSessions(user);
  await button(page, "Post").click();
  await page.waitForURL(/\/login\?next=%2Fhome/);
  await page.getByLabel("Password", { exact: true }).fill(user.password);
  await page.getByLabel("Name or e-mail").fill("ada");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/home$/);
  await page.waitForFunction(() => document.querySelector("textarea")?.value === "Half a thought");
});

test("a like is shown at once, and taken back if it is refused", async (t) => {
  const { fake, page, open, user } = await scene(t, { name: "ada" });
  const post = addPost(fake, fake.add("bob"), "Like me.");
  await open("/discover");
  const shown = article(page, "Like me.");
  await shown.waitFor();
  const path = `**/api/v1/posts/${post.id}/like`;
  let go;
  const held = new Promise((resolve) => (go = resolve));
  await page.route(path, async (route) => {
    await held;
    await route.fulfill({ status: 503, headers: { "Retry-After": "30" }, json: { detail: "Busy." } });
  });
  await shown.getByRole("button", { name: "Like" }).click();
  await shown.getByRole("button", { name: "Like 1", pressed: true }).waitFor();
  go();
  await shown.getByText("Try again in 30 seconds.").waitFor();
  await shown.getByRole("button", { name: "Like", pressed: false, exact: true }).waitFor();
  await page.unroute(path);
  await shown.getByRole("button", { name: "Like" }).click();
  await shown.getByRole("button", { name: "Like 1", pressed: true }).waitFor();
  await settled(shown);
  assert.ok(post.likes.has(user));
});

test("who thinks twice before the server has answered has the last word", async (t) => {
  const { fake, page, open, user } = await scene(t, { name: "ada" });
  const post = addPost(fake, fake.add("bob"), "Like me, or not.");
  await open("/discover");
  const shown = article(page, "Like me, or not.");
  const path = `/api/v1/posts/${post.id}/like`;
  const told = () => fake.asked.filter((asked) => asked.path === path).map(({ method }) => method);
  let go;
  const held = new Promise((resolve) => (go = resolve));
  await page.route(`**${path}`, async (route) => {
    await held;
    await route.continue();
  });
  for (const pressed of [true, false, true, false]) {
    await shown.getByRole("button", { name: "Like" }).click();
    await shown.getByRole("button", { name: "Like", pressed }).waitFor();
  }
  // Meanwhile another button does what it does.
  await shown.getByRole("button", { name: "Share" }).click();
  await shown.getByRole("button", { name: "Share 1", pressed: true }).waitFor();
  assert.deepEqual(told(), []);
  go();
  await settled(shown);
  assert.deepEqual(told(), ["PUT", "DELETE"]);
  assert.ok(!post.likes.has(user));
  await shown.getByRole("button", { name: "Like", pressed: false, exact: true }).waitFor();
});

test("a comment answers, and is as visible as what it answers", async (t) => {
  const { fake, page, open, user } = await scene(t, { name: "ada" });
  const bob = fake.add("bob");
  user.follows.set(bob, "yes");
  const post = addPost(fake, bob, "Only for you.", { visibility: "followers" });
  await open(`/posts/${post.id}`);
  await page.getByText("For followers").first().waitFor();
  assert.equal(await button(page, "Share").count(), 0);
  await page.getByLabel("Your comment").fill("I see.");
  await button(page, "Comment").click();
  await article(page, "I see.").waitFor();
  const comment = [...fake.posts.values()].at(-1);
  assert.deepEqual([comment.visibility, comment.reply_to], ["followers", post.id]);
});

test("a post that is for followers is sent as one", async (t) => {
  const { fake, page, open } = await scene(t, { name: "ada" });
  await open("/home");
  await writing(page).fill("Between us.");
  await page.getByLabel("Who sees it").selectOption("Followers");
  await button(page, "Post").click();
  await article(page, "Between us.").getByText("For followers").waitFor();
  assert.equal([...fake.posts.values()][0].visibility, "followers");
});

test("new posts are told of, and shown when they are wanted", async (t) => {
  const { fake, page, open, user, eyes } = await scene(t, { name: "ada" });
  const bob = fake.add("bob");
  user.follows.set(bob, "yes");
  addPost(fake, bob, "The old one.");
  await page.clock.install();
  await open("/home");
  await article(page, "The old one.").waitFor();
  await page.clock.fastForward(61_000);
  await page.waitForLoadState("networkidle");
  assert.equal(await button(page, "New posts").count(), 0);
  addPost(fake, bob, "The new one.");
  await page.clock.fastForward(61_000);
  await button(page, "New posts").waitFor();
  assert.equal(await page.getByText("The new one.").count(), 0);
  await eyes.look("posts-fresh");
  await button(page, "New posts").click();
  await article(page, "The new one.").waitFor();
  await button(page, "New posts").waitFor({ state: "hidden" });
});

test("a list of posts is read page by page, without gaps or repeats", async (t) => {
  const { fake, page, open } = await scene(t, {});
  const bob = fake.add("bob");
  for (let at = 1; at <= 45; at += 1) addPost(fake, bob, `Post ${at}.`);
  await open("/@bob");
  const rows = page.getByRole("list", { name: "Posts of bob" }).getByRole("article");
  for (const count of [20, 40]) {
    await rows.nth(count - 1).waitFor();
    assert.equal(await rows.count(), count);
    await button(page, "Show more").click();
  }
  await rows.nth(44).waitFor();
  const texts = await page.locator(".post-text").allTextContents();
  assert.deepEqual(texts, Array.from({ length: 45 }, (_, at) => `Post ${45 - at}.`));
  assert.equal(await button(page, "Show more").count(), 0);
});

test("a profile has its comments on another page than its posts", async (t) => {
  const { fake, page, open } = await scene(t, {});
  const bob = fake.add("bob");
  const post = addPost(fake, fake.add("cleo"), "Of somebody else.");
  addPost(fake, bob, "A comment.", { reply_to: post.id });
  await open("/@bob");
  await page.getByText("bob has not posted yet.").waitFor();
  await page.getByRole("link", { name: "Posts and comments" }).click();
  await article(page, "A comment.").getByRole("link", { name: "another post" }).click();
  await page.waitForURL(`**/posts/${post.id}`);
});

test("a comment has what it answers over it, as far up as there is something", async (t) => {
  const { fake, page, open, eyes } = await scene(t, { kind: "phone" });
  const people = ["bob", "cleo"].map((name) => fake.add(name));
  const posts = [];
  for (let at = 0; at < 9; at += 1) {
    const more = { reply_to: posts.at(-1)?.id ?? null };
    posts.push(addPost(fake, people[at % 2], `Step ${at} of a long talk.`, more));
  }
  const [first, , second] = posts;
  const last = posts.at(-1);
  const above = page.getByRole("list", { name: "What it answers" });
  const steps = async () => (await above.locator(".post-text").allTextContents()).map((text) => Number(text[5]));
  const earlier = page.getByRole("link", { name: "Earlier in this thread" });
  await open(`/posts/${last.id}`);
  await earlier.waitFor();
  assert.deepEqual(await steps(), [2, 3, 4, 5, 6, 7]);
  assert.equal(await earlier.getAttribute("href"), `/posts/${posts[1].id}`);
  await eyes.look("posts-ancestors");

  posts[6].is_deleted = true;
  await page.reload();
  await earlier.waitFor();
  assert.deepEqual(await steps(), [7]);
  await above.getByText("This post is not available.").waitFor();
  assert.equal(await earlier.getAttribute("href"), `/posts/${first.id}`);

  first.is_deleted = true;
  await open(`/posts/${second.id}`);
  await above.getByText("This post was deleted.").waitFor();
  assert.deepEqual(await steps(), [1]);
  assert.equal(await earlier.count(), 0);
});

test("what is not there, or not for the one who asks, is said to be missing", async (t) => {
  const { fake, page, open, eyes } = await scene(t, { name: "ada" });
  const bob = fake.add("bob");
  const hidden = addPost(fake, bob, "Not for ada.", { visibility: "followers" });
  const cleo = fake.add("cleo");
  addPost(fake, cleo, "Did you see this?", { quote: hidden.id });
  await open(`/posts/${hidden.id}`);
  await page.getByRole("heading", { name: "Nothing here" }).waitFor();
  await eyes.look("posts-missing");
  await open("/discover");
  await article(page, "Did you see this?").getByText("The quoted post is not available.").waitFor();
  await open("/posts/%");
  await page.getByRole("heading", { name: "Nothing here" }).waitFor();
  fake.faults.set(`GET /api/v1/posts/${hidden.id}`, new Refusal(500, "internal", "Something broke."));
  await open(`/posts/${hidden.id}`);
  await page.getByText("Something broke.").waitFor();
  await button(page, "Try again").click();
  await page.getByRole("heading", { name: "Nothing here" }).waitFor();
});

test("streams and hashtags that are going on lead to where they are", async (t) => {
  for (const kind of Object.keys(SIZES)) {
    const { fake, page, open, eyes } = await scene(t, { kind });
    const bob = fake.add("bob");
    const started_at = new Date(Date.now() - 65 * 60_000).toISOString();
    fake.live = ["garden", "a-stream-with-a-name-that-is-rather-long", "harbour"].map((name) => {
      return liveStream(name, { started_at });
    });
    const garden = addStream(fake, bob, "garden", { title: "The garden at night", live_since: started_at });
    addStream(fake, bob, "garden-2");
    addPost(fake, bob, "", { stream: foundStream(garden) });
    for (const tag of ["tide", "birds", "Überfahrt", "morning", "x".repeat(60)]) {
      addPost(fake, bob, `About #${tag}.`);
    }
    await open("/discover");
    await page.getByRole("link", { name: "#überfahrt 1 post" }).waitFor();
    await page.getByRole("link", { name: "garden Live for 1 h 5 min" }).waitFor();
    await page.getByRole("article").getByRole("link", { name: /The garden at night/ }).waitFor();
    await eyes.look("posts-going-on");
    await page.getByRole("link", { name: "#überfahrt 1 post" }).click();
    await page.waitForURL(/\/hashtags\/%C3%BCberfahrt$/);
    await article(page, "About #Überfahrt.").waitFor();
    await open("/search?q=garden#streams");
    const found = page.getByRole("link", { name: /The garden at night/ });
    await found.waitFor();
    await eyes.look("posts-search-streams");
    assert.equal(await found.getAttribute("href"), "/watch/garden");
  }
});

test("the longest and the oddest that people write fits", async (t) => {
  for (const kind of Object.keys(SIZES)) {
    const { fake, page, open, eyes } = await scene(t, { kind });
    const long = { display_name: "W".repeat(50) };
    const bob = fake.add("b".repeat(32), long);
    const ada = fake.add("a".repeat(32), { display_name: "عادة بنت البحر" });
    const mixed = "שלום עולם, this goes both ways. שלום!";
    const texts = [
      "W".repeat(400),
      `Look: https://example.org/${"path".repeat(60)}?${"query".repeat(40)}`,
      "The boats are out, and the tide is high. ".repeat(121).trim(),
      "一二三四五六七八九十".repeat(40),
      "مرحبا بكم في الميناء. الجو جميل اليوم والقوارب في البحر.\nسطر ثان مع #وسم ورابط https://example.org/",
      mixed,
      "👩‍👩‍👧‍👦🏳️‍🌈🇺🇦👍🏽 ".repeat(20),
      "Line\n".repeat(60),
      `#${"tag".repeat(40)} @${bob.name} ${"word ".repeat(30)}`,
      "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!̵̬̗̼̰͙",
    ];
    const posts = texts.map((text, at) => addPost(fake, at % 2 === 0 ? bob : ada, text));
    addPost(fake, ada, "Says it all.", { quote: posts[0].id });
    addPost(fake, ada, "", { share_of: posts[1].id });
    const stream = { name: "s".repeat(64), title: "W".repeat(140), is_live: true, owner: bob.name };
    const busy = addPost(fake, bob, "On now.", { stream, visibility: "followers", reply_to: posts[5].id });
    editPost(busy, "On now!");
    for (let at = 0; at < 30; at += 1) posts[1].likes.add({ at });
    await open("/discover");
    await page.getByRole("article").nth(9).waitFor();
    await eyes.look("posts-long");
    const story = article(page, "The boats are out");
    await story.getByRole("button", { name: "Show all of it" }).click();
    assert.equal((await story.locator(".post-text").textContent()).length, texts[2].length);
    await logIn(page, fake, bob);
    await open(`/@${bob.name}#comments`);
    await article(page, "On now!").waitFor();
    await eyes.look("posts-long-profile");
    await open(`/posts/${posts[2].id}`);
    await article(page, "The boats are out").waitFor();
    await article(page, "The boats are out").getByRole("button", { name: "More" }).click();
    await eyes.look("posts-long-thread", { but: ["target-size"] });
    await open("/home");
    await writing(page).fill(texts[2]);
    await eyes.look("posts-long-writing");
  }
});

test("the keyboard alone writes, chooses from the menu, and comes back", async (t) => {
  const { fake, page, open, user } = await scene(t, { name: "ada" });
  addPost(fake, user, "Mine.");
  await open("/home");
  const shown = article(page, "Mine.");
  await shown.waitFor();
  const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim() ?? "");
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  await shown.getByRole("button", { name: "Like" }).focus();
  await press("Tab");
  assert.equal(await focused(), "More");
  await press("Enter", "Tab", "Tab");
  assert.equal(await focused(), "Edit");
  await press("Enter");
  assert.ok(await page.getByLabel("Your post").evaluate((field) => field === document.activeElement));
  await press("Control+A");
  await page.keyboard.type("Mine, and better.");
  await press("Control+Enter");
  await page.getByText("Saved.").waitFor();
  assert.equal(await focused(), "More");
  await press("Enter", "Tab", "Tab", "Tab", "Tab", "Enter");
  await page.getByText("Delete this post?").waitFor();
  assert.equal(await focused(), "Keep it");
  await press("Shift+Tab", "Enter");
  await page.getByText("Your post is deleted.").waitFor();
  assert.equal(await focused(), "Your post is deleted.");
});

test("whoever is muted goes from the list at once", async (t) => {
  const { fake, page, open, user } = await scene(t, { name: "ada" });
  const [bob, cleo] = ["bob", "cleo"].map((name) => fake.add(name));
  for (const at of [1, 2, 3]) addPost(fake, bob, `Bob, ${at}.`);
  const kept = addPost(fake, cleo, "Cleo stays.");
  addPost(fake, bob, "", { share_of: kept.id });
  user.follows.set(bob, "yes").set(cleo, "yes");
  await open("/home");
  const second = article(page, "Bob, 2.");
  await second.getByRole("button", { name: "More" }).click();
  await second.getByRole("button", { name: "Mute bob" }).click();
  await page.getByText("You see nothing of bob from now on").waitFor();
  assert.equal(await page.getByText(/^Bob, \d/).count(), 0);
  assert.equal(await page.getByText("Cleo stays.").count(), 1);
  assert.ok(user.mutes.has(bob));
});
