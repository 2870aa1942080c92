// Walks through the pages of posts of a real server in Chromium.
//
//   node posts-real.mjs URL SCREENS PASSWORD
//
// Accounts called ada-KIND and bea-KIND are there for each kind of window, with that password.
// Ends well if all was as it should be; the pictures are in SCREENS.
import { chromium } from "playwright-core";

import { BROWSER, BROWSER_ARGS } from "./chromium.mjs";
import { DEVICE, Eyes, SIZES } from "./eyes.mjs";
import { PostsWalk } from "./posts-walk.mjs";

const PATIENCE_MS = 20_000;

const [base, screens, password] = process.argv.slice(2);
if (password === undefined) throw new Error("usage: posts-real.mjs URL SCREENS PASSWORD");

async function walk(browser, [kind, viewport]) {
  const context = await browser.newContext({ ...DEVICE, viewport });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const eyes = new Eyes(page, kind, screens);
  const [reader, writer] = ["ada", "bea"].map((name) => ({ name: `${name}-${kind}`, password }));
  await new PostsWalk({ page, eyes, base, reader, writer }).all();
  await context.close();
}

const browser = await chromium.launch({
  ...(BROWSER && { executablePath: BROWSER }),
  args: BROWSER_ARGS,
});
try {
  await Promise.all(Object.entries(SIZES).map((window) => walk(browser, window)));
} finally {
  await browser.close();
}
