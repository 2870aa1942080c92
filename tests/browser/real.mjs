// What walks in front of a real server have in common: `node NAME-real.mjs URL SCREENS PASSWORD`.
import assert from "node:assert/strict";

import { chromium } from "playwright-core";

import { BROWSER, BROWSER_ARGS } from "./chromium.mjs";
import { DEVICE, Eyes, SIZES } from "./eyes.mjs";
import { Visitor } from "./visitor.mjs";

export const PATIENCE_MS = 20_000;
/** From a request to go live, or to end, until it is seen: an encoder starts, on a busy machine. */
export const LIVE_MS = 60_000;

export const [base, screens, password] = process.argv.slice(2);
if (password === undefined) throw new Error(`usage: ${process.argv[1]} URL SCREENS PASSWORD`);

/** Somebody in a window of this kind, with eyes. */
export async function somebody(browser, name, kind) {
  const context = await browser.newContext({ ...DEVICE, viewport: SIZES[kind] });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const visitor = new Visitor({ page, base, name, password });
  return Object.assign(visitor, { eyes: new Eyes(page, kind, screens) });
}

/** Runs `walk` with a browser. */
export async function run(walk) {
  const browser = await chromium.launch({
    ...(BROWSER && { executablePath: BROWSER }),
    args: BROWSER_ARGS,
  });
  try {
    await walk(browser);
  } finally {
    await browser.close();
  }
}

/** Asks the API, as whoever has the token. */
export async function ask(method, path, json, token) {
  const response = await fetch(`${base}/api/v1/${path}`, {
    method,
    headers: {
      "Content-Type": "application/json",
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(json),
  });
  const answer = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${answer}`);
  return JSON.parse(answer);
}

export async function tokenOf(login) {
  const { access_token } = await ask("POST", "session", { login, password, session: "cookie" });
  return access_token;
}
