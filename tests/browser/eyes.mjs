// What is looked at on every page: whether everybody can use it, and whether it fits.
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** WCAG 2.2 AA, and what axe holds for good practice. */
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const ALL = { type: "tag", values: TAGS };
/** What is another in other colours. */
const COLOURS_ONLY = { type: "rule", values: ["color-contrast"] };

/** Pages in windows of two kinds. */
export const SIZES = {
  desktop: { width: 1280, height: 800 },
  phone: { width: 360, height: 740 },
};

/** What the device of somebody may have; the last is what it has. */
const COLOURS = ["light", "dark"];
/** Whose eyes they are. */
export const DEVICE = { locale: "en-GB", colorScheme: COLOURS.at(-1) };

/** Looks at one page after the other; keeps a picture of each in `folder`. */
export class Eyes {
  problems = [];

  constructor(page, kind, folder) {
    Object.assign(this, { page, kind, folder });
    page.on("pageerror", (error) => this.problems.push(String(error)));
    page.on("console", (message) => {
      // What is refused is told there too, and is often what is tried here.
      const isAnswer = message.text().startsWith("Failed to load resource");
      if (message.type() === "error" && !isAnswer) this.problems.push(message.text());
    });
  }

  /** Looks at the page as it is now, in all colours, without the rules that `but` names. */
  async look(name, { but = [] } = {}) {
    const { page } = this;
    await mkdir(this.folder, { recursive: true });
    for (const colorScheme of COLOURS) {
      await page.emulateMedia({ colorScheme });
      // The page is told of it before its next frame.
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
      const path = join(this.folder, `${name}-${this.kind}-${colorScheme}.png`);
      await page.screenshot({ path, fullPage: true });
      const what = `${name}, ${this.kind}, ${colorScheme}`;
      const rules = colorScheme === DEVICE.colorScheme ? ALL : COLOURS_ONLY;
      assert.deepEqual(await this.faults(rules, but), [], what);
    }
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wider <= 0, `${name} is ${wider} px wider than the window`);
    assert.deepEqual(this.problems, [], name);
  }

  /** What axe finds. */
  async faults(runOnly, but) {
    if (!(await this.page.evaluate(() => "axe" in window))) await this.page.evaluate(AXE);
    const rules = Object.fromEntries(but.map((rule) => [rule, { enabled: false }]));
    return this.page.evaluate(async (options) => {
      const { violations } = await window.axe.run(options);
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
    }, { runOnly, rules });
  }
}
