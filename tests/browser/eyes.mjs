// What is looked at on every page: whether everybody can use it, and whether it fits.
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** WCAG 2.2 AA, and what axe holds for good practice. */
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** Pages in windows of two kinds. */
export const SIZES = {
  desktop: { width: 1280, height: 800 },
  phone: { width: 360, height: 740 },
};

/** Whose eyes they are: dark until something else is chosen. */
export const DEVICE = { locale: "en-GB", colorScheme: "dark" };

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

  /** Looks at the page as it is now, without the rules that `but` names. */
  async look(name, { but = [] } = {}) {
    const { page } = this;
    await mkdir(this.folder, { recursive: true });
    await page.screenshot({ path: join(this.folder, `${name}-${this.kind}.png`), fullPage: true });
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wider <= 0, `${name} is ${wider} px wider than the window`);
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(
      ([values, off]) => {
        const rules = Object.fromEntries(off.map((rule) => [rule, { enabled: false }]));
        return window.axe.run({ runOnly: { type: "tag", values }, rules });
      },
      [RULES, but],
    );
    const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
    assert.deepEqual(told, [], name);
    assert.deepEqual(this.problems, [], name);
  }
}
