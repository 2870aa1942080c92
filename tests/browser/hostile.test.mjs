// What people write is text on every page, whatever it looks like; in front of `fake-api.mjs`.
//
//   [EVERY=1] node --test hostile.test.mjs
//
// All texts are in every field of the lists; where a text needs a page of its own, one of sixteen
// is tried, and with EVERY=1 every one.
import assert from "node:assert/strict";
import { test } from "node:test";

import { addImage, addPost, editPost, TURNS } from "./fake-posts.mjs";
import { addRecording, addStream, shownRecording } from "./fake-streams.mjs";
import { Refusal } from "./fake-refusals.mjs";
import { Guard, HOSTILE } from "./guard.mjs";
import { begin, bringSound, seek, SOUND, START } from "./sound.mjs";
import { button, stage } from "./stage.mjs";

const TEXTS = HOSTILE.map(({ text }) => text);
/** From one text that is tried on a page of its own to the next. */
const STEP = process.env.EVERY === "1" ? 1 : 16;
const OF_THEIR_OWN = [...TEXTS.entries()].filter(([at]) => at % STEP === 0);
const TABS = 4;
/** Texts in one chat: it shows no more than 200 messages, and has two for each text. */
const IN_A_CHAT = 80;

const scene = stage();

/** A scene with a guard over it, and enough on one page for all texts. */
async function guarded(t, options) {
  const made = await scene(t, options);
  Object.assign(made.fake, { pageSize: 3 * TEXTS.length, meansHarm: true });
  const guard = await Guard.over(made.context, made.fake.url);
  // The guard sees the pages that come after it.
  const page = await made.context.newPage();
  return { ...made, guard, page, open: (path) => page.goto(made.fake.url + path) };
}

/** What could be a text's piece if the server read it so, and a server that is not ours. */
const pieces = (text) =>
  ["mention", "hashtag", "link"].map((kind) => {
    return { text, mention: null, hashtag: null, link: null, [kind]: text };
  });

/** Does something for each text that gets a page of its own, in some tabs at a time. */
async function forEach(context, act) {
  const rest = [...OF_THEIR_OWN];
  const tab = async () => {
    const page = await context.newPage();
    for (let next = rest.shift(); next !== undefined; next = rest.shift()) await act(page, ...next);
    await page.close();
  };
  await Promise.all(Array.from({ length: TABS }, tab));
}

/** As a browser has it in a text field. */
const typed = (text) => text.replace(/\r\n?/g, "\n");

test("the corpus is one", () => {
  assert.ok(TEXTS.length >= 200, `${TEXTS.length} texts`);
  assert.equal(new Set(TEXTS).size, TEXTS.length);
  assert.ok(TEXTS.every((text) => [...text].length <= 200));
});

test("taken for markup, many of the texts run, and the guard sees it", async (t) => {
  const { guard, page } = await guarded(t);
  await page.evaluate((texts) => {
    const frames = texts.map((text, at) => {
      const frame = document.createElement("iframe");
      frame.srcdoc = `<!doctype html><body>${text}`;
      frame.id = String(at);
      return frame;
    });
    document.body.append(...frames);
  }, TEXTS);
  const ran = () => new Set(guard.seen.map(({ frame }) => frame).filter((frame) => frame !== null));
  const deadline = Date.now() + 20_000;
  while (ran().size < 80 && Date.now() < deadline) await page.waitForTimeout(100);
  console.log(`${ran().size} of ${TEXTS.length} texts run as markup`);
  assert.ok(ran().size >= 80, `${ran().size} run`);
  assert.ok(guard.seen.some(({ what }) => what.startsWith("asked: https://foreign.example")));
});

test("the guard sees what the policy of a page stops", async (t) => {
  const { guard, page, open } = await guarded(t);
  await open("/discover");
  await page.getByText("Nobody has posted yet.").waitFor();
  await guard.check(page, "as it is");
  await page.evaluate(() => {
    try {
      document.body.innerHTML = "<p>x</p>";
    } catch {
      // That is what the policy is for.
    }
    document.body.append(document.createElement("iframe"));
  });
  await assert.rejects(() => guard.check(page, "with a frame"), /iframe/);
  assert.ok(guard.seen.some(({ what }) => what.startsWith("stopped: require-trusted-types-for")));
});

test("in lists, as the server reads the texts and as one that means harm would", async (t) => {
  const { fake, guard, page, open } = await guarded(t);
  let quote = null;
  const posts = TEXTS.flatMap((text, at) => {
    const author = fake.add(`u${at}`, { display_name: text });
    const stream = { name: text, title: text, is_live: true, owner: text };
    const images = [addImage(fake, author, null, { description: text }), hostileImage(text)];
    const urls = { playlist: text, manifest: text, poster: text };
    const video = { id: text, title: text, duration: at, stream: text, ...urls };
    const plain = addPost(fake, author, text, { quote, stream });
    quote = plain.id;
    return [plain, addPost(fake, author, text.repeat(3), { parts: pieces(text), images, video })];
  });
  // All at once, however many were asked for.
  const streams = TEXTS.map((name) => ({ name, title: name, owner: name, started_at: name, playlist: name }));
  await page.route(/\/api\/v1\/live\?/, (route) => route.fulfill({ json: { streams, next: null } }));
  await open("/discover");
  const live = page.locator('[data-part="live"] .trend-name');
  await live.nth(TEXTS.length - 1).waitFor({ state: "attached" });
  assert.deepEqual(await live.allTextContents(), TEXTS);
  const shown = page.locator(".post > .post-text");
  await shown.nth(posts.length - 1).waitFor();
  const texts = posts.map(({ text }) => text).reverse();
  assert.deepEqual(await shown.allTextContents(), texts);
  assert.deepEqual(
    await page.locator(".post-author").allTextContents(),
    TEXTS.flatMap((text) => [text, text]).reverse(),
  );
  assert.deepEqual(
    await page.locator(".post > .post-shown > .pictures img").evaluateAll((all) => all.map(({ alt }) => alt)),
    TEXTS.filter((text) => text !== "").reverse(),
  );
  await guard.check(page, "discover");
  for (const post of posts) post.likes.add({});
  await page.getByRole("link", { name: "Trending" }).click();
  await page.getByRole("list", { name: "Trending posts" }).waitFor();
  await guard.check(page, "trending");
});

/** A picture as a server would tell of it that means harm: it is shown nowhere. */
function hostileImage(text) {
  return { id: text, url: text, preview_url: text, width: text, height: text, description: text };
}

test("on the page of a video, and in what was said meanwhile", async (t) => {
  const { fake, context, guard, page, open } = await guarded(t);
  await bringSound(page);
  const bea = fake.add("bea");
  const post = (stream, more) => {
    const video = shownRecording(stream, addRecording(stream, { playlist: SOUND }));
    return addPost(fake, bea, "", { video: { ...video, ...more } });
  };
  for (let from = 0; from < TEXTS.length; from += IN_A_CHAT) {
    const texts = TEXTS.slice(from, from + IN_A_CHAT);
    const stream = addStream(fake, bea, `garden-${from}`);
    const room = fake.chat.room(stream.name);
    let answered = null;
    const say = (text) => {
      const message = { text, media_time: START + 1_000, reply_to: answered };
      const said = fake.chat.say({ ...bea, display_name: text }, room, message, { force: true });
      answered = said.id;
      return said;
    };
    for (const text of texts) {
      say(text);
      say(text).parts = pieces(text);
    }
    await open(`/posts/${post(stream).id}/video`);
    await page.locator(".chat").waitFor();
    // Begun before them, they are said one after the other; else they are history, which is read by scrolling.
    const begun = page.waitForResponse(/backwards=false&first=60/);
    await begin(page);
    await begun;
    await seek(page, 10);
    const shown = page.locator(".chat-text > p");
    await shown.nth(2 * texts.length - 1).waitFor({ state: "attached" });
    assert.deepEqual(await shown.allTextContents(), texts.flatMap((text) => [text, text.repeat(3)]));
    await guard.check(page, `the chat from text ${from} on`);
  }
  const stream = addStream(fake, bea, "garden");
  const posts = new Map(OF_THEIR_OWN.map(([at, title]) => [at, post(stream, { title, stream: null })]));
  await forEach(context, async (tab, at, text) => {
    await tab.goto(`${fake.url}/posts/${posts.get(at).id}/video`);
    await tab.locator("video[aria-label]").waitFor({ state: "attached" });
    assert.equal(await tab.locator("#video-name").textContent(), text);
    await guard.check(tab, `the video ${text}`);
  });
});

test("as the titles of the videos that one may choose from", async (t) => {
  const { fake, guard, page, open, user } = await guarded(t, { name: "ada" });
  const stream = addStream(fake, user, "garden");
  for (const text of TEXTS) addRecording(stream, { title: text, poster: text });
  await open("/home");
  await button(page, "Add a video").click();
  const rows = page.locator(".own-video");
  await rows.nth(TEXTS.length - 1).waitFor();
  assert.deepEqual(await rows.locator("b").allTextContents(), [...TEXTS].reverse());
  await guard.check(page, "the choice of a video");
  await rows.first().getByRole("button").click();
  await rows.nth(1).waitFor({ state: "detached" });
  assert.deepEqual(await rows.locator("b").allTextContents(), TEXTS.slice(-1));
  await guard.check(page, "the chosen video");
});

test("in every field of a profile, and as what is looked for", async (t) => {
  const { fake, context, guard } = await guarded(t);
  for (const [at, text] of TEXTS.entries()) {
    // All of them are on the pages that are tried.
    const links = TEXTS.slice(at, at + STEP).flatMap((label) => {
      return [label, `https://example.org/${label}`].map((url) => ({ label, url }));
    });
    const user = fake.add(`u${at}`, { display_name: text, bio: text, links });
    addPost(fake, user, text);
    addStream(fake, { name: text }, text, { title: text });
  }
  await forEach(context, async (page, at, text) => {
    await page.goto(`${fake.url}/@u${at}`);
    await page.locator(".post > .post-text").waitFor();
    assert.equal(await page.locator("#profile-name").textContent(), text);
    assert.equal(await page.locator(".bio").textContent(), text);
    await guard.check(page, `the profile of ${text}`);

    const labels = await page.locator(".profile-links a").allTextContents();
    for (const label of TEXTS.slice(at, at + STEP)) assert.ok(labels.includes(label), label);

    await page.goto(`${fake.url}/search?q=${encodeURIComponent(text)}`);
    const looked = text.trim();
    await page.getByRole("list", { name: "Posts that were found" }).waitFor();
    assert.equal(await page.locator("#query").inputValue(), looked.replace(/[\r\n]/g, ""));
    assert.ok((await page.locator(".post > .post-text").allTextContents()).includes(text));
    for (const [tab, list] of [["People", "People who were found"], ["Streams", "Streams that were found"]]) {
      await page.getByRole("link", { name: tab, exact: true }).click();
      await page.getByRole("list", { name: list }).waitFor();
    }
    await guard.check(page, `the search for ${text}`);
  });
});

test("in the address of every page that has a name in it", async (t) => {
  const { fake, context, guard } = await guarded(t);
  await forEach(context, async (page, _, text) => {
    const encoded = encodeURIComponent(text);
    for (const [path, title] of [
      [`/hashtags/${encoded}`, `#${text}`],
      [`/posts/${encoded}`, "Nothing here"],
      [`/@${encoded}`, "Nobody here"],
      [`/login?next=${encoded}&because=${encoded}#${encoded}`, "Log in"],
    ]) {
      await page.goto(fake.url + path);
      const heading = page.locator("main h1");
      await heading.waitFor();
      assert.equal(await heading.textContent(), title, path);
      await guard.check(page, path);
    }
  });
});

test("as it is typed: posts, comments, reports, and what the server says to them", async (t) => {
  const { fake, guard, page } = await guarded(t, { name: "ada" });
  const bob = fake.add("bob");
  const post = addPost(fake, bob, "Say what you want.");
  await page.goto(`${fake.url}/posts/${post.id}`);
  const comment = page.getByLabel("Your comment");
  const send = button(page, "Comment");
  await comment.waitFor();
  const texts = OF_THEIR_OWN.map(([, text]) => text);
  for (const text of texts) {
    await comment.fill(text);
    const refusal = new Refusal(400, "validation", text, { errors: [{ field: "text", message: text }] });
    fake.faults.set("POST /api/v1/posts", refusal);
    await send.click();
    await page.waitForFunction(() => document.querySelector("textarea").ariaInvalid === "true");
    fake.faults.set("POST /api/v1/posts", new Refusal(500, text, text));
    await send.click();
    const alert = page.locator(".composer > .form-alert");
    await page.waitForFunction(() => document.querySelector(".composer > .form-alert").textContent !== "");
    assert.equal(await alert.textContent(), text);
    assert.equal(await comment.inputValue(), typed(text));
    // What turns the direction of a text is refused, here as there.
    if (!TURNS.test(text)) {
      await send.click();
      await page.getByText("Your comment is posted.").waitFor();
    }
  }
  const taken = texts.filter((text) => !TURNS.test(text));
  const shown = page.locator(".posts .post-text");
  assert.deepEqual(await shown.allTextContents(), taken.map(typed).reverse());
  await guard.check(page, "comments");

  const main = page.locator(".post").first();
  for (const text of texts) {
    await main.getByRole("button", { name: "More" }).click();
    await main.getByRole("button", { name: "Report…" }).click();
    await page.getByLabel("Why").selectOption("other");
    await page.getByLabel("What happened").fill(text);
    await button(page, "Send the report").click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
  }
  assert.deepEqual(fake.reports.map((report) => report.comment), texts.map(typed));
  await guard.check(page, "reports");
});

test("as every text that a post ever had", async (t) => {
  const { fake, guard, page, open } = await guarded(t);
  const post = addPost(fake, fake.add("bob"), "First.");
  for (const text of TEXTS) editPost(post, text);
  await open(`/posts/${post.id}`);
  await button(page, "Edited").click();
  const shown = page.getByRole("dialog").locator(".post-text");
  await shown.nth(TEXTS.length - 1).waitFor();
  assert.deepEqual(await shown.allTextContents(), ["First.", ...TEXTS.slice(0, -1)].reverse());
  await guard.check(page, "history");
});

test("in the settings, and from there in the header of every page", async (t) => {
  const { fake, guard, page, open, user } = await guarded(t, { name: "ada" });
  await open("/settings");
  const label = (name) => page.getByLabel(name, { exact: true });
  await label("Shown name").waitFor();
  for (const [, text] of OF_THEIR_OWN) {
    const name = [...text].slice(0, 50).join("");
    await label("Shown name").fill(name);
    await label("About you").fill(text);
    if ((await label("Label").count()) === 0) await button(page, "Add a link").click();
    await label("Label").fill(text);
    await label("Address").fill(text);
    await button(page, "Save the profile").click();
    await page.getByText(/^(A link begins with|A link has to lead|Saved)/).waitFor();
    await label("Address").fill("https://example.org/");
    await button(page, "Save the profile").click();
    await page.getByText("Saved.").waitFor();
    assert.equal(user.bio, typed(text));
    assert.equal(await page.locator(".menu-name").textContent(), user.display_name);
    await guard.check(page, `the settings with ${text}`);
  }
});

/** Everything that can be a text, but what a page needs to ask on. */
function poison(value, text, key = "") {
  if (Array.isArray(value)) return value.map((item) => poison(item, text, key));
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, poison(item, text, name)]));
  }
  const isNeeded = ["id", "reply_to", "thread", "avatar_url", "access_token", "next"].includes(key);
  return typeof value === "string" && !isNeeded ? text : value;
}

test("from a server that means harm in every field that it fills", async (t) => {
  const { fake, context, guard } = await guarded(t);
  const [ada, bob] = ["ada", "bob"].map((name) => fake.add(name));
  const stream = { name: "garden", title: "Garden", is_live: true, owner: "bob" };
  const first = addPost(fake, bob, "The first of @bob, with #birds and https://example.org/.", { stream });
  const post = addPost(fake, ada, "The second.", { reply_to: first.id, quote: first.id });
  addPost(fake, bob, "Third, @ada #birds", { reply_to: post.id });
  addPost(fake, bob, "", { share_of: post.id });
  editPost(post, "The second, better.");
  await forEach(context, async (page, _, text) => {
    for (const path of [`/posts/${post.id}`, "/@bob", "/discover"]) {
      await page.route("**/api/v1/**", async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, json: poison(await response.json(), text) });
      });
      await page.goto(fake.url + path);
      // Nobody is called so, then there is no list.
      await page.locator(".post .post-text, .paged .form-alert:not(:empty)").first().waitFor();
      await page.waitForLoadState("networkidle");
      await page.unrouteAll({ behavior: "wait" });
      await guard.check(page, `${path} with ${text}`);
    }
  });
});
