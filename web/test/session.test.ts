import assert from "node:assert/strict";
import test from "node:test";

import { Api } from "../src/api";
import { fetchLive, fetchLiveAnd, type LivePage } from "../src/live";
import { LoginNeeded, Problem, Unreachable } from "../src/problem";
import { KNOWN_KEY, Session } from "../src/session";
import { FakeBrowser, json, problem } from "./server";

async function loggedIn(): Promise<{ browser: FakeBrowser; api: Api }> {
  const browser = new FakeBrowser();
  const api = new Api(browser.tab());
  await api.session.logIn("ada", "correct horse");
  browser.asked.length = 0;
  return { browser, api };
}

const bearer = ({ asked }: FakeBrowser) =>
  asked.filter(({ path }) => path === "me").map(({ headers }) => headers["Authorization"]);

test("an access token is asked for when there is none, and when it is near its end", async () => {
  const { browser, api } = await loggedIn();
  await api.me();
  assert.equal(browser.count("session/refresh"), 0);
  browser.now += 584_000;
  await api.me();
  assert.equal(browser.count("session/refresh"), 0);
  browser.now += 1_000;
  await api.me();
  assert.deepEqual(bearer(browser), ["Bearer access-1", "Bearer access-1", "Bearer access-2"]);
});

test("nothing that lets somebody in is stored", async () => {
  const { browser } = await loggedIn();
  const stored = browser.tab().storage.getItem(KNOWN_KEY) ?? "";
  assert.ok(stored.includes("ada") && !stored.includes("access"), stored);
});

test("requests at the same time share one refresh", async () => {
  const { browser } = await loggedIn();
  const api = new Api(browser.tab());
  await Promise.all([api.me(), api.me(), api.user("bob")]);
  assert.equal(browser.count("session/refresh"), 1);
});

test("tabs refresh one after the other, each with the cookie of the one before", async () => {
  const { browser } = await loggedIn();
  const tabs = Array.from({ length: 10 }, () => new Api(browser.tab()));
  await Promise.all(tabs.map((tab) => tab.me()));
  assert.equal(browser.count("session/refresh"), 10);
  assert.equal(new Set(bearer(browser)).size, 10);
  assert.notEqual(browser.cookie, null);
});

test("where there are no locks, the tab alone takes turns", async () => {
  const { browser } = await loggedIn();
  const api = new Api(browser.tab(false));
  await Promise.all([api.me(), api.me()]);
  assert.equal(browser.count("session/refresh"), 1);
});

test("a visitor asks for no session", async () => {
  const browser = new FakeBrowser();
  const api = new Api(browser.tab());
  await api.user("bob");
  await assert.rejects(api.me(), LoginNeeded);
  assert.deepEqual(browser.asked.map(({ path }) => path), ["users/bob"]);
  assert.deepEqual(browser.asked[0]?.headers, {});
});

test("a token that is refused is replaced once", async () => {
  const { browser, api } = await loggedIn();
  browser.answer = ({ headers }) =>
    headers["Authorization"] === "Bearer access-1" ? problem(401, "unauthenticated") : null;
  await api.me();
  assert.deepEqual(bearer(browser), ["Bearer access-1", "Bearer access-2"]);

  browser.answer = ({ path }) => (path === "me" ? problem(401, "unauthenticated") : null);
  await assert.rejects(api.me(), Problem);
  assert.equal(bearer(browser).length, 4);
});

test("other refusals are not tried again, whatever their status", async () => {
  const { browser, api } = await loggedIn();
  browser.answer = ({ path }) => (path === "me/email" ? problem(401, "wrong-password") : null);
  await assert.rejects(api.changeEmail("guess", "ada@example.org"), Problem);
  assert.deepEqual(browser.asked.map(({ path }) => path), ["me/email"]);
});

test("a session that is over is forgotten; one that cannot be asked for is not", async () => {
  const { browser } = await loggedIn();
  const api = new Api(browser.tab());
  for (const [status, code] of [
    [429, "rate-limited"],
    [500, "internal"],
    [503, "busy"],
  ] as const) {
    browser.answer = () => problem(status, code);
    await assert.rejects(api.me(), Problem);
    assert.equal(api.session.known?.name, "ada");
  }
  browser.answer = () => {
    throw new TypeError("no network");
  };
  await assert.rejects(api.me(), Unreachable);
  assert.equal(api.session.known?.name, "ada");

  browser.answer = () => null;
  browser.cookie = null;
  await assert.rejects(api.me(), LoginNeeded);
  assert.equal(api.session.known, null);
  // Visitors see what they may.
  await api.user("bob");
});

test("a tab that waited for its turn asks for nothing after another logged out", async () => {
  const { browser, api } = await loggedIn();
  const other = new Session(browser.tab());
  const [, token] = await Promise.all([api.session.logOut(), other.accessToken()]);
  assert.equal(token, null);
  assert.equal(browser.count("session/refresh"), 0);
});

test("a logout of a session that has ended is one", async () => {
  const { browser, api } = await loggedIn();
  browser.answer = () => problem(401, "refresh-failed");
  await api.session.logOut();
  assert.equal(api.session.known, null);
  browser.answer = () => problem(503, "busy");
  await api.session.logIn("ada", "correct horse").catch(() => {});
  assert.equal(api.session.known, null);
});

test("who is known may be anything that somebody wrote there", () => {
  const browser = new FakeBrowser();
  const { storage } = browser.tab();
  for (const text of ["", "null", "7", "[]", "{", '{"display_name":"Ada"}', '{"name":7}']) {
    storage.setItem(KNOWN_KEY, text);
    assert.equal(new Session(browser.tab()).known, null, text);
  }
  storage.setItem(KNOWN_KEY, '{"name":"ada"}');
  const found = new Session(browser.tab()).known;
  assert.deepEqual(found, { name: "ada", display_name: "", avatar_url: null, role: "user" });
});

const LIVE = "live?first=100";
const names = ({ streams }: LivePage) => streams.map(({ name }) => name);
const LISTED = { name: "open", started_at: "2025-01-01T12:00:00Z", playlist: "/live/open/index.m3u8" };

test("who is live is asked by whoever is logged in", async () => {
  const { browser, api } = await loggedIn();
  browser.answer = ({ path }) => (path === LIVE ? json({ streams: [LISTED], next: null }) : null);
  assert.deepEqual(names(await fetchLive(api)), ["open"]);
  assert.equal(browser.asked.at(-1)?.headers["Authorization"], "Bearer access-1");
  const visitor = new FakeBrowser();
  visitor.answer = browser.answer;
  await fetchLiveAnd(new Api(visitor.tab()), "mine");
  assert.deepEqual(visitor.asked.map(({ path, headers }) => [path, headers]), [[LIVE, {}]]);
});

test("a stream that is watched and in no list is played with a token of one's own", async () => {
  const { browser, api } = await loggedIn();
  let since: string | null = "2025-01-01T13:00:00Z";
  const playlist = "/live/~1.a.b/mine/index.m3u8";
  browser.answer = ({ path }) => {
    if (path === LIVE) return json({ streams: [LISTED], next: null });
    if (path === "streams/mine") return json({ name: "mine", title: "Mine", owner: "ada", live_since: since });
    if (path === "streams/mine/playback") return json({ playlist, manifest: "", expires_at: "" });
    return problem(404, "not-found");
  };
  const watched = await fetchLiveAnd(api, "mine");
  assert.deepEqual(watched.streams[1], { name: "mine", title: "Mine", owner: "ada", startedAt: since, playlist });
  since = null;
  assert.deepEqual(names(await fetchLiveAnd(api, "mine")), ["open"]);
  assert.deepEqual(names(await fetchLiveAnd(api, "nobodys")), ["open"]);
  browser.asked.length = 0;
  assert.deepEqual(names(await fetchLiveAnd(api, "open")), ["open"]);
  assert.deepEqual(browser.asked.map(({ path }) => path), [LIVE]);
});

test("who is live is read as many pages as are wanted and are there", async () => {
  const browser = new FakeBrowser();
  const api = new Api(browser.tab());
  browser.answer = ({ path }) => {
    if (!path.startsWith(LIVE)) return problem(404, "not-found");
    const at = path === LIVE ? 1 : Number(path.split("after=").at(1));
    const next = at < 3 ? String(at + 1) : null;
    return json({ streams: [{ ...LISTED, name: `s${at}` }], next });
  };
  const read = async (pages: number) => {
    const live = await fetchLive(api, pages);
    return [...names(live), live.next];
  };
  assert.deepEqual(await read(1), ["s1", "2"]);
  assert.deepEqual(await read(2), ["s1", "s2", "3"]);
  assert.deepEqual(await read(9), ["s1", "s2", "s3", null]);
  // One that does not come takes nothing from those before it.
  const { answer } = browser;
  browser.answer = (asked) => (asked.path.endsWith("after=3") ? problem(429, "rate-limited") : answer(asked));
  assert.deepEqual(await read(9), ["s1", "s2", "3"]);
  browser.answer = () => problem(429, "rate-limited");
  await assert.rejects(read(9));
  browser.answer = answer;
  // What is watched may be on another page.
  browser.asked.length = 0;
  assert.deepEqual(names(await fetchLiveAnd(api, "s3")), ["s1"]);
  assert.deepEqual(browser.asked.map(({ path }) => path), [LIVE, "streams/s3"]);
});
