import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";

import { Api } from "../src/api";
import { complaint } from "../src/complaints";
import { durationLabel } from "../src/labels";
import { hashtagName, hashtagPath, postId, postPath, videoPath, videoPost } from "../src/places";
import { readyVideos } from "../src/posts/own-videos";
import {
  countLabel,
  counterLabel,
  IN_LIST,
  isPoster,
  liked,
  needsText,
  roomForPicture,
  shared,
  shortened,
  showsNothing,
  targetOf,
  TEXT_LIMIT,
} from "../src/posts/rules";
import { Reading } from "../src/reading";
import type { Part, Post } from "../src/resources";
import { LastWish } from "../src/wish";
import { FakeBrowser, json } from "./server";

const PLAIN: Part = { text: "", mention: null, hashtag: null, link: null };
const POST = {
  counts: { likes: 2, comments: 0, shares: 0, quotes: 0 },
  viewer: { likes: false, shares: false },
} as Post;

test("a post that shows something needs no text", () => {
  const bare = { ...POST, quote: null, stream: null, video: null, images: [] } as Post;
  assert.ok(needsText(bare));
  for (const shown of [{ images: [{}] }, { video: {} }, { stream: {} }, { quote: {} }]) {
    assert.ok(!needsText({ ...bare, ...shown } as unknown as Post), JSON.stringify(shown));
  }
});

test("a post is empty when what it showed is gone", () => {
  const empty = { ...POST, text: "", share_of: null, quote: null, stream: null, video: null, images: [] } as Post;
  assert.equal(showsNothing(empty), true);
  for (const left of [{ text: "a" }, { share_of: empty }, { quote: { id: "1", post: null } }, { stream: {} }]) {
    assert.equal(showsNothing({ ...empty, ...left } as Post), false, JSON.stringify(left));
  }
});

test("a post has four pictures at most, and none beside something else", () => {
  assert.equal(roomForPicture(3, false), null);
  assert.match(roomForPicture(4, false) ?? "", /4 pictures at most/);
  assert.match(roomForPicture(0, true) ?? "", /a video or a stream/);
});

test("of one's videos those are offered that play", async () => {
  const browser = new FakeBrowser();
  const playback = { playlist: "", manifest: "", poster: "", expires_at: null };
  const items = [
    { id: "recording", state: "ready", stream: "garden", playback },
    { id: "on its way", state: "transcoding", stream: null, playback: null },
    { id: "imported", state: "ready", stream: null, playback },
    { id: "broken", state: "failed", stream: null, playback: null },
  ];
  let page = json({ items, next: "more" });
  browser.answer = ({ path }) => (path.startsWith("me/videos") ? page : null);
  const api = new Api(browser.tab());
  await api.session.logIn("ada", "correct horse");
  browser.asked.length = 0;
  const first = await readyVideos(api, null);
  assert.deepEqual(first.items.map(({ id }) => id), ["recording", "imported"]);
  page = json({ items: items.slice(3), next: null });
  assert.deepEqual(await readyVideos(api, first.next), { items: [], next: null });
  assert.deepEqual(
    browser.asked.map(({ path }) => path),
    ["me/videos", "me/videos?after=more"],
  );
});

test("a video's length is told in hours only where there are some", () => {
  const labels = [0, 6.6, 61, 750, 3_599.6, 3_723].map(durationLabel);
  assert.deepEqual(labels, ["0:00", "0:07", "1:01", "12:30", "1:00:00", "1:02:03"]);
});

test("the address of a post's video is its post's, and no post's", () => {
  assert.equal(videoPost(videoPath("a b")), "a b");
  assert.equal(postId(videoPath("x")), null);
  assert.equal(videoPost(postPath("x")), null);
});

test("a like and its end change one count by one, and only if they change anything", () => {
  const after = liked(POST, true);
  assert.deepEqual([after.viewer?.likes, after.counts.likes], [true, 3]);
  assert.equal(liked(after, true), after);
  assert.deepEqual(liked(after, false), POST);
  assert.deepEqual(shared(shared(POST, true), false), POST);
  assert.deepEqual(shared(POST, true).counts, { ...POST.counts, shares: 1 });
  // The server may know of fewer.
  const last = { ...POST, counts: { ...POST.counts, likes: 0 }, viewer: { likes: true, shares: false } };
  assert.equal(liked(last, false).counts.likes, 0);
  const visitor = { ...POST, viewer: null };
  assert.equal(liked(visitor, true), visitor);
});

test("a piece of a text leads where it says, and nowhere else", () => {
  assert.equal(targetOf({ ...PLAIN, text: "hello" }), null);
  assert.equal(targetOf({ ...PLAIN, text: "@Ada", mention: "ada" }), "/@ada");
  assert.equal(targetOf({ ...PLAIN, text: "#Ähre", hashtag: "ähre" }), "/hashtags/%C3%A4hre");
  const link = "https://example.org/?a=1";
  assert.equal(targetOf({ ...PLAIN, text: link, link }), link);
  for (const hostile of ["javascript:alert(1)", "data:text/html,x", "//example.org", "", "x"]) {
    assert.equal(targetOf({ ...PLAIN, text: link, link: hostile }), null, hostile);
  }
  assert.equal(targetOf({ ...PLAIN, mention: "../login?x#y" }), "/@..%2Flogin%3Fx%23y");
  assert.equal(targetOf({ ...PLAIN, hashtag: "\"><img>" }), "/hashtags/%22%3E%3Cimg%3E");
});

test("whatever somebody writes leads to a page or nowhere", async () => {
  const corpus = new URL("../../tests/browser/hostile.json", import.meta.url);
  const texts = JSON.parse(await readFile(corpus, "utf8")) as { readonly text: string }[];
  assert.ok(texts.length >= 200);
  const origin = "https://nova.example.org";
  for (const { text } of texts) {
    for (const [kind, path] of [["mention", "/@"], ["hashtag", "/hashtags/"]] as const) {
      const target = new URL(targetOf({ ...PLAIN, [kind]: text }) ?? "", origin);
      assert.equal(target.origin, origin, text);
      assert.ok(target.pathname.startsWith(path) && target.search + target.hash === "", text);
    }
    const link = targetOf({ ...PLAIN, link: text });
    assert.ok(link === null || /^https?:\/\/[^/]/.test(link), `${text}: ${link}`);
  }
});

test("a long text is cut in a list, within a piece and never within a character", () => {
  const cutTo = (parts: Part[]) => shortened(parts, IN_LIST);
  const short = [{ ...PLAIN, text: "W".repeat(700) }];
  assert.equal(cutTo(short), null);
  const cut = cutTo([...short, { ...PLAIN, text: "@ada", mention: "ada" }]);
  assert.deepEqual(cut?.map(({ text }) => text), ["W".repeat(700), "…"]);
  const faces = cutTo([{ ...PLAIN, text: "😀".repeat(701) }]);
  assert.equal(faces?.[0]?.text, `${"😀".repeat(700)}…`);
  const tag = cutTo([{ ...PLAIN, text: "W".repeat(699) }, { ...PLAIN, text: "#birds", hashtag: "birds" }]);
  assert.deepEqual(tag?.[1], { ...PLAIN, text: "#…", hashtag: "birds" });
  const lines = cutTo([{ ...PLAIN, text: "line\n".repeat(20) }]);
  assert.equal(lines?.[0]?.text, `${"line\n".repeat(14).trimEnd()}…`);
  assert.equal(cutTo([{ ...PLAIN, text: "line\n".repeat(13) }]), null);
});

test("counts are short", () => {
  const labels = [0, 1, 999, 1_000, 12_345, 1_200_000].map(countLabel);
  assert.deepEqual(labels, ["", "1", "999", "1K", "12.3K", "1.2M"]);
  assert.equal(counterLabel(4_990), "4,990 / 5,000");
});

test("a text that is too long is seen before it is sent, as the server counts", () => {
  const field = { type: "textarea", required: true, minLength: -1, dataset: { limit: String(TEXT_LIMIT) } };
  assert.equal(complaint({ ...field, value: "😀".repeat(TEXT_LIMIT) }), null);
  const long = complaint({ ...field, value: "x".repeat(TEXT_LIMIT + 1) });
  assert.equal(long, "At most 5,000 characters.");
});

test("posts and hashtags have addresses", () => {
  assert.equal(postPath("0190-a"), "/posts/0190-a");
  for (const [path, id] of [
    ["/posts/0190-a", "0190-a"],
    ["/posts/0190-a/", "0190-a"],
    ["/posts/", null],
    ["/posts/%", null],
    ["/posts/a/b", null],
    ["/@posts/a", null],
  ] as const) {
    assert.equal(postId(path), id, path);
  }
  assert.equal(hashtagName(hashtagPath("überfahrt")), "überfahrt");
  assert.equal(hashtagName("/hashtags"), null);
});

test("a list goes on after its cursor, whatever else its address asks", async () => {
  const browser = new FakeBrowser();
  browser.answer = () => json({ items: [], next: null });
  const api = new Api(browser.tab());
  await api.discover(null);
  await api.discover("a=1");
  await api.userPosts("ada", true, null);
  await api.userPosts("ada", false, "next");
  await api.searchPosts("50% & more", "next");
  await api.hashtagPosts("a/b", null);
  assert.deepEqual(
    browser.asked.map(({ path }) => path),
    [
      "feeds/discover",
      "feeds/discover?after=a%3D1",
      "users/ada/posts?comments=true",
      "users/ada/posts?comments=false&after=next",
      "search/posts?q=50%25%20%26%20more&after=next",
      "hashtags/a%2Fb/posts",
    ],
  );
});

test("a list that failed is asked for again where it failed", () => {
  const reading = new Reading();
  assert.deepEqual([reading.after, reading.goesOn], [null, false]);
  reading.came("two");
  assert.deepEqual([reading.after, reading.goesOn], ["two", true]);
  // It was to begin anew: what is behind the old first page is not what was asked for.
  reading.failed(null);
  assert.deepEqual([reading.after, reading.goesOn], [null, true]);
  reading.came("two again");
  reading.failed("two again");
  assert.equal(reading.after, "two again");
  reading.came(null);
  assert.equal(reading.goesOn, false);
});

test("who looks for something new at home asks for one post", async () => {
  const browser = new FakeBrowser();
  let page = json({ items: [{ id: "newest" }], next: "more" });
  browser.answer = ({ path }) => (path.startsWith("feeds") ? page : null);
  const api = new Api(browser.tab());
  await api.session.logIn("ada", "correct horse");
  browser.asked.length = 0;
  assert.equal((await api.newestAtHome())?.id, "newest");
  page = json({ items: [], next: null });
  assert.equal(await api.newestAtHome(), undefined);
  assert.deepEqual(
    browser.asked.map(({ path }) => path),
    ["feeds/home?first=1", "feeds/home?first=1"],
  );
});

test("what is written goes under a key, and an edit says what it was made from", async () => {
  const browser = new FakeBrowser();
  browser.answer = ({ path }) => (path.startsWith("posts") ? json({}) : null);
  const api = new Api(browser.tab());
  await api.session.logIn("ada", "correct horse");
  browser.asked.length = 0;
  await api.createPost({ text: "Hello", visibility: "followers", reply_to: "1" }, "key");
  await api.editPost("1", "Hello!", 3);
  const [created, edited] = browser.asked;
  assert.equal(created?.headers["Idempotency-Key"], "key");
  assert.deepEqual(created?.body, { text: "Hello", visibility: "followers", reply_to: "1" });
  assert.deepEqual([edited?.method, edited?.path], ["PATCH", "posts/1"]);
  assert.deepEqual(edited?.body, { text: "Hello!", revision: 3 });
});

test("a poster is a video's, with a token or without", () => {
  const id = "01890a5d-ac96-774b-bcce-b302099a8057";
  for (const address of [
    `/vod/${id}/poster.jpg`,
    `/vod/~1.eyJwIjoiLyJ9.a-b_c/${id}/poster.jpg`,
    `https://edge.example:8443/nova/vod/~1.e30.x/${id}/poster.jpg`,
  ]) {
    assert.equal(isPoster(address), true, address);
  }
  for (const address of [
    `/vod/~1.e30.x/y/${id}/poster.jpg`,
    `/vod/../${id}/poster.jpg`,
    `javascript:/vod/${id}/poster.jpg`,
    `/vod/${id}/poster.jpg?x`,
  ]) {
    assert.equal(isPoster(address), false, address);
  }
});

test("the last wish is told, and each but once", async () => {
  const wish = new LastWish();
  const told: boolean[] = [];
  const answers: (() => void)[] = [];
  const send = (is: boolean) => {
    told.push(is);
    return new Promise<void>((resolve) => answers.push(resolve));
  };
  const failed = () => assert.fail("nothing fails");
  const first = wish.tell(true, send, failed);
  await Promise.all([false, true, false].map((is) => wish.tell(is, send, failed)));
  assert.deepEqual([told, wish.isBeingTold], [[true], true]);
  answers.shift()?.();
  while (answers.length === 0) await Promise.resolve();
  answers.shift()?.();
  await first;
  assert.deepEqual([told, wish.isBeingTold], [[true, false], false]);
});

test("what the server holds is told when it takes a wish no more", async () => {
  const wish = new LastWish();
  const held: boolean[] = [];
  const send = async (is: boolean) => {
    // Meanwhile it is wished for otherwise.
    void wish.tell(false, send, () => assert.fail("that one is taken along"));
    if (!is) throw new Error("busy");
  };
  await wish.tell(true, send, (is) => held.push(is));
  assert.deepEqual([held, wish.isBeingTold], [[true], false]);
});
