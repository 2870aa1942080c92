// The browser that the tests use, and how it is started.
import { existsSync } from "node:fs";

/** The first that is there is used; without any, the one that Playwright installed. */
const BROWSERS = ["/usr/bin/chromium", "/usr/bin/google-chrome"];

export const BROWSER = BROWSERS.find((path) => existsSync(path));

export const BROWSER_ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
  "--autoplay-policy=no-user-gesture-required",
];
