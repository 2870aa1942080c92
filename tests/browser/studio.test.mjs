// The pages of the studio in Chromium, in front of `fake-api.mjs`.
//
//   [SCREENS=FOLDER] node --test studio.test.mjs
import assert from "node:assert/strict";
import { test } from "node:test";

import { SIZES } from "./eyes.mjs";
import { addStream } from "./fake-streams.mjs";
import { addKey, measure } from "./fake-studio.mjs";
import { Guard, HOSTILE } from "./guard.mjs";
import { button, logIn, stage } from "./stage.mjs";

const scene = stage();
const MINUTE_MS = 60_000;

/** Somebody says something in the chat of a stream. */
const say = (fake, { name }, user, text) => fake.chat.say(user, fake.chat.room(name), { text }, { force: true });
const said = (page, text) => page.locator(".chat-message").filter({ hasText: text });

/** Opens what can be done about a message. */
async function openActions(message) {
  const more = message.getByRole("button", { name: "What to do about this message" });
  await more.focus();
  await more.press("Enter");
}

async function act(message, what) {
  await openActions(message);
  await message.getByRole("button", { name: what, exact: true }).click();
}

/** Everything that the browser keeps, and where it has been. */
const kept = (page) =>
  page.evaluate(() =>
    JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href, document.cookie, document.title]),
  );

for (const kind of Object.keys(SIZES)) {
  test(`a stream is made, and its key is shown once: ${kind}`, async (t) => {
    const { fake, page, open, eyes } = await scene(t, { name: "ada", kind });
    const logged = [];
    page.on("console", (message) => logged.push(message.text()));
    await open("/studio");
    await page.getByText("You have no stream yet.").waitFor();
    await eyes.look("studio-empty");
    await page.getByLabel("Name", { exact: true }).fill("Night Engines");
    await button(page, "Make the stream").click();
    await page.getByText("Small letters from a to z").last().waitFor();
    await page.getByLabel("Name", { exact: true }).fill("engines");
    await page.getByLabel("Title").fill("Engines, <i>at night</i>");
    await page.getByLabel("Quality profile").selectOption("own");
    await page.getByLabel("Steps").fill("fast");
    await button(page, "Make the stream").click();
    await page.getByText('There is no ladder "fast"').waitFor();
    await page.getByLabel("Steps").fill("720p:2800k,360p:800k");
    await button(page, "Make the stream").click();
    const box = page.getByRole("group", { name: "The stream key" });
    await box.waitFor();
    const key = await box.locator("code").textContent();
    assert.match(key, /^[A-Za-z0-9]{32,}$/);
    assert.ok(await box.evaluate((element) => element === document.activeElement), "it has the focus");
    await page.getByText("rtmp://127.0.0.1/live").waitFor();
    await eyes.look("studio-key");
    assert.ok(!(await kept(page)).includes(key), "it is kept nowhere");
    assert.deepEqual(logged.filter((text) => text.includes(key)), []);
    assert.ok(fake.asked.every(({ path }) => !path.includes(key)));
    const made = fake.streams.find(({ name }) => name === "engines");
    assert.deepEqual(
      [made.settings.ladder, made.settings.title, made.visibility],
      ["720p:2800k,360p:800k", "Engines, <i>at night</i>", "public"],
    );
    // The way on, and back: it is not shown again.
    await page.getByRole("link", { name: "Go on to engines" }).click();
    await page.getByRole("heading", { level: 1, name: "Engines, <i>at night</i>" }).waitFor();
    await page.goBack();
    await page.getByRole("heading", { level: 1, name: "Studio" }).waitFor();
    assert.ok(!(await page.content()).includes(key));
    await page.getByRole("link", { name: "Engines, <i>at night</i>" }).waitFor();
    await eyes.look("studio-streams");
  });

  test(`a stream's page has all that is to be looked after: ${kind}`, async (t) => {
    const { fake, page, open, eyes, user } = await scene(t, { name: "ada", kind });
    const stream = addStream(fake, user, "engines");
    stream.settings.recording = true;
    addKey(stream, "OBS at home", { last_used_at: new Date().toISOString() });
    const bob = fake.add("bob", { display_name: "Bob the Boatman" });
    say(fake, stream, bob, "Is that a <b>steam</b> engine?");
    say(fake, stream, user, "It is.");
    const started = new Date(Date.now() - 120 * MINUTE_MS).toISOString();
    stream.recordings = [
      {
        id: "0190a5c0-0000-7000-8000-000000000000",
        title: "Engines",
        state: "ready",
        started_at: started,
        ended_at: new Date().toISOString(),
        duration: 3_598.5,
        size: 1_250_000_000,
        playlist: "/vod/x/index.m3u8",
        manifest: "/vod/x/manifest.mpd",
        poster: "/vod/x/poster.jpg",
        expires_at: null,
      },
    ];
    for (let at = 50; at > 5; at -= 1) {
      const minute = new Date(Date.now() - at * MINUTE_MS).toISOString();
      stream.minutes.push({ at: minute, viewers: 10 + Math.round(8 * Math.sin(at / 6)) });
    }
    measure(stream, 0);
    await open("/studio/engines");
    await page.getByText("Live for 25 min").waitFor();
    const graph = (name) => page.getByRole("img", { name: new RegExp(`^${name} over`) });
    await graph("Bit rate").waitFor();
    const before = await graph("Bit rate").getAttribute("aria-label");
    const line = graph("Bit rate").locator(".graph-line");
    for (let beat = 1; beat < 30; beat += 1) {
      measure(stream, 2 * beat);
      // As it is when somebody comes back to the page.
      await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
      await page.waitForFunction(
        ([selector, count]) => document.querySelector(selector).getAttribute("d").split(/[ML]/).length > count,
        [".graph-line", beat + 1],
      );
    }
    assert.notEqual(await graph("Bit rate").getAttribute("aria-label"), before);
    assert.match(await line.getAttribute("d"), /^M/);
    for (const name of ["Frame rate", "GOP", "Viewers"]) await graph(name).waitFor();
    await page.getByText("1280×720, H.264").waitFor();
    await page.getByText("left out: the machine has no time for it").waitFor();
    await eyes.look("studio-broadcast");

    const section = async (name) => {
      await page.getByRole("link", { name, exact: true }).click();
      await page.getByRole("heading", { level: 2, name, exact: true }).waitFor();
    };
    await section("Keys and OBS");
    await page.getByText("OBS at home").waitFor();
    await eyes.look("studio-keys");
    await section("Chat");
    await page.getByText("Is that a <b>steam</b> engine?").waitFor();
    await page.getByText("Everybody may talk.").waitFor();
    await page.waitForFunction(() => !document.querySelector("#slow_mode_seconds").matches(":disabled"));
    await eyes.look("studio-chat");
    await openActions(said(page, "steam"));
    await eyes.look("studio-chat-menu");
    await page.keyboard.press("Escape");
    await section("Recordings");
    await page.getByText("59:59 · 1.3 GB").waitFor();
    await eyes.look("studio-recordings");
    await section("Analytics");
    await page.getByRole("img", { name: /^Viewers by minute/ }).waitFor();
    await eyes.look("studio-analytics");
    await section("Settings");
    await eyes.look("studio-settings");
    await button(page, "Delete the stream…").click();
    await page.getByRole("dialog").waitFor();
    await eyes.look("studio-delete");
  });
}

test("keys are made, replaced and revoked", async (t) => {
  const { fake, page, open, user } = await scene(t, { name: "ada" });
  const stream = addStream(fake, user, "engines");
  addKey(stream, "old");
  await open("/studio/engines#keys");
  const box = page.getByRole("group", { name: "The stream key" });
  const shown = () => box.locator("code").textContent();
  await page.getByLabel("What for").fill("boat");
  await button(page, "Make the key").click();
  await box.waitFor();
  const first = await shown();
  await button(page, "Hide it").click();
  assert.ok(!(await page.content()).includes(first), "what is hidden is gone");
  assert.equal(stream.keys.length, 2);

  await button(page, "Replace…: old").click();
  await page.getByRole("dialog", { name: "Replace old?" }).waitFor();
  await button(page, "Replace the key").click();
  await box.waitFor();
  assert.notEqual(await shown(), first);
  await page.getByText(/replaced, good until/).waitFor();
  assert.equal(stream.keys.filter(({ expires_at }) => expires_at !== null).length, 1);

  await button(page, "Replace at once…: boat").click();
  await button(page, "Replace the key").click();
  await page.waitForFunction(() => document.querySelectorAll('[data-part="keys"] .row').length === 3);
  await button(page, "Revoke…: boat").click();
  await button(page, "Revoke the key").click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await button(page, "Revoke…: boat").waitFor({ state: "detached" });
  assert.deepEqual(stream.keys.map(({ name }) => name), ["old", "old"]);
});

test("a key that was lost on the way is not made twice", async (t) => {
  const { fake, page, open, user } = await scene(t, { name: "ada" });
  const stream = addStream(fake, user, "engines");
  await open("/studio/engines#keys");
  await page.getByText("This stream has no key").waitFor();
  await page.getByLabel("What for").fill("boat");
  fake.faults.set("POST /api/v1/streams/engines/keys", "drop");
  await button(page, "Make the key").click();
  await page.getByText("The server does not answer.").waitFor();
  fake.faults.clear();
  await button(page, "Make the key").click();
  await page.getByRole("group", { name: "The stream key" }).waitFor();
  assert.equal(stream.keys.length, 1);
  const asked = fake.asked.filter(({ method, path }) => method === "POST" && path.endsWith("/keys"));
  assert.equal(new Set(asked.map(({ headers }) => headers["idempotency-key"])).size, 1);
});

test("settings are saved, and recordings go only if that is said", async (t) => {
  const { fake, page, open, user } = await scene(t, { name: "ada" });
  const stream = addStream(fake, user, "engines");
  Object.assign(stream.settings, { recording: true, ladder: "720p:2800k", title: "Engines" });
  stream.recordings = [{}];
  await open("/studio/engines#settings");
  await page.getByLabel("Title").fill("Old engines");
  assert.equal(await page.getByLabel("Steps").inputValue(), "720p:2800k");
  await page.getByLabel("Quality profile").selectOption("economy");
  await page.getByLabel("Who can watch").selectOption("followers");
  await page.getByLabel("Record broadcasts").uncheck();
  await button(page, "Save the settings").click();
  await page.getByText("say delete_recordings if that is meant").waitFor();
  await page.getByLabel("Delete what was recorded").check();
  await button(page, "Save the settings").click();
  await page.getByText("Saved.").waitFor();
  await page.getByRole("heading", { level: 1, name: "Old engines" }).waitFor();
  const { recording, ladder, title } = stream.settings;
  assert.deepEqual(
    [recording, ladder, title, stream.visibility, stream.recordings],
    [false, "economy", "Old engines", "followers", []],
  );
});

test("what was meant of recordings once is not meant the next time", async (t) => {
  const { fake, page, open, user } = await scene(t, { name: "ada" });
  const stream = addStream(fake, user, "engines");
  stream.settings.recording = true;
  await open("/studio/engines#settings");
  const records = page.getByLabel("Record broadcasts");
  const deletes = page.getByLabel("Delete what was recorded");
  await records.uncheck();
  await deletes.check();
  await records.check();
  await records.uncheck();
  assert.equal(await deletes.isChecked(), false);
});

test("a stream is stopped and started, and deleted by who types its name", async (t) => {
  const { fake, page, open, user } = await scene(t, { name: "ada" });
  const stream = addStream(fake, user, "engines");
  measure(stream);
  await open("/studio/engines");
  await button(page, "Stop…").click();
  await button(page, "Stop the stream").click();
  await page.getByText("The stream is stopped.").waitFor();
  await page.getByText("Offline").first().waitFor();
  assert.equal(stream.settings.is_stopped, true);
  await button(page, "Start").click();
  await page.getByText("It can be published to again.").waitFor();
  assert.equal(stream.settings.is_stopped, false);
  await page.getByRole("link", { name: "Settings", exact: true }).click();
  await button(page, "Delete the stream…").click();
  await page.getByLabel("Its name").fill("engine");
  await button(page, "Delete the stream").click();
  await page.getByText("Type engines to go on.").waitFor();
  await page.getByLabel("Its name").fill("engines");
  await button(page, "Delete the stream").click();
  await page.waitForURL((url) => url.pathname === "/studio");
  assert.equal(fake.streams.length, 0);
});

test("a chat is moderated, and bans are lifted", async (t) => {
  const { fake, page, open, user } = await scene(t, { name: "ada", kind: "phone" });
  const stream = addStream(fake, user, "engines");
  const room = fake.chat.room("engines");
  const [bob, cleo] = ["bob", "cleo"].map((name) => fake.add(name));
  say(fake, stream, bob, "first");
  const second = say(fake, stream, cleo, "second");
  await open("/studio/engines#chat");
  await said(page, "second").waitFor();
  fake.chat.say(bob, room, { text: "third", reply_to: second.id }, { force: true });
  await said(page, "Answers cleo: second").waitFor();
  await act(said(page, "second").filter({ hasNotText: "third" }), "Delete");
  await page.getByText("The message is deleted.").waitFor();
  assert.equal(room.messages.length, 2);
  // Nor is it read in what answers it.
  await said(page, "Answers a message that is deleted").waitFor();
  assert.equal(await said(page, "second").count(), 0);
  await act(said(page, "third"), "10 minutes");
  await page.getByText("bob says nothing for 10 minutes.").waitFor();
  await page.getByText(/timed out until/).waitFor();
  await act(said(page, "third"), "Ban");
  await page.getByText(/banned since/).waitFor();
  assert.equal(room.sanctions.get(bob).until, null);
  await button(page, "Lift the ban: bob").click();
  await page.getByText("Everybody may talk.").waitFor();
  assert.equal(room.sanctions.size, 0);
  await page.getByLabel("Slow mode").selectOption("30");
  await page.getByLabel("Followers only").check();
  await button(page, "Save").click();
  await page.getByText("Saved.").waitFor();
  await page.locator(".chat-run").filter({ hasText: "Followers only, one message every 30 s" }).waitFor();
  assert.deepEqual([room.slow, room.followers], [30, true]);
  // Whoever looks after the chat talks all the same.
  await page.getByLabel("Your message").fill("Quiet, please.");
  await page.getByLabel("Your message").press("Enter");
  await said(page, "Quiet, please.").filter({ hasText: "Host" }).waitFor();
});

test("a message that somebody else deletes goes, and the focus stays near", async (t) => {
  const { fake, page, open, user } = await scene(t, { name: "ada" });
  const stream = addStream(fake, user, "engines");
  const [, last] = ["bob", "cleo"].map((name) => say(fake, stream, fake.add(name), `by ${name}`));
  await open("/studio/engines#chat");
  await openActions(said(page, "by cleo"));
  fake.chat.remove(fake.chat.room("engines"), last.id);
  await said(page, "by cleo").waitFor({ state: "detached" });
  const label = await page.evaluate(() => document.activeElement?.ariaLabel);
  assert.equal(label, "What is said");
});

test("a chat has one socket, and no questions while nothing is said", async (t) => {
  const { fake, page, open, user } = await scene(t, { name: "ada" });
  addStream(fake, user, "engines");
  await open("/studio/engines#chat");
  await page.locator('.chat[data-state="joined"]').waitFor();
  await page.getByRole("link", { name: "Keys and OBS" }).click();
  await page.getByRole("link", { name: "Chat", exact: true }).click();
  await page.waitForFunction(() => document.activeElement?.id === "chat-title");
  assert.equal(fake.chat.clients.size, 1);
  assert.equal(fake.chat.heard.filter(({ type }) => type === "join").length, 1);
  const read = fake.asked.filter(({ path }) => path.endsWith("/chat/messages"));
  assert.equal(read.length, 1);
});

test("a server that does not answer is told of, and the graphs go on afterwards", async (t) => {
  const { fake, page, open, user } = await scene(t, { name: "ada" });
  measure(addStream(fake, user, "engines"));
  fake.faults.set("GET /api/v1/streams/engines/status", "drop");
  await open("/studio/engines");
  await page.getByText("The server does not answer. Trying again…").waitFor();
  fake.faults.clear();
  await page.getByText("Live for 25 min").waitFor();
});

test("a stream that is deleted elsewhere is told of", async (t) => {
  const { fake, page, open, user } = await scene(t, { name: "ada" });
  measure(addStream(fake, user, "engines"));
  await open("/studio/engines");
  await page.getByText("Live for 25 min").waitFor();
  fake.streams = [];
  await page.getByText("There is no such stream of yours.").waitFor();
});

test("the studio is for who has logged in, and for their own streams", async (t) => {
  const { fake, page, open, user } = await scene(t, {});
  assert.equal(user, null);
  const [ada, bob] = ["ada", "bob"].map((name) => fake.add(name));
  addStream(fake, bob, "boats");
  await open("/studio/boats");
  await page.waitForURL(/\/login\?next=%2Fstudio%2Fboats/);
  await logIn(page, fake, ada);
  await open("/studio/boats");
  await page.waitForURL((url) => url.pathname === "/watch/boats");
  await open("/studio/nothing");
  await page.getByText("There is no such stream of yours.").waitFor();
});

test("nothing that people write runs in the studio", async (t) => {
  const made = await scene(t, { name: "ada" });
  const { fake, context, user } = made;
  const guard = await Guard.over(context, fake.url);
  const page = await context.newPage();
  const texts = HOSTILE.map(({ text }) => text).filter((text) => text !== "");
  Object.assign(fake, { pageSize: texts.length, meansHarm: true });
  const stream = addStream(fake, user, "engines", { description: texts[0] });
  texts.forEach((text, at) => {
    addStream(fake, user, `s${at}`).settings.title = text;
    addKey(stream, text);
    if (at < 50) say(fake, stream, fake.add(`u${at}`, { display_name: text }), text);
  });
  measure(stream);
  stream.measured.renditions = texts.map((text) => ({ name: text, kind: "video", state: "shed", reason: text }));
  await page.goto(`${fake.url}/studio`);
  await page.locator(".row").nth(texts.length - 1).waitFor();
  await guard.check(page, "streams");
  await page.goto(`${fake.url}/studio/engines`);
  await page.locator(".rendition").nth(texts.length - 1).waitFor();
  await guard.check(page, "renditions");
  await page.getByRole("link", { name: "Keys and OBS" }).click();
  await page.locator('[data-part="keys"] .row').nth(texts.length - 1).waitFor();
  await guard.check(page, "keys");
  await page.getByRole("link", { name: "Chat", exact: true }).click();
  await page.locator(".chat-message").nth(49).waitFor();
  await guard.check(page, "chat");
});
