import assert from "node:assert/strict";
import test from "node:test";

import { Backlog, BY_MEDIA_TIME, SHOWN_AT_MOST } from "../src/chat/backlog";
import { ChatReplay, type ReplayHearer, type ReplaySource, type ReplayState } from "../src/chat/replay";
import { Problem, Unreachable } from "../src/problem";
import type { ChatMessage, Page } from "../src/resources";

/** When the recording begins. */
const START = Date.parse("2027-01-15T08:00:00Z");
const PAGE = 10;
const author = { id: "a", name: "ada", display_name: "", avatar_url: null, is_moderator: false };

/** Something that was said when so many seconds of the recording had played. */
const message = (seconds: number, event: number): ChatMessage => ({
  id: `m${event}`,
  event,
  author,
  text: `At ${seconds} s.`,
  parts: [],
  reply_to: null,
  media_time: START + seconds * 1_000,
  created_at: "2027-01-15T08:00:00Z",
});

/** A chat that is replayed from memory, in front of a player that goes where a test wants. */
class FakeReplay implements ReplaySource, ReplayHearer {
  readonly replay = new ChatReplay(this, this);
  readonly states: ReplayState[] = [];
  /** What was said since it began last, by the second. */
  heard: number[] = [];
  begun = 0;
  leaps = 0;
  loads = 0;
  fault: Error | null = null;
  /** What answers, where answers wait. */
  held: (() => void)[] | null = null;
  private now = 0;

  constructor(readonly messages: readonly ChatMessage[]) {}

  async load(from: number, after: string | null): Promise<Page<ChatMessage>> {
    this.loads += 1;
    const { fault } = this;
    if (this.held !== null) await new Promise<void>((go) => this.held?.push(go));
    if (fault !== null) throw fault;
    const rest = this.messages.filter(({ media_time }) => media_time >= from).sort(BY_MEDIA_TIME);
    const begin = Number(after ?? 0);
    const end = begin + PAGE;
    return { items: rest.slice(begin, end), next: end < rest.length ? String(end) : null };
  }

  state = (state: ReplayState): void => void this.states.push(state);
  said = ({ media_time }: ChatMessage): void => void this.heard.push((media_time - START) / 1_000);

  left(): void {
    this.leaps += 1;
    this.heard = [];
  }

  began(): void {
    this.begun += 1;
    this.heard = [];
  }

  /** Playback is at this second; a quarter of one passes. */
  async at(seconds: number): Promise<void> {
    this.replay.plays(START + seconds * 1_000, this.now);
    this.now += 250;
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  }

  async play(from: number, to: number): Promise<void> {
    for (let at = from; at <= to; at += 0.25) await this.at(at);
  }

  async wait(ms: number, seconds: number): Promise<void> {
    for (const until = this.now + ms; this.now < until; ) await this.at(seconds);
  }
}

test("what was said comes when what it is about plays", async () => {
  // Who is behind sees later what others have spoken of: events are in another order.
  const fake = new FakeReplay([message(5, 1), message(2, 2), message(2, 3), message(40, 4)]);
  await fake.play(0, 1.75);
  assert.deepEqual(fake.heard, []);
  await fake.at(2);
  assert.deepEqual(fake.heard, [2, 2]);
  await fake.play(2.25, 39.75);
  assert.deepEqual(fake.heard, [2, 2, 5]);
  await fake.at(40);
  assert.deepEqual(fake.heard, [2, 2, 5, 40]);
  assert.deepEqual([fake.begun, fake.loads, fake.leaps], [1, 1, 1]);
  assert.deepEqual(new Set(fake.states), new Set(["playing"]));
});

test("pages are read as they are needed, and no further ahead", async () => {
  const all = Array.from({ length: 200 }, (_, at) => message(at, at));
  const fake = new FakeReplay(all);
  await fake.play(0, 4);
  assert.equal(fake.loads, 3);
  await fake.play(4.25, 50);
  assert.equal(fake.heard.length, 51);
  assert.ok(fake.loads <= 8, `${fake.loads}`);
});

test("after a leap it begins anew, forwards and backwards", async () => {
  const all = Array.from({ length: 300 }, (_, at) => message(at, at));
  const fake = new FakeReplay(all);
  await fake.play(0, 3);
  await fake.at(200);
  assert.equal(fake.begun, 2);
  // What was said before is history, and not said again.
  assert.deepEqual(fake.heard, [200]);
  assert.equal(fake.replay.saidUpTo, START + 200_000);
  await fake.at(10);
  assert.equal(fake.begun, 3);
  assert.deepEqual(fake.heard, [10]);
  // A date that trembles is no leap, and neither is one to what is known.
  await fake.play(10.25, 12);
  await fake.at(11.5);
  await fake.at(20);
  assert.equal(fake.begun, 3);
  assert.deepEqual(fake.heard, [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
});

test("to the end of what was said one leaps without asking", async () => {
  const fake = new FakeReplay([message(1, 1), message(500, 2)]);
  await fake.at(0);
  await fake.at(600);
  assert.deepEqual([fake.heard, fake.loads, fake.begun], [[1, 500], 1, 1]);
});

test("at a leap what was said is left at once, and no place waits for another one", async () => {
  const all = Array.from({ length: 300 }, (_, at) => message(at, at));
  const fake = new FakeReplay(all);
  await fake.play(0, 3);
  const { held } = Object.assign(fake, { held: new Array<() => void>() });
  await fake.at(100);
  assert.deepEqual([fake.heard, fake.leaps, fake.begun], [[], 2, 1]);
  await fake.at(100);
  assert.equal(held.length, 1, "one page at a time");
  await fake.at(200);
  assert.deepEqual([held.length, fake.leaps], [2, 3]);
  // The older answer comes too late, and says nothing of how it stands.
  const states = fake.states.length;
  held[0]?.();
  await fake.at(200);
  assert.deepEqual([fake.heard, fake.begun, fake.states.length, held.length], [[], 1, states, 2]);
  fake.held = null;
  held[1]?.();
  await fake.at(200);
  assert.deepEqual([fake.heard, fake.begun, fake.states.at(-1)], [[200], 2, "playing"]);
});

test("what fails for a place that was left holds nothing back", async () => {
  const all = Array.from({ length: 300 }, (_, at) => message(at, at));
  const fake = new FakeReplay(all);
  const held = (fake.held = new Array<() => void>());
  fake.fault = new Problem(503, "busy", "", [], 60);
  await fake.at(0);
  fake.fault = null;
  await fake.at(100);
  for (const go of held) go();
  fake.held = null;
  await fake.at(100);
  assert.deepEqual([fake.heard, new Set(fake.states)], [[100], new Set(["playing"])]);
  await fake.play(100.25, 120);
  assert.equal(fake.heard.at(-1), 120);
});

test("what cannot be read is tried again, later and later", async () => {
  const fake = new FakeReplay([message(1, 1)]);
  fake.fault = new Unreachable(null);
  await fake.wait(10_000, 2);
  assert.ok(fake.loads >= 3 && fake.loads <= 5, `${fake.loads}`);
  assert.deepEqual(new Set(fake.states), new Set(["lost"]));
  fake.fault = new Problem(429, "rate-limited", "", [], 60);
  await fake.wait(10_000, 2);
  const { loads } = fake;
  fake.fault = null;
  await fake.wait(45_000, 2);
  assert.equal(fake.loads, loads);
  await fake.wait(30_000, 2);
  assert.equal(fake.states.at(-1), "playing");
  assert.equal(fake.begun, 1);
});

test("a room that is not for who watches is asked for once", async () => {
  const fake = new FakeReplay([]);
  fake.fault = new Problem(404, "not-found", "", [], null);
  await fake.play(0, 60);
  await fake.at(10);
  assert.deepEqual([fake.states, fake.loads, fake.begun], [["barred"], 1, 0]);
});

test("what is replayed is in the order of media time, once, and no more than a page can bear", () => {
  const backlog = new Backlog(BY_MEDIA_TIME);
  const times = (): number[] => backlog.shown.map(({ media_time }) => (media_time - START) / 1_000);
  backlog.said(message(10, 1));
  backlog.read({ items: [message(10, 1), message(8, 7), message(3, 9)], next: null });
  backlog.said(message(12, 2));
  assert.deepEqual(times(), [3, 8, 10, 12]);
  for (let at = 0; at < 2_000; at += 1) backlog.said(message(20 + at, 100 + at));
  assert.equal(backlog.shown.length, SHOWN_AT_MOST);
  assert.equal(times().at(-1), 2_019);
});
