import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";

import { Api } from "../src/api";
import { differences } from "../src/notifications/differences";
import { type News, NewsFeed, type NewsSource, type Socket } from "../src/notifications/news";
import { sentence, target, unreadLabel } from "../src/notifications/sentence";
import type { Author, Notification, Page, Post } from "../src/resources";
import { FakeBrowser, json } from "./server";

const person = (name: string): Author => ({
  id: name,
  name,
  display_name: name.toUpperCase(),
  avatar_url: null,
});
const NOTHING: Notification = {
  id: "1",
  kind: "like",
  people: [],
  people_count: 0,
  post: null,
  answer: null,
  stream: null,
  revision: 1,
  is_read: false,
  created_at: "2027-01-15T08:00:00Z",
  changed_at: "2027-01-15T08:00:00Z",
};

/** The sentence as it reads. */
function text(notification: Notification): string {
  const pieces = sentence(notification);
  return pieces.map((piece) => (typeof piece === "string" ? piece : `<${piece.name}>`)).join("");
}

test("a notification names some, and counts the others", () => {
  const of = (names: string, people_count: number) => {
    const people = [...names].map((name) => person(name));
    return text({ ...NOTHING, people, people_count });
  };
  assert.equal(of("a", 1), "<a> liked your post");
  assert.equal(of("ab", 2), "<a> and <b> liked your post");
  assert.equal(of("abc", 3), "<a>, <b> and <c> liked your post");
  assert.equal(of("abc", 4), "<a>, <b> and 2 others liked your post");
  assert.equal(of("a", 2), "<a> and 1 other liked your post");
  assert.equal(of("abc", 49), "<a>, <b> and 47 others liked your post");
  assert.equal(of("abc", 50), "<a>, <b> and 48 or more others liked your post");
});

test("what moderators did names nobody, and what is not known says little", () => {
  assert.equal(text({ ...NOTHING, kind: "post_removed" }), "A moderator removed a post of yours");
  const unknown = { ...NOTHING, kind: "constructor" } as unknown as Notification;
  assert.equal(text(unknown), "Something happened");
});

test("what is new comes first, what was undone goes, and the rest stays where it is", () => {
  const page = (ids: string, next: string | null = "more") => ({
    items: [...ids].map((id) => ({ ...NOTHING, id })),
    next,
  });
  const shown = (ids: string) => new Map([...ids].map((id) => [id, { revision: 1 }]));
  const of = (before: string, now: Page<Notification>) => {
    const { gone, changed, added } = differences(shown(before), now);
    const join = (all: readonly Notification[]) => all.map(({ id }) => id).join("");
    return [gone.join(""), join(changed), join(added)];
  };
  assert.deepEqual(of("dcb", page("fedc")), ["", "", "fe"]);
  assert.deepEqual(of("", page("ba", null)), ["", "", "ba"]);
  // An unlike takes one away, and of what is beyond the page nothing is known.
  assert.deepEqual(of("edcba", page("ec")), ["d", "", ""]);
  assert.deepEqual(of("edcba", page("ec", null)), ["dba", "", ""]);
  assert.deepEqual(of("cba", page("", null)), ["cba", "", ""]);
  assert.deepEqual(of("cba", page("")), ["", "", ""]);
  // What comes back further down is not on top; where all above it is gone, it is.
  assert.deepEqual(of("db", page("dcb")), ["", "", ""]);
  assert.deepEqual(of("db", page("cb")), ["d", "", "c"]);
  const other = { ...NOTHING, id: "b", revision: 2 };
  const { changed, added } = differences(shown("cb"), { items: [other], next: "more" });
  assert.deepEqual([changed, added], [[other], []]);
});

test("a name is a piece of its own, whatever it says", async () => {
  const corpus = new URL("../../tests/browser/hostile.json", import.meta.url);
  const texts = JSON.parse(await readFile(corpus, "utf8")) as { readonly text: string }[];
  for (const { text: name } of texts) {
    const people = [{ ...person("a"), display_name: name, name }];
    const pieces = sentence({ ...NOTHING, people, people_count: 1 });
    assert.deepEqual(pieces, [people[0], " liked your post"]);
    assert.match(target({ ...NOTHING, kind: "follow", people }) ?? "", /^\/@[^/?#]*$/);
  }
});

test("a notification leads to what it is about", () => {
  const post = { id: "p" } as Post;
  const answer = { id: "a" } as Post;
  const stream = { name: "engines", title: "", is_live: true, owner: "bob" };
  const people = [person("bob")];
  assert.equal(target({ ...NOTHING, people, post }), "/posts/p");
  assert.equal(target({ ...NOTHING, people, post, answer }), "/posts/a");
  assert.equal(target({ ...NOTHING, kind: "went_live", people, stream }), "/watch/engines");
  assert.equal(target({ ...NOTHING, kind: "follow", people }), "/@bob");
  assert.equal(target({ ...NOTHING, kind: "follow_request", people }), "/settings#privacy");
  assert.equal(target({ ...NOTHING, kind: "suspended" }), null);
});

test("what is unread is counted to a limit", () => {
  const labels = [-1, 0, 1, 99, 100].map(unreadLabel);
  assert.deepEqual(labels, ["", "", "1", "99", "99+"]);
});

test("the API is asked for notifications, and told what was seen", async () => {
  const browser = new FakeBrowser();
  const api = new Api(browser.tab());
  await api.session.logIn("ada", "x");
  await api.notifications("CURSOR");
  await api.unreadNotifications();
  browser.answer = ({ path }) => (path === "notifications/read" ? json({ unread: 2 }) : null);
  const left = await api.readNotifications([{ id: "1", revision: 3 }]);
  assert.equal(left.unread, 2);
  const asked = browser.asked.slice(1).map(({ method, path, body }) => [method, path, body]);
  assert.deepEqual(asked, [
    ["GET", "notifications?after=CURSOR", null],
    ["GET", "notifications/unread", null],
    ["PUT", "notifications/read", { seen: [{ id: "1", revision: 3 }] }],
  ]);
});

/** A server of news, whose time goes as fast as a test wants. */
class FakeServer implements NewsSource {
  readonly sockets: FakeSocket[] = [];
  readonly news: News[] = [];
  asked = 0;
  token: string | null = "token";
  private now = 0;
  private timers: { readonly at: number; readonly id: number; readonly run: () => void }[] = [];
  private lastId = 0;
  readonly feed = new NewsFeed(this, (news) => this.news.push(news));

  connect(): Socket {
    const socket = new FakeSocket();
    this.sockets.push(socket);
    return socket;
  }

  accessToken(): Promise<string | null> {
    return Promise.resolve(this.token);
  }

  ask(): Promise<News> {
    this.asked += 1;
    return Promise.resolve({ unread: 100 + this.asked });
  }

  setTimeout(run: () => void, ms: number): number {
    this.lastId += 1;
    this.timers.push({ at: this.now + ms, id: this.lastId, run });
    return this.lastId;
  }

  clearTimeout(id: number | undefined): void {
    this.timers = this.timers.filter((timer) => timer.id !== id);
  }

  /** Lets time pass, and everything happen that is due then. */
  async pass(ms: number): Promise<void> {
    const until = this.now + ms;
    for (;;) {
      for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
      this.timers.sort((one, other) => one.at - other.at);
      const [next] = this.timers;
      if (next === undefined || next.at > until) break;
      this.timers.shift();
      this.now = next.at;
      next.run();
    }
    this.now = until;
  }

  get last(): FakeSocket {
    const last = this.sockets[this.sockets.length - 1];
    assert.ok(last);
    return last;
  }
}

class FakeSocket implements Socket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { readonly data: unknown }) => void) | null = null;
  onclose: ((event: { readonly code: number }) => void) | null = null;
  readonly said: { readonly type: string; readonly [name: string]: unknown }[] = [];
  isClosed = false;

  send(text: string): void {
    this.said.push(JSON.parse(text));
  }

  close(): void {
    this.isClosed = true;
    this.onclose?.({ code: 1000 });
  }

  says(message: unknown): void {
    this.onmessage?.({ data: typeof message === "string" ? message : JSON.stringify(message) });
  }

  tells(unread: number): void {
    const data = { notificationsChanged: { unread, notifications: [] } };
    this.says({ id: "1", type: "next", payload: { data } });
  }

  opens(): void {
    this.onopen?.();
    this.says({ type: "connection_ack" });
  }
}

test("news come by the socket, which is kept open", async () => {
  const server = new FakeServer();
  server.feed.start();
  await server.pass(0);
  const socket = server.last;
  socket.opens();
  const [init, subscribe] = socket.said;
  assert.deepEqual(init, { type: "connection_init", payload: { Authorization: "Bearer token" } });
  assert.equal(subscribe?.type, "subscribe");
  socket.tells(3);
  socket.says("no JSON");
  socket.says({ type: "next", payload: { data: null } });
  socket.says({ type: "ping" });
  socket.tells(4);
  assert.deepEqual(server.news, [{ unread: 3 }, { unread: 4 }]);
  await server.pass(150_000);
  assert.deepEqual(socket.said.slice(2).map(({ type }) => type), ["pong", "ping", "ping"]);
  assert.equal(server.asked, 0);
  server.feed.stop();
  await server.pass(1_000_000);
  assert.deepEqual([socket.isClosed, server.sockets.length, server.asked], [true, 1, 0]);
});

test("who has no socket asks, and tries again after longer and longer pauses", async () => {
  const server = new FakeServer();
  server.feed.start();
  await server.pass(0);
  server.last.onclose?.({ code: 1006 });
  await server.pass(0);
  // At once, for nobody has told anything.
  assert.deepEqual(server.news, [{ unread: 101 }]);
  for (const pause of [1_000, 2_000, 4_000]) {
    const before = server.sockets.length;
    await server.pass(pause - 1);
    assert.equal(server.sockets.length, before);
    await server.pass(1);
    assert.equal(server.sockets.length, before + 1);
    server.last.onclose?.({ code: 1006 });
  }
  await server.pass(60_000);
  assert.ok(server.asked >= 2);
  // What is told by a socket ends the asking.
  await server.pass(8_000);
  assert.equal(server.sockets.length, 5);
  server.last.opens();
  server.last.tells(7);
  const { asked } = server;
  await server.pass(600_000);
  assert.equal(server.asked, asked);
  assert.deepEqual(server.news[server.news.length - 1], { unread: 7 });
});

test("a token that has ended is replaced at once, and nobody is told without one", async () => {
  const server = new FakeServer();
  server.feed.start();
  await server.pass(0);
  server.last.opens();
  server.last.tells(1);
  server.last.onclose?.({ code: 4401 });
  await server.pass(0);
  assert.equal(server.sockets.length, 2);
  // One that is never taken is not tried without end.
  server.last.onclose?.({ code: 4401 });
  await server.pass(0);
  assert.equal(server.sockets.length, 2);
  server.token = null;
  await server.pass(10_000);
  assert.equal(server.sockets.length, 2);
});
