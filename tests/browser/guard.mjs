// Looks whether anything runs, loads or leads elsewhere in a page that shows what people wrote.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

/**
 * Texts that would do something if a page took them for more than text, as
 * `{ kind, text }`. What runs of them calls `alert`, or asks `foreign.example`.
 */
export const HOSTILE = JSON.parse(await readFile(new URL("hostile.json", import.meta.url), "utf8"));

/** Tells whatever a script could call to be noticed, and what the page's policy stopped; in the page. */
function tellAll() {
  const tell = (what) => window.tellGuard(what, window.frameElement?.id ?? null);
  for (const name of ["alert", "confirm", "prompt", "print", "open"]) {
    window[name] = (...given) => tell(`${name}(${given})`);
  }
  document.addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) => {
    tell(`stopped: ${effectiveDirective} ${blockedURI}`);
  });
}

/** What is in the page that its own scripts and templates put in none; in the page. */
function strangers() {
  const never =
    "iframe, frame, object, embed, base, style, math, marquee, audio, source, track, " +
    "script:not([src^='/']), link:not([href='/style.css'], [rel='icon']), meta[http-equiv], " +
    "img:not([src^='/avatars/'], [src^='/images/'], [src^='/vod/'])";
  const found = [...document.querySelectorAll(never)];
  for (const element of document.querySelectorAll("*")) {
    if ([...element.attributes].some(({ name }) => /^(on|style$|srcdoc|formaction)/.test(name))) found.push(element);
  }
  for (const link of document.querySelectorAll("a[href], form[action]")) {
    const { protocol, host } = new URL(link.getAttribute("href") ?? link.action, location.href);
    const isHere = host === location.host && protocol === location.protocol;
    const isMarked = ["nofollow", "noopener", "ugc"].every((word) => link.relList?.contains(word));
    if (!isHere && !(["http:", "https:"].includes(protocol) && isMarked)) found.push(link);
  }
  return [...new Set(found)].map((element) => element.outerHTML);
}

export class Guard {
  /** What happened that should not, with where: `{ what, frame }`. */
  seen = [];

  /** Watches every page of `context`; they may ask nobody but `base`. */
  static async over(context, base) {
    const guard = new Guard();
    const note = (what, frame = null) => guard.seen.push({ what, frame });
    await context.exposeBinding("tellGuard", (_, what, frame) => note(what, frame));
    await context.addInitScript(tellAll);
    const { host } = new URL(base);
    context.on("request", (request) => {
      const url = new URL(request.url());
      // There is no host of that name anywhere.
      if (/^https?:$/.test(url.protocol) && url.host !== host) note(`asked: ${url}`);
    });
    context.on("page", (page) => {
      page.on("dialog", (dialog) => {
        note(`dialog: ${dialog.message()}`);
        void dialog.dismiss();
      });
      page.on("pageerror", (error) => note(`error: ${error}`));
      page.on("popup", (popup) => note(`popup: ${popup.url()}`));
    });
    return guard;
  }

  /** Fails if anything happened, or if there is anything in the page that could. */
  async check(page, where) {
    assert.deepEqual(await page.evaluate(strangers), [], where);
    // What an element does when it is there, it has done by its next frame.
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
    assert.deepEqual(this.seen, [], where);
  }
}
