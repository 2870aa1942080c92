import assert from "node:assert/strict";
import test from "node:test";

import { answers, asked, pass, video } from "./browser";

import { Player } from "../src/player";

const MULTIVARIANT = "http://edge.example/live/demo/index.m3u8";
const RENDITIONS = ["high", "low"].map((name) => `http://edge.example/live/demo/${name}.m3u8`);

function multivariant(): string {
  const lines = RENDITIONS.map((url, at) => {
    const bandwidth = 4_000_000 / (at + 1);
    return `#EXT-X-STREAM-INF:BANDWIDTH=${bandwidth},CODECS="avc1.42E01E,mp4a.40.2"\n${url}`;
  });
  return `#EXTM3U\n${lines.join("\n")}\n`;
}

test("a viewer who wants to be asked is asked once", async () => {
  answers.set(MULTIVARIANT, multivariant());
  const element = video();
  let plays = 0;
  let questions = 0;
  element.play = () => Promise.resolve(void (plays += 1));
  const player = new Player(element, () => {}, () => (questions += 1), false);
  player.open(MULTIVARIANT);
  await pass(100);
  assert.deepEqual([plays, questions, player.status], [0, 1, "paused"]);
  await player.play();
  player.open(MULTIVARIANT);
  await pass(100);
  assert.deepEqual([plays, questions], [2, 1]);
  player.close();
  answers.clear();
  asked.length = 0;
});

test("a server that refuses every rendition is left alone more and more", async () => {
  answers.set(MULTIVARIANT, multivariant());
  const player = new Player(video(), () => {}, () => {});
  player.open(MULTIVARIANT);
  await pass(39_000);
  assert.equal(player.fatalErrors, 0);
  const urls = () => asked.map(({ url }) => url);
  assert.deepEqual(new Set(urls()), new Set([MULTIVARIANT, ...RENDITIONS]));
  await pass(3_000);
  assert.equal(player.fatalErrors, 1);
  await pass(600_000);
  assert.ok(player.fatalErrors > 10, `${player.fatalErrors}`);
  // It has begun anew.
  assert.ok(urls().filter((url) => url === MULTIVARIANT).length > 2);
  player.close();
});
