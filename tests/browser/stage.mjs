// Where pages are tested in front of `fake-api.mjs`: a browser, and a server for each test, which answers as
// the API promises to.
import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";

import { chromium } from "playwright-core";

import { BROWSER, BROWSER_ARGS } from "./chromium.mjs";
import { DEVICE, Eyes, SIZES } from "./eyes.mjs";
import { startFake } from "./fake-api.mjs";

const SCREENS = process.env.SCREENS ?? join(tmpdir(), "nova-pages");
const PATIENCE_MS = 10_000;

/**
 * Starts a browser for all tests of a file. What it gives makes a scene for one: a server, a
 * browser of its own, and somebody logged in there if `name` is given.
 */
export function stage() {
  let browser;
  before(async () => {
    browser = await chromium.launch({
      ...(BROWSER && { executablePath: BROWSER }),
      args: BROWSER_ARGS,
    });
  });
  after(() => browser.close());
  return async (t, { name = null, kind = "desktop" } = {}) => {
    const fake = await startFake();
    const context = await browser.newContext({ ...DEVICE, viewport: SIZES[kind] });
    context.setDefaultTimeout(PATIENCE_MS);
    t.after(async () => {
      await context.close();
      fake.close();
      if (!fake.meansHarm) assert.deepEqual(fake.misfits, []);
    });
    const page = await context.newPage();
    const eyes = new Eyes(page, kind, SCREENS);
    const user = name === null ? null : fake.add(name);
    const open = (path) => page.goto(fake.url + path);
    if (user !== null) await logIn(page, fake, user);
    return { fake, context, page, eyes, user, open };
  };
}

export async function logIn(page, fake, user) {
  await page.goto(`${fake.url}/login`);
  await page.getByLabel("Name or e-mail").fill(user.name);
  await page.getByLabel("Password", { exact: true }).fill(user.password);
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.pathname === "/");
}

export const button = (page, name) => page.getByRole("button", { name, exact: true });
