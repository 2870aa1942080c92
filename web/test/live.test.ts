import assert from "node:assert/strict";
import test from "node:test";

import { pass } from "./browser";
import { type LivePage, LivePoller } from "../src/live";

const ANSWER_MS = 1_200;
const INTERVAL_MS = 1_000;
const NOBODY: LivePage = { streams: [], next: null };

Object.assign(globalThis, { document: new EventTarget() });

/** Counts what it is asked, and how much of it at once. */
class Server {
  asked = 0;
  most = 0;
  private open = 0;

  async read(): Promise<LivePage> {
    this.asked += 1;
    this.open += 1;
    this.most = Math.max(this.most, this.open);
    await new Promise<void>((resolve) => window.setTimeout(resolve, ANSWER_MS));
    this.open -= 1;
    return NOBODY;
  }
}

test("who is live is asked one time after the other, also by whoever hears an answer", async () => {
  const server = new Server();
  const poller = new LivePoller(
    () => server.read(),
    () => poller.askNow(),
    () => INTERVAL_MS,
  );
  poller.askNow();
  await pass(10 * ANSWER_MS + 100);
  assert.deepEqual([server.most, server.asked], [1, 11]);
});

test("what is wanted anew is asked as soon as the answer to the question before is there", async () => {
  const server = new Server();
  const poller = new LivePoller(
    () => server.read(),
    () => undefined,
    () => INTERVAL_MS,
  );
  poller.askNow();
  await pass(100);
  poller.askAnew();
  assert.equal(server.asked, 1);
  await pass(ANSWER_MS);
  assert.equal(server.asked, 2);
  await pass(ANSWER_MS);
  assert.equal(server.asked, 2);
  await pass(INTERVAL_MS);
  assert.deepEqual([server.most, server.asked], [1, 3]);
});
