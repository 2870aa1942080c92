// Walks through the pages of posts of a real server in Chromium.
//
//   node posts-real.mjs URL SCREENS PASSWORD
//
// Accounts called ada-KIND and bea-KIND are there for each kind of window, with that password.
// Ends well if all was as it should be; the pictures are in SCREENS.
import { DEVICE, Eyes, SIZES } from "./eyes.mjs";
import { PostsWalk } from "./posts-walk.mjs";
import { base, password, PATIENCE_MS, run, screens } from "./real.mjs";

async function walk(browser, [kind, viewport]) {
  const context = await browser.newContext({ ...DEVICE, viewport });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const eyes = new Eyes(page, kind, screens);
  const [reader, writer] = ["ada", "bea"].map((name) => ({ name: `${name}-${kind}`, password }));
  await new PostsWalk({ page, eyes, base, reader, writer }).all();
  await context.close();
}

await run((browser) => Promise.all(Object.entries(SIZES).map((window) => walk(browser, window))));
