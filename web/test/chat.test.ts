import assert from "node:assert/strict";
import test from "node:test";

import { Backlog, SHOWN_AT_MOST } from "../src/chat/backlog";
import { ChatConnection, type ChatHearer, type ChatSource, type ChatState } from "../src/chat/connection";
import { excerptOf, hindranceOf, mentions, newestLabel, presenceLabel, runLabel, waitLabel } from "../src/chat/rules";
import type { Socket } from "../src/notifications/news";
import { Problem, Unreachable } from "../src/problem";
import type { ChatMessage, ChatRoom, ViewerSession } from "../src/resources";
import { Visit, type VisitSource } from "../src/stream/visit";

const author = { id: "a", name: "ada", display_name: "", avatar_url: null, is_moderator: false };
const message = (event: number): ChatMessage => ({
  id: `m${event}`,
  event,
  author,
  text: `Number ${event}.`,
  parts: [],
  reply_to: null,
  media_time: 0,
  created_at: "2027-01-15T08:00:00Z",
});
const events = (backlog: Backlog) => backlog.shown.map(({ event }) => event);
/** From one event to another, as the history gives them. */
const page = (newest: number, oldest: number, next: string | null) => ({
  items: Array.from({ length: newest - oldest + 1 }, (_, at) => message(newest - at)),
  next,
});
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

test("the history and what is said meanwhile are one", () => {
  const backlog = new Backlog();
  backlog.said(message(12));
  backlog.deleted("m9");
  assert.ok(backlog.read(page(12, 8, "8")));
  assert.deepEqual(events(backlog), [8, 10, 11, 12]);
  backlog.said(message(12));
  backlog.said(message(13));
  assert.deepEqual(events(backlog), [8, 10, 11, 12, 13]);
  backlog.said({ ...message(14), reply_to: "m11" });
  backlog.deleted("m11");
  assert.deepEqual(events(backlog), [8, 10, 12, 13, 14]);
  assert.deepEqual([backlog.isDeleted("m11"), backlog.isDeleted("m12")], [true, false]);
  assert.deepEqual(backlog.answersTo("m11").map(({ event }) => event), [14]);
  assert.equal(backlog.after, "8");
  backlog.read(page(7, 6, null));
  assert.equal(backlog.hasOlder, false);
});

test("a page has no more than it can bear, and shows what somebody looks at", () => {
  const backlog = new Backlog();
  backlog.read(page(0, 0, null));
  for (const event of range(1, 450)) backlog.said(message(event));
  assert.deepEqual(events(backlog), range(451 - SHOWN_AT_MOST, 450));
  assert.ok(backlog.up());
  assert.equal(backlog.follows, false);
  assert.equal(events(backlog).length, SHOWN_AT_MOST);
  const held = events(backlog);
  backlog.said(message(451));
  assert.equal(backlog.unseen, 1);
  assert.deepEqual(events(backlog), held);
  while (backlog.up());
  assert.equal(events(backlog)[0], 0);
  while (backlog.down());
  assert.equal(events(backlog).at(-1), 451);
  assert.ok(backlog.follow());
  assert.equal(backlog.unseen, 0);
  backlog.said(message(452));
  assert.equal(events(backlog).at(-1), 452);
});

test("what was let go of is read again, from the newest on", () => {
  const backlog = new Backlog();
  backlog.read(page(0, 0, null));
  for (const event of range(1, 900)) backlog.said(message(event));
  assert.ok(backlog.hasOlder);
  assert.equal(backlog.after, null);
  while (backlog.up());
  const [oldest = 0] = events(backlog);
  assert.equal(oldest, 301);
  assert.equal(backlog.read(page(900, 841, "841")), false);
  assert.equal(backlog.after, "841");
  assert.ok(backlog.read(page(340, 281, "281")));
  assert.equal(events(backlog)[0], 281);
  assert.equal(events(backlog).length, SHOWN_AT_MOST);
});

test("whoever reads far back loses the newest, and is told of what comes", () => {
  const backlog = new Backlog();
  backlog.read(page(1_000, 941, "941"));
  for (let newest = 940; newest > 60; newest -= 60) {
    while (backlog.up());
    backlog.stay();
    backlog.read(page(newest, newest - 59, String(newest - 59)));
  }
  const before = events(backlog);
  assert.deepEqual(before, range(before[0] ?? 0, before.at(-1) ?? 0));
  backlog.said(message(1_001));
  assert.equal(backlog.unseen, 1);
  while (backlog.down());
  assert.notEqual(events(backlog).at(-1), 1_001);
  assert.equal(backlog.follow(), false);
  backlog.clear();
  backlog.read(page(1_001, 942, "942"));
  assert.equal(events(backlog).at(-1), 1_001);
});

test("what keeps somebody from talking is said, and for how long", () => {
  const now = Date.parse("2027-01-15T08:00:00Z");
  const of = (code: string, after: number | null) => hindranceOf(new Problem(403, code, "Detail.", [], after), now);
  assert.deepEqual(of("slow-mode", 5), { kind: "slow", text: "This chat is slow.", until: now + 5_000 });
  assert.match(of("chat-timed-out", 600).text, /^A moderator gave you a timeout, until .*\d:10.*\.$/);
  assert.match(of("chat-timed-out", 3 * 86_400).text, /18/);
  assert.deepEqual([of("chat-banned", null).kind, of("chat-banned", null).until], ["ban", null]);
  assert.equal(of("followers-only", null).kind, "followers");
  assert.equal(of("rate-limited", 30).until, now + 30_000);
  assert.equal(of("constructor", null).text, "Detail.");
  assert.equal(hindranceOf(new Unreachable(null), now).kind, "other");
});

test("labels", () => {
  const waits = [-1, 1, 12_000, 99_000, 600_000, 7_200_000].map((ms) => waitLabel(ms, 0));
  assert.deepEqual(waits, ["", "1 s", "12 s", "99 s", "10 min", "2 h"]);
  assert.deepEqual([0, 1, 1_204].map(presenceLabel), ["", "1 is here", "1,204 are here"]);
  assert.deepEqual([0, 1, 2, 100].map(newestLabel), [
    "To the newest",
    "1 new message",
    "2 new messages",
    "99+ new messages",
  ]);
  const runs = [runLabel(0, false), runLabel(5, false), runLabel(120, true)];
  assert.deepEqual(runs, ["", "One message every 5 s", "Followers only, one message every 2 min"]);
  assert.equal(excerptOf({ text: ` a\n\nb ${"🌊".repeat(100)}` }), `a b ${"🌊".repeat(76)}…`);
  const part = { text: "@Ada", mention: "Ada", hashtag: null, link: null };
  assert.deepEqual([mentions([part], "ada"), mentions([part], null), mentions([], "ada")], [true, false, false]);
});

class FakeSocket implements Socket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { readonly data: unknown }) => void) | null = null;
  onclose: ((event: { readonly code: number }) => void) | null = null;
  readonly told: Record<string, unknown>[] = [];
  isClosed = false;

  send(text: string): void {
    this.told.push(JSON.parse(text) as Record<string, unknown>);
  }

  close(): void {
    this.isClosed = true;
  }

  say(message: unknown): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

/** What waits for its time, which goes as fast as a test wants. */
class Clock {
  private now = 0;
  private timers: { readonly id: number; readonly at: number; readonly run: () => void }[] = [];
  private lastId = 0;

  setTimeout(run: () => void, ms: number): number {
    this.timers.push({ id: ++this.lastId, at: this.now + ms, run });
    return this.lastId;
  }

  clearTimeout(id: number | undefined): void {
    this.timers = this.timers.filter((timer) => timer.id !== id);
  }

  async pass(ms: number): Promise<void> {
    const until = this.now + ms;
    for (;;) {
      for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
      const [next] = this.timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.clearTimeout(next.id);
      this.now = next.at;
      next.run();
    }
    this.now = until;
  }
}

class FakeChat extends Clock implements ChatSource, ChatHearer {
  readonly sockets: FakeSocket[] = [];
  readonly states: ChatState[] = [];
  readonly heard: string[] = [];
  readonly refusals: string[] = [];
  token: string | null = "one";
  readonly connection = new ChatConnection("garden", this, this);

  connect(): Socket {
    const socket = new FakeSocket();
    this.sockets.push(socket);
    return socket;
  }

  accessToken = (): Promise<string | null> => Promise.resolve(this.token);
  refused = (token: string): void => void this.refusals.push(token);
  random = (): number => 0.5;
  state = (state: ChatState): void => void this.states.push(state);
  welcomed = (user: string | null): void => void this.heard.push(`welcome ${user}`);
  joined = (room: ChatRoom, keeps: boolean): void => void this.heard.push(`joined ${room.last_event} ${keeps}`);
  said = ({ event }: ChatMessage): void => void this.heard.push(`said ${event}`);
  deleted = (id: string): void => void this.heard.push(`deleted ${id}`);
  changed = (): void => void this.heard.push("changed");
  presence = (viewers: number): void => void this.heard.push(`presence ${viewers}`);

  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    assert.ok(socket);
    return socket;
  }

  /** The newest socket is opened and welcomed; gives what asks to be let in. */
  async welcome(): Promise<Record<string, unknown>> {
    await this.pass(0);
    this.socket.onopen?.();
    this.socket.say({ type: "welcome", version: 1, heartbeat_seconds: 30, user: "u" });
    const asked = this.socket.told.at(-1);
    assert.equal(asked?.["type"], "join");
    return asked;
  }

  async join(last_event: number, is_complete: boolean): Promise<Record<string, unknown>> {
    const asked = await this.welcome();
    const room = { stream: "garden", last_event, viewers: 1 };
    this.socket.say({ type: "joined", id: asked["id"], room, is_complete });
    return asked;
  }

  hears(event: number): void {
    this.socket.say({ type: "message", room: "garden", event, message: message(event) });
  }
}

const wish = (text: string, key = "k") => ({ text, reply_to: null, media_time: null, key });

test("a socket that is lost is resumed after the last event, later and later", async () => {
  const chat = new FakeChat();
  chat.connection.start();
  const first = await chat.join(41, false);
  assert.deepEqual(chat.socket.told[0], { type: "hello", version: 1, authorization: "Bearer one" });
  assert.equal(first["after"], undefined);
  chat.hears(42);
  chat.hears(42);
  chat.socket.say({ type: "deleted", event: 43, message: "m42" });
  chat.socket.say({ type: "changed", event: 45, slow_mode_seconds: 5, followers_only: false });
  chat.socket.say({ type: "presence", viewers: 7 });
  chat.socket.say({ type: "something new", event: 99 });
  const told = ["welcome u", "joined 41 false", "said 42", "deleted m42", "changed", "presence 7"];
  assert.deepEqual(chat.heard, told);
  chat.socket.onclose?.({ code: 1006 });
  assert.deepEqual(chat.states, ["connecting", "joined", "lost"]);
  await chat.pass(999);
  assert.equal(chat.sockets.length, 1);
  await chat.pass(1);
  chat.socket.onclose?.({ code: 1006 });
  await chat.pass(1_999);
  assert.equal(chat.sockets.length, 2);
  await chat.pass(1);
  const again = await chat.join(50, true);
  assert.equal(again["after"], 45);
  chat.hears(46);
  assert.deepEqual(chat.heard.slice(-2), ["joined 50 true", "said 46"]);
  // Too much was missed.
  chat.socket.onclose?.({ code: 4409 });
  await chat.pass(1_000);
  await chat.join(5_000, false);
  chat.hears(4_999);
  chat.hears(5_001);
  assert.deepEqual(chat.heard.slice(-2), ["joined 5000 false", "said 5001"]);
});

test("what no answer came for is sent again under its key, not for ever", async () => {
  const chat = new FakeChat();
  chat.connection.start();
  const said: string[] = [];
  await chat.join(1, false);
  void chat.connection.say(wish("One.")).then(() => said.push("one"));
  const lost = chat.connection.say(wish("Lost.", "l"));
  const failed = assert.rejects(lost, Unreachable);
  const sent = chat.socket.told.filter(({ type }) => type === "send");
  assert.deepEqual(sent[0], { type: "send", id: sent[0]?.["id"], text: "One.", key: "k" });
  for (let turn = 0; turn < 6; turn += 1) {
    chat.socket.onclose?.({ code: 1001 });
    await chat.pass(1_000);
    await chat.join(1, true);
    if (turn === 0) chat.socket.say({ type: "sent", id: sent[0]?.["id"], event: 2, message: "m2" });
  }
  await failed;
  assert.deepEqual(said, ["one"]);
  const refused = chat.connection.say(wish("No."));
  const id = chat.socket.told.at(-1)?.["id"];
  chat.socket.say({ type: "error", id, code: "slow-mode", message: "this chat is slow", retry_after_seconds: 4 });
  await assert.rejects(refused, (error: Problem) => {
    assert.deepEqual([error.status, error.code, error.retryAfter, error.message], [429, "slow-mode", 4, "This chat is slow."]);
    return true;
  });
});

test("a server that does not answer a ping is lost, and one that answers is not", async () => {
  const chat = new FakeChat();
  chat.connection.start();
  await chat.join(1, false);
  await chat.pass(30_000);
  const ping = chat.socket.told.at(-1);
  assert.equal(ping?.["type"], "ping");
  chat.socket.say({ type: "pong", id: ping?.["id"] });
  await chat.pass(29_999);
  assert.equal(chat.sockets.length, 1);
  await chat.pass(10_001);
  assert.ok(chat.sockets[0]?.isClosed);
  assert.equal(chat.states.at(-1), "lost");
  await chat.pass(1_000);
  assert.equal(chat.sockets.length, 2);
  // Nor is one that never says welcome waited for.
  await chat.pass(10_000);
  assert.ok(chat.sockets[1]?.isClosed);
});

test("a token that ends is followed by the next, and one that is refused is not shown again", async () => {
  const chat = new FakeChat();
  chat.connection.start();
  await chat.join(1, false);
  chat.token = "two";
  await chat.pass(30_000);
  assert.deepEqual(chat.socket.told.at(-1), { type: "authenticate", authorization: "Bearer two" });
  chat.socket.onclose?.({ code: 4401 });
  assert.deepEqual(chat.refusals, ["two"]);
  chat.token = null;
  await chat.pass(1_000);
  chat.socket.onopen?.();
  assert.deepEqual(chat.socket.told[0], { type: "hello", version: 1 });
});

test("a room that is not for somebody is asked for when something has changed", async () => {
  const chat = new FakeChat();
  chat.connection.start();
  const asked = await chat.welcome();
  chat.socket.say({ type: "error", id: asked["id"], code: "not-found", message: "there is no such stream" });
  assert.equal(chat.states.at(-1), "barred");
  chat.connection.renew();
  await chat.join(1, false);
  assert.equal(chat.states.at(-1), "joined");
  // Whoever is put out asks again.
  chat.socket.say({ type: "left", room: "garden", reason: "it is for others" });
  const again = chat.socket.told.at(-1);
  assert.deepEqual([again?.["type"], again?.["after"]], ["join", 1]);
  chat.socket.say({ type: "error", id: again?.["id"], code: "busy", message: "busy", retry_after_seconds: 3 });
  await chat.pass(3_000);
  const third = chat.socket.told.at(-1);
  assert.notEqual(third?.["id"], again?.["id"]);
  // What is not said by then is not.
  const refused = assert.rejects(chat.connection.say(wish("Let me in.")), (error: Problem) => error.status === 404);
  chat.socket.say({ type: "error", id: third?.["id"], code: "not-found", message: "there is no such stream" });
  await refused;
});

test("a page that is out of date, or left, opens nothing more", async () => {
  const chat = new FakeChat();
  chat.connection.start();
  await chat.pass(0);
  chat.socket.onclose?.({ code: 4406 });
  assert.equal(chat.states.at(-1), "outdated");
  await chat.pass(600_000);
  assert.equal(chat.sockets.length, 1);
  const left = new FakeChat();
  left.connection.start();
  await left.join(1, false);
  const lost = assert.rejects(left.connection.say(wish("Hello?")), Unreachable);
  left.connection.stop();
  await lost;
  await left.pass(600_000);
  assert.equal(left.sockets.length, 1);
});

class FakeViewers extends Clock implements VisitSource {
  readonly asked: string[] = [];
  readonly counted: number[] = [];
  error: Error | null = null;
  /** Whether what is asked is answered only by `late`. */
  isSlow = false;
  late: (() => void) | null = null;
  private lastViewer = 0;
  readonly visit = new Visit(this, (viewers) => this.counted.push(viewers));

  private answer(id: string): Promise<ViewerSession> {
    if (this.error !== null) return Promise.reject(this.error);
    const session = { id, beat_seconds: 30, viewers: 13 };
    if (!this.isSlow) return Promise.resolve(session);
    return new Promise((resolve) => (this.late = () => resolve(session)));
  }

  join = (): Promise<ViewerSession> => {
    this.asked.push("join");
    return this.answer(`v${++this.lastViewer}`);
  };
  stay = (id: string): Promise<ViewerSession> => {
    this.asked.push(`stay ${id}`);
    return this.answer(id);
  };
  leave = (id: string): void => void this.asked.push(`leave ${id}`);
}

test("whoever watches says so until they leave", async () => {
  const viewers = new FakeViewers();
  viewers.visit.begin();
  viewers.visit.begin();
  await viewers.pass(60_000);
  assert.deepEqual(viewers.asked, ["join", "stay v1", "stay v1"]);
  assert.equal(viewers.counted.at(-1), 13);
  viewers.visit.end();
  await viewers.pass(60_000);
  assert.deepEqual(viewers.asked.slice(3), ["leave v1"]);
  // Left while it was begun.
  viewers.visit.begin();
  viewers.visit.end();
  await viewers.pass(0);
  assert.deepEqual(viewers.asked.slice(4), ["join", "leave v2"]);
});

test("who pauses and plays again while the server is told is one viewer, and counted", async () => {
  const viewers = new FakeViewers();
  viewers.visit.begin();
  viewers.visit.end();
  viewers.visit.begin();
  await viewers.pass(0);
  // Nobody was told of the end.
  assert.deepEqual(viewers.asked, ["join"]);
  viewers.isSlow = true;
  await viewers.pass(30_000);
  viewers.visit.end();
  viewers.visit.begin();
  viewers.isSlow = false;
  viewers.late?.();
  await viewers.pass(0);
  assert.deepEqual(viewers.asked.slice(1), ["stay v1", "leave v1", "join"]);
});

test("a server that does not have it is asked seldom, and a session that is gone begins anew", async () => {
  const viewers = new FakeViewers();
  viewers.error = new Problem(404, "not-found", "Nothing is at this path.", [], null);
  viewers.visit.begin();
  await viewers.pass(3_600_000);
  assert.ok(viewers.asked.length < 40, `${viewers.asked.length}`);
  viewers.error = null;
  await viewers.pass(120_000);
  viewers.error = new Problem(404, "not-found", "No such viewer.", [], null);
  await viewers.pass(30_000);
  viewers.error = null;
  viewers.asked.length = 0;
  await viewers.pass(60_000);
  assert.equal(viewers.asked[0], "join");
});
