// Has Chromium read a WebVTT file, and prints what it made of it as JSON: an array of
// { start, end, text }. The page is any of the same origin.
//
//   node cues.mjs PAGE TRACK
import { chromium } from "playwright-core";

import { BROWSER, BROWSER_ARGS } from "./chromium.mjs";

const [page, track] = process.argv.slice(2);
if (track === undefined) throw new Error("usage: cues.mjs PAGE TRACK");

/** Resolves with the cues of the track at `src`; in the page. */
function readCues(src) {
  return new Promise((resolve, reject) => {
    const video = document.createElement("video");
    const element = document.createElement("track");
    element.kind = "metadata";
    element.addEventListener("error", () => reject(new Error(`${src} is no track`)));
    element.addEventListener("load", () => {
      const cues = [...element.track.cues];
      resolve(cues.map(({ startTime, endTime, text }) => ({ start: startTime, end: endTime, text })));
    });
    element.src = src;
    video.append(element);
    document.body.append(video);
    element.track.mode = "hidden";
  });
}

const browser = await chromium.launch({
  ...(BROWSER && { executablePath: BROWSER }),
  args: BROWSER_ARGS,
});
try {
  const tab = await browser.newPage();
  await tab.goto(page);
  process.stdout.write(`${JSON.stringify(await tab.evaluate(readCues, track))}\n`);
} finally {
  await browser.close();
}
