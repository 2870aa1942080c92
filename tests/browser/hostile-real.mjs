// Looks at pages of a real server that show hostile texts; nothing of them may run.
//
//   node hostile-real.mjs URL SCREENS NAME PASSWORD
//
// Logs in, then reads from stdin what to look at: a list of pages each line, as
//
//   { "path": "/discover", "texts": { SELECTOR: [TEXT, ...] }, "fill": { SELECTOR: TEXT }, "enter": SELECTOR,
//     "press": BUTTON, "plays": true, "picture": NAME }
//
// of which all but the first two may be missing: what is filled in, where Enter is pressed, which button is,
// whether a recording plays to its end. Of a picture the text is its description. Says { "event": "seen" }
// when all pages of a line have had their texts and the guard saw nothing; ends badly if not. The pictures are
// in SCREENS.
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { chromium } from "playwright-core";

import { BROWSER, BROWSER_ARGS } from "./chromium.mjs";
import { DEVICE, SIZES } from "./eyes.mjs";
import { Guard } from "./guard.mjs";
import { Visitor } from "./visitor.mjs";

const PATIENCE_MS = 20_000;
const TABS = 4;

const [base, screens, name, password] = process.argv.slice(2);
if (password === undefined) throw new Error("usage: hostile-real.mjs URL SCREENS NAME PASSWORD");

/**
 * Which of the texts have not been there; reads lists and chats further on, if some have not; in the page.
 * A chat shows so many messages at a time.
 */
function missing(texts) {
  const seen = (window.seenTexts ??= {});
  const absent = Object.entries(texts).flatMap(([selector, wanted]) => {
    const all = (seen[selector] ??= new Set());
    for (const element of document.querySelectorAll(selector)) {
      const isField = element instanceof HTMLInputElement || element instanceof HTMLTextAreaElement;
      if (element instanceof HTMLImageElement) all.add(element.alt);
      else all.add(isField ? element.value : element.textContent);
    }
    return wanted.filter((text) => !all.has(text));
  });
  if (absent.length > 0) {
    const buttons = [...document.querySelectorAll(".paged > button:not([hidden]), .chat-older:not([hidden])")];
    for (const button of buttons) if (/^(Show more|Older messages)$/.test(button.textContent)) button.click();
    // Up, and down again to what has come meanwhile.
    const isUp = performance.now() % 8_000 < 4_000;
    for (const log of document.querySelectorAll(".chat-log")) log.scrollTop = isUp ? 0 : log.scrollHeight;
  }
  return absent;
}

/** Begins to play what is recorded, and goes to its end. */
async function play(page) {
  const video = page.locator("video");
  // It is there before it has anything to play.
  await video.waitFor();
  await video.evaluate((element) => {
    element.muted = true;
    return element.play();
  });
  await page.waitForFunction(() => document.querySelector("video").currentTime > 0.3);
  await video.evaluate((element) => {
    element.pause();
    element.currentTime = element.duration - 1;
  });
}

async function fillIn(page, selector, text) {
  const field = page.locator(selector);
  const isChoice = await field.evaluate((element) => element instanceof HTMLSelectElement);
  if (isChoice) await field.selectOption(text);
  else await field.fill(text);
}

async function look(page, guard, { path, texts, fill = {}, enter, press, plays, picture }) {
  // Pages that differ behind the # only would not be read anew.
  await page.goto("about:blank");
  await page.goto(base + path);
  for (const [selector, text] of Object.entries(fill)) await fillIn(page, selector, text);
  if (enter !== undefined) await page.locator(enter).press("Enter");
  if (press !== undefined) await page.getByRole("button", { name: press, exact: true }).first().click();
  if (plays) await play(page);
  const deadline = Date.now() + PATIENCE_MS;
  let absent = await page.evaluate(missing, texts);
  while (absent.length > 0 && Date.now() < deadline) {
    await page.waitForTimeout(20);
    absent = await page.evaluate(missing, texts);
  }
  assert.deepEqual(absent, [], `${path} shows them`);
  await guard.check(page, path);
  if (picture !== undefined) await page.screenshot({ path: join(screens, `${picture}.png`) });
}

await mkdir(screens, { recursive: true });
const browser = await chromium.launch({
  ...(BROWSER && { executablePath: BROWSER }),
  args: BROWSER_ARGS,
});
try {
  const context = await browser.newContext({ ...DEVICE, viewport: SIZES.desktop });
  context.setDefaultTimeout(PATIENCE_MS);
  const guard = await Guard.over(context, base);
  const page = await context.newPage();
  await new Visitor({ page, base, name, password }).logIn();
  const tabs = [page];
  while (tabs.length < TABS) tabs.push(await context.newPage());
  for await (const line of createInterface(process.stdin)) {
    const pages = JSON.parse(line);
    const lookOn = async (tab) => {
      for (let next = pages.shift(); next !== undefined; next = pages.shift()) await look(tab, guard, next);
    };
    await Promise.all(tabs.map(lookOn));
    process.stdout.write(`${JSON.stringify({ event: "seen" })}\n`);
  }
} finally {
  await browser.close();
}
