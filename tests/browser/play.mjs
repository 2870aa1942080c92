// Plays a URL with hls.js in Chromium, on a page of the URL's own origin, and prints what came
// of it as one line of JSON:
//
//   node play.mjs URL SECONDS
//
//   { played, fatal_error, statuses: { "200": n, ... }, cookies: [name, ...] }
//
// "played" is in media seconds. It stops after SECONDS of them, or at a fatal error.
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

import { BROWSER, BROWSER_ARGS } from "./chromium.mjs";

const HLS = fileURLToPath(new URL("../../web/node_modules/hls.js/dist/hls.min.js", import.meta.url));
const LIMIT_MS = 60_000;

const [url, seconds] = process.argv.slice(2);
if (!(Number(seconds) > 0)) throw new Error("usage: play.mjs URL SECONDS");

/** Plays, and resolves at the end; in the page. */
function play([source, wanted]) {
  return new Promise((resolve) => {
    const video = document.createElement("video");
    video.muted = true;
    document.body.append(video);
    const hls = new window.Hls({ lowLatencyMode: true });
    let from = null;
    const end = (fatal_error) => {
      hls.destroy();
      resolve({ played: from === null ? 0 : at - from, fatal_error });
    };
    let at = 0;
    video.addEventListener("timeupdate", () => {
      at = video.currentTime;
      if (video.readyState >= 2) from ??= at;
      if (from !== null && at - from >= wanted) end(null);
    });
    hls.on("hlsError", (_, { fatal, details, response }) => {
      if (fatal) end({ details, status: response?.code ?? null });
    });
    hls.on("hlsMediaAttached", () => hls.loadSource(source));
    hls.on("hlsManifestParsed", () => void video.play());
    hls.attachMedia(video);
  });
}

const browser = await chromium.launch({
  ...(BROWSER && { executablePath: BROWSER }),
  args: BROWSER_ARGS,
});
try {
  const context = await browser.newContext({ bypassCSP: true });
  const tab = await context.newPage();
  await tab.goto(new URL("/openapi.json", url).href);
  await tab.addScriptTag({ path: HLS });
  const statuses = {};
  tab.on("response", (response) => {
    const status = response.status();
    statuses[status] = (statuses[status] ?? 0) + 1;
  });
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error("it did not play in time")), LIMIT_MS).unref();
  });
  const result = await Promise.race([tab.evaluate(play, [url, Number(seconds)]), late]);
  const cookies = (await context.cookies()).map(({ name }) => name);
  process.stdout.write(`${JSON.stringify({ ...result, statuses, cookies })}\n`);
} finally {
  await browser.close();
}
