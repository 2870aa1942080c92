// The watch page, what stands below its player and the chat beside it, in Chromium in front of
// `fake-api.mjs`.
//
//   [SCREENS=FOLDER] [EVERY=1] node --test watch-chat.test.mjs
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { SIZES } from "./eyes.mjs";
import { addPost } from "./fake-posts.mjs";
import { addStream, foundStream, goLive } from "./fake-streams.mjs";
import { Guard, HOSTILE } from "./guard.mjs";
import { button, logIn, stage } from "./stage.mjs";

/** Texts in one chat: it shows no more than 200 messages. */
const IN_A_CHAT = 80;
/** From one text that is tried on a page of its own to the next. */
const STEP = process.env.EVERY === "1" ? 1 : 16;
/** What messages are made of. */
const KINDS = ["a", "bdi", "button", "div", "p", "path", "span", "svg", "time"];

const scene = stage();

/** A scene with a stream of Bea's, and her chat. */
async function garden(t, { more = {}, ...options } = {}) {
  const made = await scene(t, options);
  const { fake } = made;
  const bea = fake.add("bea", { display_name: "Bea of the Garden" });
  const stream = addStream(fake, bea, "garden", {
    title: "The garden at night",
    description: "Moths, mostly.",
    ...more,
  });
  const room = fake.chat.room("garden");
  const say = (user, text, rest = {}) => fake.chat.say(user, room, { text, ...rest }, { force: true });
  return { ...made, bea, stream, room, say };
}

const log = (page) => page.getByRole("log", { name: "What is said" });
const field = (page) => page.getByLabel("Your message");
const said = (page, text) => log(page).locator(".chat-message").filter({ hasText: text });
const hint = (page) => page.locator(".chat-hint");
const connected = (page) => page.locator('.chat[data-state="joined"]').waitFor();

async function write(page, text) {
  await field(page).fill(text);
  await field(page).press("Enter");
}

describe("somebody watches, follows and chats", { concurrency: true }, () => {
  for (const kind of Object.keys(SIZES)) {
    test(kind, async (t) => {
      const { fake, page, eyes, open, bea, stream, user, say } = await garden(t, { name: "ada", kind });
      goLive(fake, stream);
      addPost(fake, bea, "", { stream: foundStream(stream) });
      const zed = fake.add("zed");
      const question = say(zed, "Is that a **hawk moth**, @bea? #moths");
      say(bea, "It is one. https://example.org/moths", { reply_to: question.id });
      say(zed, "Look, @ada!");
      await open("/watch/garden");
      await page.getByRole("heading", { level: 1, name: "The garden at night" }).waitFor();
      await said(page, "Answers zed: Is that a **hawk moth**").waitFor();
      await page.getByText("1 is here").waitFor();

      await button(page, "Follow").click();
      await page.getByText("You follow bea now.").waitFor();
      assert.equal(user.follows.get(bea), "yes");
      const like = page.getByRole("button", { name: "Like" });
      await like.click();
      await page.getByRole("button", { name: "Like 1", pressed: true }).waitFor();

      await connected(page);
      await write(page, "Good evening, all.");
      await said(page, "Good evening, all.").waitFor();
      assert.equal(await field(page).inputValue(), "");
      assert.ok(await field(page).evaluate((input) => input === document.activeElement));
      say(bea, "Good evening, ada.");
      await said(page, "Good evening, ada.").waitFor();
      await eyes.look("watch-chat");

      // Reply, and delete what is one's own.
      const hers = said(page, "Good evening, ada.");
      await hers.hover();
      await hers.getByRole("button", { name: "What to do about this message" }).click();
      await button(page, "Reply").click();
      await write(page, "It is.");
      const answer = said(page, "Answers Bea of the Garden: Good evening, ada.");
      await answer.waitFor();
      await answer.getByRole("button", { name: "What to do about this message" }).focus();
      await page.keyboard.press("Enter");
      await answer.getByRole("button", { name: "Delete" }).click();
      await answer.waitFor({ state: "detached" });
      await page.getByText("The message is deleted.").waitFor();

      // The keys of the player are letters here.
      const muted = () => page.evaluate(() => window.nova.video.muted);
      const before = await muted();
      await field(page).press("m");
      assert.equal(await muted(), before);
      assert.equal(await field(page).inputValue(), "m");
    });
  }
});

test("a visitor reads, and is shown the way in", async (t) => {
  const { page, open, eyes, say, bea, fake } = await garden(t);
  say(bea, "Come in.");
  await open("/watch/garden");
  await said(page, "Come in.").waitFor();
  await page.getByRole("link", { name: "Log in to follow" }).waitFor();
  assert.equal(await field(page).isVisible(), false);
  assert.equal(await page.locator(".chat-more").isVisible(), false);
  await eyes.look("watch-visitor");
  await page.getByRole("link", { name: "Log in to chat" }).click();
  await page.waitForURL((url) => url.pathname === "/login" && url.searchParams.get("next") === "/watch/garden");
  assert.deepEqual(fake.chat.heard[0], { type: "hello", version: 1 });
});

test("a lost socket is opened again, and goes on after what was heard", async (t) => {
  const { page, open, say, bea, fake } = await garden(t, { name: "ada" });
  say(bea, "One.");
  await open("/watch/garden");
  await connected(page);
  fake.chat.isDown = true;
  fake.chat.end();
  await page.getByText("Connection lost, trying again…").waitFor();
  const gone = say(bea, "Two.");
  say(bea, "Three.");
  fake.chat.remove(fake.chat.room("garden"), gone.id);
  fake.chat.isDown = false;
  await said(page, "Three.").waitFor();
  assert.equal(await said(page, "Two.").count(), 0);
  const joins = fake.chat.heard.filter(({ type }) => type === "join");
  assert.deepEqual(joins.map(({ after }) => after), [undefined, 1]);
  // The history was read once.
  assert.equal(fake.asked.filter(({ path }) => path.endsWith("/chat/messages")).length, 1);
});

test("what no answer came for is sent again, and said once", async (t) => {
  const { page, open, fake, room } = await garden(t, { name: "ada" });
  await open("/watch/garden");
  await connected(page);
  fake.chat.isMute = true;
  await write(page, "Did you hear?");
  await said(page, "Did you hear?").waitFor();
  assert.equal(await field(page).inputValue(), "Did you hear?");
  fake.chat.isMute = false;
  fake.chat.end(1001);
  await page.waitForFunction(() => document.querySelector(".chat-field").value === "");
  assert.equal(room.messages.length, 1);
  const keys = fake.chat.heard.filter(({ type }) => type === "send").map(({ key }) => key);
  assert.equal(keys.length, 2);
  assert.equal(new Set(keys).size, 1);
});

test("a token that ended is replaced, and a session that ended makes a visitor", async (t) => {
  const { page, open, fake } = await garden(t, { name: "ada" });
  await open("/watch/garden");
  await connected(page);
  fake.access.clear();
  fake.chat.end(4401);
  await page.waitForFunction(() => document.querySelector(".chat").dataset.state !== "joined");
  await connected(page);
  const hellos = fake.chat.heard.filter(({ type }) => type === "hello");
  assert.equal(new Set(hellos.map(({ authorization }) => authorization)).size, hellos.length);
  fake.sessions.clear();
  fake.chat.end(4401);
  await page.getByRole("link", { name: "Log in to chat" }).waitFor();
});

test("a socket that says nothing is taken for lost", async (t) => {
  const { page, open, fake } = await garden(t, { name: "ada" });
  fake.chat.heartbeat = 1;
  await open("/watch/garden");
  await connected(page);
  await page.waitForTimeout(2_500);
  assert.ok(fake.chat.heard.filter(({ type }) => type === "ping").length >= 2);
  assert.equal(fake.chat.heard.filter(({ type }) => type === "hello").length, 1);
});

test("whoever may not talk is told why, and for how long", async (t) => {
  const { page, open, fake, room, user, eyes } = await garden(t, { name: "ada" });
  await open("/watch/garden");
  await connected(page);

  // Followers only, with the way to be one.
  fake.chat.change(room, { followers_only: true });
  await hint(page).filter({ hasText: "Only followers talk in this chat." }).waitFor();
  await page.locator(".chat-run").filter({ hasText: "Followers only" }).waitFor();
  await eyes.look("watch-followers-only");
  await button(page, "Follow bea").click();
  await hint(page).waitFor({ state: "hidden" });
  await write(page, "Now I may.");
  await said(page, "Now I may.").waitFor();

  // Slow: the button counts down.
  fake.chat.change(room, { followers_only: false, slow_mode_seconds: 3 });
  await page.waitForTimeout(3_000);
  await write(page, "Slowly.");
  await said(page, "Slowly.").waitFor();
  const send = page.locator(".chat-send button");
  await send.filter({ hasText: /^[1-3] s$/ }).waitFor();
  await eyes.look("watch-slow");
  await write(page, "Too soon.");
  await send.filter({ hasText: "Send" }).waitFor();
  assert.equal(await field(page).inputValue(), "Too soon.");
  await field(page).press("Enter");
  await said(page, "Too soon.").waitFor();
  fake.chat.change(room, { slow_mode_seconds: 0 });

  // A timeout, until when; and a ban.
  room.sanctions.set(user, { until: new Date(Date.now() + 600_000).toISOString() });
  await write(page, "Hello?");
  await hint(page).filter({ hasText: /A moderator gave you a timeout, until .*\d:\d\d/ }).waitFor();
  await send.filter({ hasText: "10 min" }).waitFor();
  await eyes.look("watch-timeout");
  await page.reload();
  await connected(page);
  room.sanctions.set(user, { until: null });
  await write(page, "Hello?");
  await hint(page).filter({ hasText: "You are banned from this chat" }).waitFor();
  room.sanctions.clear();
  await field(page).press("Enter");
  await said(page, "Hello?").waitFor();
  await hint(page).waitFor({ state: "hidden" });

  // Too long is not sent.
  await field(page).fill("x".repeat(501));
  await page.locator(".chat-send .counter.wrong").filter({ hasText: "501 / 500" }).waitFor();
  await field(page).press("Enter");
  assert.equal(fake.chat.heard.filter(({ text }) => text?.startsWith("xx")).length, 0);
});

test("moderators delete, silence and ban, and take it back", async (t) => {
  const { page, open, fake, room, eyes, say } = await garden(t, { name: "max" });
  fake.users.get("max").role = "moderator";
  const zed = fake.add("zed");
  say(zed, "Buy my boat.");
  await open("/watch/garden");
  await connected(page);
  const act = async (name) => {
    await said(page, "Buy my boat.").getByRole("button", { name: "What to do about this message" }).focus();
    await page.keyboard.press("Enter");
    if (name === "10 minutes") await eyes.look("watch-moderator");
    await said(page, "Buy my boat.").getByRole("button", { name, exact: true }).click();
  };
  await act("10 minutes");
  await page.getByText("zed says nothing for 10 minutes.").waitFor();
  assert.notEqual(room.sanctions.get(zed).until, null);
  await button(page, "Undo").click();
  await page.getByText("zed may talk again.").waitFor();
  assert.equal(room.sanctions.size, 0);
  await act("Ban");
  await page.getByText("zed is banned from this chat.").waitFor();
  assert.equal(room.sanctions.get(zed).until, null);
  await act("Delete");
  await said(page, "Buy my boat.").waitFor({ state: "detached" });
  assert.equal(room.messages.length, 0);
});

test("older messages are read by scrolling up, and the page has no more than it can bear", async (t) => {
  const { page, open, say, bea } = await garden(t, { name: "ada" });
  for (let number = 1; number <= 900; number += 1) say(bea, `Number ${number}.`);
  await open("/watch/garden");
  await said(page, "Number 900.").waitFor();
  const rows = () => page.locator(".chat-message").count();
  assert.equal(await rows(), 60);
  const up = () => log(page).evaluate((box) => (box.scrollTop = 0));
  for (let turn = 0; turn < 60 && (await said(page, "Number 1.").count()) === 0; turn += 1) {
    await up();
    await page.waitForTimeout(50);
    assert.ok((await rows()) <= 200, `${await rows()} rows`);
  }
  await said(page, "Number 1.").waitFor();
  // In their order, without gaps.
  const numbers = await page.locator(".chat-message").evaluateAll((all) =>
    all.map((row) => Number(/Number (\d+)/.exec(row.textContent)[1])),
  );
  assert.deepEqual(numbers, numbers.map((_, at) => numbers[0] + at));

  // What comes meanwhile does not move what is read.
  const top = await log(page).evaluate((box) => box.scrollTop);
  say(bea, "While you were away.");
  await button(page, "1 new message").waitFor();
  assert.equal(await log(page).evaluate((box) => box.scrollTop), top);
  await button(page, "1 new message").click();
  await said(page, "While you were away.").waitFor();
  await button(page, "1 new message").waitFor({ state: "hidden" });
  say(bea, "And now.");
  await said(page, "And now.").waitFor();
  const toEnd = () => log(page).evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight);
  assert.ok((await toEnd()) < 5);
});

test("however much is said, the page keeps 200 and follows", async (t) => {
  const { page, open, say, bea } = await garden(t, { name: "ada" });
  await open("/watch/garden");
  await connected(page);
  for (let number = 1; number <= 700; number += 1) say(bea, `Number ${number}.`);
  await said(page, "Number 700.").waitFor();
  assert.equal(await page.locator(".chat-message").count(), 200);
});

test("a stream for followers opens for who follows", async (t) => {
  const { page, open, fake, bea, stream, user, eyes } = await garden(t, { name: "ada", more: { visibility: "followers" } });
  await open("/watch/garden");
  await page.getByText("There is no such stream, or it is not for you").waitFor();
  await page.getByText("This chat is not for you.").waitFor();
  await eyes.look("watch-barred");
  user.follows.set(bea, "yes");
  goLive(fake, stream);
  await page.reload();
  await page.getByRole("heading", { level: 1, name: "The garden at night" }).waitFor();
  await connected(page);
  // Whoever is put out comes back by following, on the page.
  await button(page, "Unfollow").click();
  await page.getByText("This stream is not for you any more.").waitFor();
  await button(page, "Follow").click();
  await page.getByText("This stream is not for you any more.").waitFor({ state: "hidden" });
});

test("who is put out of a room is told, and comes back by following", async (t) => {
  const { page, open, fake, bea, stream, room, user, say } = await garden(t, { name: "ada" });
  say(bea, "Only for friends, from now on.");
  await open("/watch/garden");
  await said(page, "Only for friends").waitFor();
  stream.visibility = "followers";
  fake.chat.putOut(room);
  await page.getByText("This chat is not for you.").waitFor();
  await page.getByText("This stream is not for you any more.").waitFor();
  await button(page, "Follow").click();
  await page.getByText("You follow bea now.").waitFor();
  assert.equal(user.follows.get(bea), "yes");
  await connected(page);
  await page.getByText("This stream is not for you any more.").waitFor({ state: "hidden" });
  await write(page, "Here I am.");
  await said(page, "Here I am.").waitFor();
});

test("what is deleted is not read in what answers it", async (t) => {
  const { page, open, fake, bea, room, say } = await garden(t, { name: "ada" });
  const boat = say(fake.add("zed"), "Buy my boat.");
  say(bea, "Nobody does.", { reply_to: boat.id });
  await open("/watch/garden");
  await said(page, "Answers zed: Buy my boat.").waitFor();
  await connected(page);
  fake.chat.remove(room, boat.id);
  await said(page, "Answers a message that is deleted").filter({ hasText: "Nobody does." }).waitFor();
  await said(page, "Buy my boat.").first().waitFor({ state: "hidden" });
});

test("the bell is on the watch page, and another login renews it", async (t) => {
  const { page, open, fake, context } = await garden(t, { name: "ada" });
  // The page before opens a socket too, and not always before the next one is there.
  await page.goto("about:blank");
  const heard = [];
  page.on("websocket", (socket) => heard.push(new URL(socket.url()).pathname));
  await open("/watch/garden");
  await connected(page);
  await page.getByRole("link", { name: "Notifications" }).waitFor();
  assert.deepEqual(heard.sort(), ["/graphql/ws", "/ws"]);
  const other = await context.newPage();
  await logIn(other, fake, fake.add("zoe"));
  await button(page, "zoe").waitFor();
});

/** Scrolls up until all of so many messages are there. */
async function scrollUp(page, count) {
  const box = await log(page).elementHandle();
  const isThere = ([box, count]) => {
    box.scrollTop = 0;
    return box.querySelectorAll(".chat-message").length === count;
  };
  await page.waitForFunction(isThere, [box, count], { polling: 50 });
}

test("what people write on the watch page is text", async (t) => {
  const { fake, context, bea } = await garden(t);
  const guard = await Guard.over(context, fake.url);
  // The guard sees the pages that come after it.
  const page = await context.newPage();
  const shown = page.locator(".chat-text > p");
  const isText = async (texts, where) => {
    assert.deepEqual(await shown.allTextContents(), texts, where);
    const all = page.locator(".chat-message *");
    const kinds = await all.evaluateAll((all) => [...new Set(all.map((one) => one.localName))]);
    assert.deepEqual(kinds.filter((kind) => !KINDS.includes(kind)), [], where);
    await guard.check(page, where);
  };
  for (let from = 0; from < HOSTILE.length; from += IN_A_CHAT) {
    const texts = HOSTILE.slice(from, from + IN_A_CHAT).map(({ text }) => text);
    const name = `garden-${from}`;
    const [title, description] = [texts.join(" "), texts.join("\n")];
    addStream(fake, bea, name, { title, description });
    const room = fake.chat.room(name);
    await page.goto(`${fake.url}/watch/${name}`);
    await connected(page);
    assert.equal(await page.locator("#stream-name").textContent(), title);
    assert.equal(await page.locator(".stream-about").textContent(), description);
    let reply_to = null;
    for (const text of texts) {
      const said = fake.chat.say({ ...bea, display_name: text }, room, { text, reply_to }, { force: true });
      reply_to = said.id;
    }
    await shown.nth(texts.length - 1).waitFor({ state: "attached" });
    await isText(texts, `heard, from text ${from} on`);
    await page.reload();
    await connected(page);
    await scrollUp(page, texts.length);
    await isText(texts, `read, from text ${from} on`);
  }
  // Each by itself, too: what one begins, another may end.
  for (let at = 0; at < HOSTILE.length; at += STEP) {
    const { text } = HOSTILE[at];
    addStream(fake, bea, `shed-${at}`, { title: text, description: text });
    await page.goto(`${fake.url}/watch/shed-${at}`);
    await connected(page);
    assert.equal(await page.locator("#stream-name").textContent(), text);
    assert.equal(await page.locator(".stream-about").textContent(), text);
    await guard.check(page, `the stream ${text}`);
  }
});
