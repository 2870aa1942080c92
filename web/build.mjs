// Builds dist/ from src/. With --check, says whether the committed dist/ is what
// src/ makes, and writes nothing. With --test, makes the unit tests runnable.
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const root = fileURLToPath(new URL(".", import.meta.url));
const src = join(root, "src");
const dist = join(root, "dist");

/** The pages, each with a script of its own. */
const PAGES = [
  "index.html",
  "account.html",
  "settings.html",
  "profile.html",
  "posts.html",
  "studio.html",
  "admin.html",
];
/** Scripts that play something. */
const PLAYING = ["watch.js", "studio.js"];
const INCLUDE = /^ *<!-- include ([a-z]+\.html) -->\n/gm;

/** A page of src/, with what it shares with others in place. */
async function page(name) {
  const text = await readFile(join(src, name), "utf8");
  const shared = new Map();
  for (const [, part] of text.matchAll(INCLUDE)) {
    shared.set(part, await readFile(join(src, "shared", part), "utf8"));
  }
  return Buffer.from(text.replace(INCLUDE, (_, part) => shared.get(part)));
}

async function bundle() {
  const { version } = JSON.parse(
    await readFile(join(root, "node_modules/hls.js/package.json"), "utf8"),
  );
  const result = await build({
    absWorkingDir: root,
    entryPoints: {
      theme: "src/theme-now.ts",
      watch: "src/main.ts",
      account: "src/account/main.ts",
      settings: "src/settings/main.ts",
      profile: "src/profile/main.ts",
      posts: "src/posts/main.ts",
      studio: "src/studio/main.ts",
      admin: "src/admin/main.ts",
      style: "src/style/main.css",
    },
    outdir: "dist",
    bundle: true,
    minify: true,
    write: false,
    format: "iife",
    target: ["es2020", "chrome100", "firefox100", "safari16"],
    legalComments: "eof",
  });
  const notice = `/*! With hls.js ${version}, Apache-2.0, github.com/video-dev/hls.js */\n`;
  const files = new Map(
    result.outputFiles.map(({ path, text }) => {
      const name = path.slice(dist.length + 1);
      return [name, Buffer.from(PLAYING.includes(name) ? notice + text : text)];
    }),
  );
  for (const name of PAGES) files.set(name, await page(name));
  return files;
}

async function writeDist() {
  await mkdir(dist, { recursive: true });
  for (const [name, contents] of await bundle()) {
    await writeFile(join(dist, name), contents);
    console.log(`dist/${name} ${Math.ceil(contents.length / 1024)} KiB`);
  }
}

async function checkDist() {
  const made = await bundle();
  const present = new Set(await readdir(dist).catch(() => []));
  const stale = [];
  for (const [name, contents] of made) {
    const committed = present.delete(name) ? await readFile(join(dist, name)) : null;
    if (committed === null || !committed.equals(contents)) stale.push(name);
  }
  stale.push(...present);
  if (stale.length > 0) {
    console.error(`web/dist is out of date: ${stale.join(", ")}. Run: npm --prefix web run build`);
    process.exitCode = 1;
  }
}

async function buildTests() {
  const tests = (await readdir(join(root, "test"))).filter((name) => name.endsWith(".test.ts"));
  await build({
    absWorkingDir: root,
    entryPoints: tests.map((name) => `test/${name}`),
    outdir: ".test",
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node18",
  });
}

const modes = { "--check": checkDist, "--test": buildTests };
await (modes[process.argv[2]] ?? writeDist)();
