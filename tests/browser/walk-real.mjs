// Walks through the pages of a real server in Chromium, with the mails that it sends.
//
//   node walk-real.mjs SCREENS PASSWORD
//
// Says { "event": "mailbox", "port": ... } when it takes mails, then reads the URL of the server
// from stdin. Somebody called bea-KIND is there for each kind of window, with that password. Ends
// well if all was as it should be; the pictures are in SCREENS.
import { once } from "node:events";
import { createInterface } from "node:readline";

import { chromium } from "playwright-core";

import { BROWSER, BROWSER_ARGS } from "./chromium.mjs";
import { DEVICE, Eyes, SIZES } from "./eyes.mjs";
import { Mailbox } from "./mailbox.mjs";
import { Walk } from "./walk.mjs";

const PATIENCE_MS = 20_000;

const [screens, password] = process.argv.slice(2);
if (password === undefined) throw new Error("usage: walk-real.mjs SCREENS PASSWORD");

const mailbox = new Mailbox();
const port = await mailbox.listen();
process.stdout.write(`${JSON.stringify({ event: "mailbox", port })}\n`);
const [base] = await once(createInterface(process.stdin), "line");

/** Links begin with where the server was told to listen, which is any port here. */
async function linkTo(email, path) {
  const { pathname, hash } = new URL(await mailbox.takeLink(email, path));
  return base + pathname + hash;
}

async function walk(browser, [kind, viewport]) {
  const context = await browser.newContext({ ...DEVICE, viewport });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const eyes = new Eyes(page, kind, screens);
  const friend = { name: `bea-${kind}`, password };
  await new Walk({ page, eyes, base, linkTo, name: `ada-${kind}`, friend }).all();
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
  await mailbox.close();
}
process.exit(0);
