// Somebody in the studio of a real server in Chromium: makes a stream, goes live with the key that is
// shown, looks at what is measured and after what is said, and stops it.
//
//   node studio-real.mjs URL SCREENS PASSWORD
//
// Accounts called ada and bea are there, with that password. Says { "key": KEY } when it is to be published
// with, and waits. Ends well if all was as it should be; the pictures are in SCREENS.
import assert from "node:assert/strict";

import { act, connected, hint, message, say } from "./chatting.mjs";
import { LIVE_MS, run, somebody } from "./real.mjs";

/** Points that a graph has to have got: it is measured every 5 s. */
const POINTS = 4;

async function loggedIn(browser, name, kind) {
  const visitor = await somebody(browser, name, kind);
  await visitor.logIn();
  return visitor;
}

/** The graph with this title, once it has moved. */
async function moves(page, title) {
  const graph = page.getByRole("img", { name: new RegExp(`^${title} over`) });
  await graph.waitFor();
  const line = graph.locator(".graph-line");
  const deadline = Date.now() + LIVE_MS;
  let points = 0;
  while (points < POINTS && Date.now() < deadline) {
    await page.waitForTimeout(250);
    points = ((await line.getAttribute("d")) ?? "").split("L").length - 1;
  }
  assert.ok(points >= POINTS, `${title} has ${points} points`);
  const said = await graph.getAttribute("aria-label");
  assert.match(said, /from .* to /);
  console.log(JSON.stringify({ event: "graph", said }));
}

/** Whether the picture moves, in the page. */
const plays = () => {
  const video = document.querySelector(".broadcast video");
  return video !== null && video.muted && video.currentTime > 1;
};

/** The owner of a stream looks after its chat in the studio, and who watches is told. */
async function moderate(owner, viewer) {
  await owner.said("Nobody has said anything yet.");
  await owner.said("Everybody may talk.");
  await viewer.open("/watch/engines");
  await connected(viewer);
  await say(viewer, "<i>Boring</i> engines.");
  await say(viewer, "Play something else!");
  await message(owner, "Play something else!").waitFor();
  await act(owner, "<i>Boring</i> engines.", "Delete");
  await owner.said("The message is deleted.");
  await message(viewer, "<i>Boring</i> engines.").waitFor({ state: "detached" });
  await act(owner, "Play something else!", "10 minutes");
  await owner.said("bea says nothing for 10 minutes.");
  const row = owner.page.getByRole("list", { name: "Timeouts and bans" }).getByRole("listitem");
  await row.filter({ hasText: "@bea · timed out until" }).waitFor();
  await owner.eyes.look("studio-chat");
  await viewer.label("Your message").fill("Am I heard?");
  await viewer.label("Your message").press("Enter");
  await hint(viewer).filter({ hasText: "A moderator gave you a timeout, until" }).waitFor();
  await owner.button("Lift the timeout: bea").click();
  await row.waitFor({ state: "detached" });
  await viewer.page.reload();
  await connected(viewer);
  await say(viewer, "I am heard.");
  await message(owner, "I am heard.").waitFor();
  await viewer.leave();
}

async function walk(browser) {
  const desk = await loggedIn(browser, "ada", "desktop");
  const { page, eyes } = desk;
  await page.getByRole("button", { name: "ada", exact: true }).click();
  await page.getByRole("link", { name: "Studio", exact: true }).click();
  await desk.seeTitle("Studio");
  await desk.said("You have no stream yet.");
  await desk.label("Name").fill("engines");
  await desk.label("Title").fill("Engines, at night");
  await page.getByLabel("Record broadcasts").check();
  await desk.button("Make the stream").click();
  const box = page.getByRole("group", { name: "The stream key" });
  await box.waitFor();
  const key = await box.locator("code").textContent();
  await page.getByRole("link", { name: "Go on to engines" }).click();
  await desk.seeTitle("Engines, at night");
  await desk.said("Offline");
  await eyes.look("studio-offline");
  assert.ok(!page.url().includes(key));
  assert.ok(!(await page.content()).includes(key), "the key is on the page no more");
  console.log(JSON.stringify({ key }));

  // It is live, and seen and measured without the page being loaded anew.
  await page.locator('[data-part="state"][data-state="live"]').waitFor({ timeout: LIVE_MS });
  await page.waitForFunction(plays, null, { timeout: LIVE_MS });
  const phone = await loggedIn(browser, "ada", "phone");
  await phone.open("/studio/engines");
  for (const title of ["Bit rate", "Frame rate", "GOP", "Viewers"]) await moves(page, title);
  await desk.said("320×180, H.264");
  await eyes.look("studio-live");
  await phone.page.waitForFunction(plays, null, { timeout: LIVE_MS });
  await moves(phone.page, "Bit rate");
  await phone.eyes.look("studio-live");

  // The key was used.
  await page.getByRole("link", { name: "Keys and OBS" }).click();
  await page.getByText(/last used/).waitFor();
  await eyes.look("studio-keys");

  await page.getByRole("link", { name: "Chat", exact: true }).click();
  await moderate(desk, await loggedIn(browser, "bea", "desktop"));

  await desk.button("Stop…").click();
  await desk.button("Stop the stream").click();
  await desk.said("The stream is stopped.");
  await page.locator('[data-part="state"][data-state="offline"]').waitFor({ timeout: LIVE_MS });
  await page.getByRole("link", { name: "Recordings", exact: true }).click();
  const recording = page.locator(".recording");
  const deadline = Date.now() + LIVE_MS;
  while ((await recording.count()) === 0 && Date.now() < deadline) {
    // It is listed from the end of its broadcast on.
    await page.reload();
    const nothing = page.getByText("Nothing is recorded yet");
    const listed = page.getByRole("list", { name: "Recordings" }).or(nothing);
    await listed.filter({ visible: true }).first().waitFor();
  }
  await page.getByRole("button", { name: /^Play: / }).click();
  await page.waitForFunction(() => document.querySelector(".recording video").currentTime > 0.5, null, {
    timeout: LIVE_MS,
  });
  await eyes.look("studio-recording");
  await page.getByRole("link", { name: "Analytics", exact: true }).click();
  await page.getByRole("img", { name: /^Viewers by minute/ }).waitFor();
  await eyes.look("studio-analytics");
}

await run(walk);
