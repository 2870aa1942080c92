// Looks at pages of a real server that show hostile texts; nothing of them may run.
//
//   node hostile-real.mjs URL SCREENS NAME PASSWORD
//
// Logs in, then reads from stdin what to look at: a list of pages each line, as
//
//   { "path": "/discover", "texts": { SELECTOR: [TEXT, ...] }, "press": BUTTON, "picture": NAME }
//
// of which the last two may be missing. Of a picture the text is its description. Says { "event": "seen" } when all pages of a line have
// their texts and the guard saw nothing; ends badly if not. The pictures are in SCREENS.
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

/** Which of the texts are not there; reads lists further on, if some are not; in the page. */
function missing(texts) {
  const absent = Object.entries(texts).flatMap(([selector, wanted]) => {
    const shown = [...document.querySelectorAll(selector)].map((element) => {
      if (element instanceof HTMLImageElement) return element.alt;
      const isField = element instanceof HTMLInputElement || element instanceof HTMLTextAreaElement;
      return isField ? element.value : element.textContent;
    });
    const all = new Set(shown);
    return wanted.filter((text) => !all.has(text));
  });
  if (absent.length > 0) {
    const buttons = [...document.querySelectorAll(".paged > button:not([hidden])")];
    for (const button of buttons) if (button.textContent === "Show more") button.click();
  }
  return absent;
}

async function look(page, guard, { path, texts, press, picture }) {
  // Pages that differ behind the # only would not be read anew.
  await page.goto("about:blank");
  await page.goto(base + path);
  if (press !== undefined) await page.getByRole("button", { name: press, exact: true }).first().click();
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
