// The pages of moderators and administrators in Chromium, in front of `fake-api.mjs`.
//
//   [SCREENS=FOLDER] node --test admin.test.mjs
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";

import { SIZES } from "./eyes.mjs";
import { addNode, addReport, reportedPost } from "./fake-admin.mjs";
import { addPost } from "./fake-posts.mjs";
import { Guard, HOSTILE } from "./guard.mjs";
import { button, logIn, stage } from "./stage.mjs";

const scene = stage();

/** Somebody with a role, logged in. */
async function office(t, { role = "admin", kind = "desktop" } = {}) {
  const made = await scene(t, { kind });
  const user = made.fake.add("ada", { role });
  await logIn(made.page, made.fake, user);
  const section = async (name) => {
    await made.page.getByRole("link", { name, exact: true }).click();
    await made.page.getByRole("heading", { level: 2, name, exact: true }).waitFor();
  };
  return { ...made, user, section };
}

const USAGE = {
  requests: 120_000,
  hits: 118_000,
  errors: 3,
  bytes: 84_000_000_000,
  origin_requests: 2_000,
  origin_bytes: 900_000_000,
  most_viewers: 1_204,
  minutes_watched: 33_120,
};
const NOTHING = { start: null, subject: null, id: null, name: null, owner: null };

for (const kind of Object.keys(SIZES)) {
  test(`an administrator has everything to look after: ${kind}`, async (t) => {
    const { fake, page, open, eyes, section } = await office(t, { kind });
    fake.add("bob");
    fake.add("cleo", { role: "moderator", display_name: "Cleo, who moderates" });
    addReport(fake, "bob", "cleo", { reason: "abuse", comment: "He <b>shouts</b>.", post: reportedPost("AAAH!") });
    addReport(fake, "bob", null, { post: reportedPost("Buy boats", { is_deleted: true }) });
    addNode(fake, "frankfurt");
    addNode(fake, "lisbon", { health: "the disk is full", configuration: 6 });
    addNode(fake, "oslo", { is_live: false });
    const hours = Array.from({ length: 6 }, (_, at) => new Date(Date.now() - at * 3_600_000).toISOString());
    fake.usage.time = hours.map((start) => ({ ...NOTHING, ...USAGE, start }));
    fake.usage.subject = [
      { ...NOTHING, ...USAGE, subject: "stream", id: randomUUID(), name: "garden", owner: "bob" },
      { ...NOTHING, ...USAGE, subject: "other" },
    ];
    await open("/");
    await button(page, "ada").click();
    await page.getByRole("link", { name: "Administration" }).click();
    await page.getByText("He <b>shouts</b>.").waitFor();
    await eyes.look("admin-reports");
    await button(page, "Say what came of it: bob").last().click();
    await page.getByLabel("In words").fill("Told him.");
    await eyes.look("admin-resolve");
    await button(page, "Close the report").click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    assert.deepEqual(fake.told.map(({ resolution }) => resolution).sort(), ["Told him.", null].sort());
    await section("People");
    await page.getByLabel("Find somebody").fill("cleo");
    await button(page, "Search").click();
    await page.getByText("@cleo · Moderator").waitFor();
    await eyes.look("admin-people");
    await section("Audit log");
    await page.getByText("resolution: Told him.").waitFor();
    await eyes.look("admin-log");
    await section("Nodes and cache");
    await page.getByText("the disk is full").waitFor();
    await page.getByText(/Generation 7, awaited on 1/).waitFor();
    await eyes.look("admin-nodes");
    await section("Purge");
    await page.getByRole("combobox", { name: "What" }).selectOption("prefix");
    await page.getByRole("textbox", { name: "Which" }).fill("/live/garden/");
    await button(page, "Purge").click();
    await page.getByText("Complete: 2 nodes obeyed").waitFor();
    await eyes.look("admin-purge");
    await section("Prewarm");
    await page.getByRole("textbox", { name: "Paths" }).fill("/live/garden/index.m3u8\n\n/live/garden/poster.jpg");
    await button(page, "Prewarm").click();
    await page.getByText("Done: 12 of 12 (100 %)").waitFor();
    await eyes.look("admin-prewarm");
    await section("Usage");
    await page.getByText("98 %").first().waitFor();
    await eyes.look("admin-usage");
    await page.getByLabel("Summed up by").selectOption("subject");
    await page.getByText("stream garden of bob").waitFor();
  });
}

test("a moderator looks after reports and people, and after nothing else", async (t) => {
  const { fake, page, open } = await office(t, { role: "moderator" });
  fake.add("bob");
  fake.add("cleo", { role: "admin" });
  await open("/admin");
  await page.getByText("There are none.").waitFor();
  assert.deepEqual(
    await page.getByRole("navigation", { name: "Administration" }).getByRole("link").allTextContents(),
    ["Reports", "People", "Audit log"],
  );
  // An address that is not for moderators shows what is.
  await open("/");
  await open("/admin#purge");
  await page.getByRole("heading", { level: 2, name: "Reports" }).waitFor();
  await page.getByRole("link", { name: "People", exact: true }).click();
  await page.getByLabel("Find somebody").fill("cleo");
  await button(page, "Search").click();
  await button(page, "Suspend: cleo").click();
  await page.getByLabel("Why").fill("I can.");
  await button(page, "Suspend").click();
  await page.getByText("Moderators suspend neither moderators nor administrators.").waitFor();
  assert.equal(await page.getByLabel("Role of cleo").isVisible(), false);
  assert.ok(fake.asked.every(({ path }) => !path.includes("/cdn/")));
});

test("somebody is suspended and let in again, and given a role", async (t) => {
  const { fake, page, open, section } = await office(t);
  const bob = fake.add("bob");
  await open("/admin#people");
  await page.getByLabel("Find somebody").fill("bob");
  await button(page, "Search").click();
  await page.getByLabel("Role of bob").selectOption("moderator");
  await page.getByRole("dialog", { name: "Make bob a moderator?" }).waitFor();
  await button(page, "Cancel").click();
  assert.equal(await page.getByLabel("Role of bob").inputValue(), "user");
  await page.getByLabel("Role of bob").selectOption("moderator");
  await button(page, "Give the role").click();
  await page.getByText("@bob · Moderator").waitFor();
  assert.equal(bob.role, "moderator");
  await button(page, "Suspend: bob").click();
  await button(page, "Suspend").click();
  await page.getByText("Fill this in.").waitFor();
  await page.getByLabel("Why").fill("spam");
  await button(page, "Suspend").click();
  await button(page, "Suspend: bob").waitFor({ state: "detached" });
  assert.equal(bob.is_suspended, true);
  await page.getByLabel("Their name").fill("bob");
  await button(page, "Let them in").click();
  await page.getByText("bob may log in again.").waitFor();
  assert.equal(bob.is_suspended, false);
  await section("Audit log");
  await page.getByText("reason: spam").waitFor();
  await page.getByLabel("Done by").fill("nobody");
  await button(page, "Show").click();
  await page.getByText("Nothing is noted.").waitFor();
});

test("a reported post is deleted from its report", async (t) => {
  const { fake, page, open } = await office(t, { role: "moderator" });
  const post = addPost(fake, fake.add("bob"), "Buy boats");
  addReport(fake, "bob", "ada", { post: reportedPost("Buy boats", { id: post.id }) });
  await open("/admin");
  await button(page, "Delete the post: bob").click();
  await page.getByRole("dialog", { name: "Delete the post by bob?" }).waitFor();
  await button(page, "Delete the post").click();
  await page.getByText("The post is deleted.").waitFor();
  assert.equal(await button(page, "Delete the post: bob").count(), 0);
});

test("what caches are told is followed to its end", async (t) => {
  const { fake, page, open, section } = await office(t);
  for (let at = 0; at < 3; at += 1) addNode(fake, `edge-${at}`);
  await open("/admin#purge");
  await page.getByRole("textbox", { name: "Which" }).fill("live/garden");
  await button(page, "Purge").click();
  await page.getByText("Expected a path that begins with a slash.").waitFor();
  await page.getByRole("textbox", { name: "Which" }).fill("/live/garden/index.m3u8");
  await button(page, "Purge").click();
  await page.getByText("0 of 3 nodes obeyed").waitFor();
  await page.getByText("Complete: 3 nodes obeyed").waitFor();
  await page.getByRole("combobox", { name: "What" }).selectOption("everything");
  assert.equal(await page.locator("#purge-subject").isVisible(), false);
  await button(page, "Purge").click();
  await page.getByRole("dialog", { name: "Purge everything?" }).waitFor();
  await button(page, "Purge everything").click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal(fake.purges.size, 2);

  await section("Prewarm");
  fake.prewarmStep = 0;
  await page.getByRole("combobox", { name: "What" }).selectOption("playlist");
  await page.getByLabel("The playlist's path").fill("/live/garden/index.m3u8");
  await page.getByLabel("Segments of each rendition").fill("some");
  await button(page, "Prewarm").click();
  await page.getByText("A whole number from 1.").waitFor();
  await page.getByLabel("Segments of each rendition").fill("3");
  await button(page, "Prewarm").click();
  await page.getByText("Running: 0 of 12 (0 %)").waitFor();
  await button(page, "Cancel: playlist /live/garden/index.m3u8").click();
  await page.getByText("Cancelled:").waitFor();
});

test("who is neither sees nothing of it", async (t) => {
  const { page, open, user } = await office(t, { role: "user" });
  assert.equal(user.role, "user");
  await button(page, "ada").click();
  assert.equal(await page.getByRole("link", { name: "Administration" }).isVisible(), false);
  await open("/admin");
  await page.getByText("This page is for moderators and administrators.").waitFor();
});

test("nothing that people write runs on the pages of moderators", async (t) => {
  const { fake, context } = await office(t);
  const guard = await Guard.over(context, fake.url);
  const page = await context.newPage();
  const texts = HOSTILE.map(({ text }) => text).filter((text) => text !== "");
  Object.assign(fake, { pageSize: texts.length, meansHarm: true });
  for (const text of texts) {
    const stream = { name: text, title: text, is_live: true, owner: text };
    const image = { id: text, url: text, preview_url: text, width: 1, height: 1, description: text };
    const post = reportedPost(text, { images: [image], stream });
    addReport(fake, text, text, { reason: text, comment: text, post, resolution: text });
    fake.audit.push({ id: text, actor: text, action: text, subject_kind: text, subject_id: text, detail: text, created_at: text });
    addNode(fake, text, { roles: [text], health: text, version: text, url: text });
  }
  await page.goto(`${fake.url}/admin`);
  await page.locator(".report").nth(texts.length - 1).waitFor();
  await guard.check(page, "reports");
  for (const [name, place] of [["Audit log", "entries"], ["Nodes and cache", "nodes"]]) {
    await page.goto("about:blank");
    await page.goto(`${fake.url}/admin#${name === "Audit log" ? "log" : "nodes"}`);
    await page.locator(`[data-part="${place}"] .row`).nth(texts.length - 1).waitFor();
    await guard.check(page, name);
  }
});
