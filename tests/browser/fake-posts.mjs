// Posts of `fake-api.mjs`: what is kept of them, and the operations on them.
import { randomUUID } from "node:crypto";

import { invalid, notFound, Refusal } from "./fake-refusals.mjs";
import { foundStream, ownVideos } from "./fake-streams.mjs";
import { now } from "./fake-values.mjs";

const TEXT_LIMIT = 5_000;
/** What turns the direction of a text. */
export const TURNS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const PIECE = /(?<![\p{L}\p{N}_])@([a-z0-9][a-z0-9_-]*)|#([\p{L}\p{N}_]+)|https?:\/\/[^\s]*[^\s.,;:!?)\]]/giu;

/** A post that is there already; `more` may say what a real server would not. */
export function addPost(fake, author, text, more = {}) {
  const post = {
    id: randomUUID(),
    author,
    text,
    visibility: "public",
    reply_to: null,
    share_of: null,
    quote: null,
    stream: null,
    images: [],
    video: null,
    revisions: [{ text, created_at: now() }],
    created_at: now(),
    edited_at: null,
    likes: new Set(),
    is_deleted: false,
    // The pieces of its text, where they are not as `partsOf` makes them.
    parts: null,
    ...more,
  };
  fake.posts.set(post.id, post);
  return post;
}

const newest = (fake) => [...fake.posts.values()].reverse();
const isComment = ({ reply_to }) => reply_to !== null;
const isLeft = ({ is_deleted }) => !is_deleted;
/** A first post that was deleted holds its thread. */
const isThere = (post) => isLeft(post) || !isComment(post);

export function partsOf(fake, text) {
  const parts = [];
  let from = 0;
  const add = (to, more = {}) => {
    if (to <= from) return;
    parts.push({ text: text.slice(from, to), mention: null, hashtag: null, link: null, ...more });
    from = to;
  };
  for (const { 0: piece, 1: mention, 2: hashtag, index } of text.matchAll(PIECE)) {
    if (mention !== undefined && !fake.users.has(mention.toLowerCase())) continue;
    add(index);
    if (mention !== undefined) add(index + piece.length, { mention: mention.toLowerCase() });
    else if (hashtag !== undefined) add(index + piece.length, { hashtag: hashtag.toLowerCase() });
    else if (URL.canParse?.(piece) ?? true) add(index + piece.length, { link: piece });
  }
  add(text.length);
  return parts;
}

/** Whether `viewer` may see it. */
function sees(post, viewer) {
  const { author, visibility } = post;
  if (author === viewer || author === null) return true;
  if (viewer !== null && (author.blocks.has(viewer) || viewer.blocks.has(author))) return false;
  if (visibility === "public" && !author.is_private) return true;
  return viewer?.follows.get(author) === "yes";
}

/** Whether it is in lists that `viewer` reads. */
const isListed = (viewer) => (post) => isLeft(post) && sees(post, viewer) && !viewer?.mutes.has(post.author);

function threadOf(fake, post) {
  let first = post;
  while (first.reply_to !== null) first = fake.posts.get(first.reply_to);
  return first === post ? null : first.id;
}

/** A post; of one that is itself quoted, what it quotes is not shown. */
function shown(fake, post, viewer, isQuoted = false) {
  const all = [...fake.posts.values()].filter(isLeft);
  const { id, author, text, visibility, reply_to, quote, stream, images, video, created_at, edited_at } = post;
  const quoted = quote === null ? undefined : fake.posts.get(quote);
  const isQuoteSeen = !isQuoted && quoted !== undefined && isLeft(quoted) && sees(quoted, viewer);
  const shared = fake.posts.get(post.share_of);
  return {
    id,
    author: post.is_deleted ? null : authorOf(fake, author),
    text: post.is_deleted ? "" : text,
    parts: post.is_deleted ? [] : (post.parts ?? partsOf(fake, text)),
    visibility,
    reply_to,
    thread: threadOf(fake, post),
    share_of: shared === undefined ? null : shown(fake, shared, viewer),
    quote: quote === null ? null : { id: quote, post: isQuoteSeen ? shown(fake, quoted, viewer, true) : null },
    stream,
    images: post.is_deleted ? [] : images,
    video: post.is_deleted ? null : video,
    revision: post.revisions.length - 1,
    created_at,
    edited_at,
    counts: {
      likes: post.likes.size,
      comments: all.filter((other) => other.reply_to === id).length,
      shares: all.filter((other) => other.share_of === id).length,
      quotes: all.filter((other) => other.quote === id).length,
    },
    viewer:
      viewer === null
        ? null
        : {
            likes: post.likes.has(viewer),
            shares: all.some((other) => other.share_of === id && other.author === viewer),
          },
    is_deleted: post.is_deleted,
  };
}

function authorOf(fake, user) {
  const { id, name, display_name, avatar_url } = fake.shown(user, null);
  return { id, name, display_name, avatar_url };
}

function find(fake, id, viewer) {
  const post = fake.posts.get(id);
  if (post === undefined || !isThere(post) || !sees(post, viewer)) throw new Refusal(404, "not-found", "No such post.");
  return post;
}

function own(fake, asked, id) {
  const post = find(fake, id, asked.me);
  if (post.author !== asked.me) throw new Refusal(403, "forbidden", "The post is somebody else's.");
  return post;
}

/** A picture of somebody's, which is on no post yet; `more` may say what a real server would not. */
export function addImage(fake, owner, bytes, { width = 640, height = 400, ...more } = {}) {
  const id = randomUUID();
  const url = `/images/${id}/full.png`;
  const shown = { id, url, preview_url: url.replace("full", "preview"), width, height, description: "", ...more };
  fake.images.set(id, { shown, owner, bytes, post: null });
  return shown;
}

/** What a PNG says of its size. */
const sizeOf = (png) => ({ width: png.readUInt32BE(16), height: png.readUInt32BE(20) });

function take(fake, asked, ids) {
  return ids.map((id) => {
    const image = fake.images.get(id);
    if (image?.owner !== asked.me) throw invalid("images", `there is no picture ${id}`);
    if (image.post !== null) throw invalid("images", `picture ${id} is on a post already`);
    return image;
  });
}

function streamNamed(fake, name) {
  const live = fake.live.find((stream) => stream.name === name);
  const found = fake.streams.find((stream) => stream.name === name);
  if (live === undefined && found === undefined) throw new Refusal(404, "not-found", "No such stream.");
  return found === undefined ? { name, title: name, is_live: true, owner: live.owner } : foundStream(found);
}

/** One of the author's videos that plays, as a post shows it. */
function videoOf(fake, { me }, id) {
  const found = ownVideos(fake, me).find((video) => video.id === id && video.playback !== null);
  if (found === undefined) throw invalid("video", `there is no video ${id}`);
  const { title, stream, playback } = found;
  const { playlist, manifest, poster } = playback;
  const duration = stream === null ? found.duration : null;
  return { id, title, duration, stream, playlist, manifest, poster };
}

function checkText(text, mayBeEmpty) {
  if (text.trim() === "" && !mayBeEmpty) throw invalid("text", "expected some words");
  if ([...text].length > TEXT_LIMIT) throw invalid("text", "expected at most 5000 characters");
  if (TURNS.test(text)) throw invalid("text", "expected no character that turns the direction of text");
}

function posts(fake, asked, found) {
  const { viewer } = asked;
  return asked.page(found.filter(isListed(viewer)), (post) => shown(fake, post, viewer));
}

const one = (fake, asked, post, status = 200) => ({ status, json: shown(fake, post, asked.viewer) });
const query = ({ url }) => url.searchParams.get("q").toLowerCase();

/** What answers, by "METHOD path". */
export const POST_OPERATIONS = [
  [
    "POST posts",
    (fake, asked) => {
      const { text, visibility = "public", reply_to = null, quote = null } = asked.json;
      const { images: ids = [], video: shown, stream: name } = asked.json;
      const key = asked.headers["idempotency-key"];
      const before = fake.made.get(key);
      if (before !== undefined) return one(fake, asked, before, 201);
      for (const id of [reply_to, quote]) if (id !== null) find(fake, id, asked.me);
      const taken = take(fake, asked, ids);
      const stream = name === undefined ? null : streamNamed(fake, name);
      const video = shown === undefined ? null : videoOf(fake, asked, shown);
      checkText(text, quote !== null || ids.length > 0 || stream !== null || video !== null);
      const images = taken.map(({ shown }) => shown);
      const post = addPost(fake, asked.me, text, { visibility, reply_to, quote, images, stream, video });
      for (const image of taken) image.post = post;
      fake.made.set(key, post);
      return one(fake, asked, post, 201);
    },
  ],
  ["GET posts/:id", (fake, asked, id) => one(fake, asked, find(fake, id, asked.viewer))],
  [
    "PATCH posts/:id",
    (fake, asked, id) => {
      const post = own(fake, asked, id);
      const { text, revision } = asked.json;
      if (revision !== post.revisions.length - 1) {
        throw new Refusal(409, "edited-meanwhile", "The post was edited meanwhile.");
      }
      const { quote, images, stream, video } = post;
      checkText(text, quote !== null || images.length > 0 || stream !== null || video !== null);
      editPost(post, text);
      return one(fake, asked, post);
    },
  ],
  [
    "DELETE posts/:id",
    (fake, asked, id) => {
      const isModerator = asked.me.role !== "user";
      const post = isModerator ? find(fake, id, asked.me) : own(fake, asked, id);
      post.is_deleted = true;
    },
  ],
  [
    "POST images",
    (fake, asked) => {
      const { me, body } = asked;
      if (asked.headers["content-type"] !== "image/png") throw invalid("picture", "expected a PNG here");
      const description = asked.url.searchParams.get("description") ?? "";
      return { status: 201, json: addImage(fake, me, body, { ...sizeOf(body), description }) };
    },
  ],
  [
    "GET /images/:id/:file",
    (fake, asked, id) => {
      const image = fake.images.get(id);
      if (image === undefined || image.post?.is_deleted) throw notFound();
      return { bytes: image.bytes, headers: { "Content-Type": "image/png" } };
    },
  ],
  [
    "GET posts/:id/revisions",
    (fake, asked, id) => {
      const { revisions } = find(fake, id, asked.viewer);
      // The last is what it says now.
      const numbered = revisions.slice(0, -1).map((revision, number) => ({ number, ...revision }));
      return asked.page(numbered.reverse(), ({ number, text, created_at }) => {
        return { number, text, parts: partsOf(fake, text), created_at };
      });
    },
  ],
  [
    "GET posts/:id/comments",
    (fake, asked, id) =>
      asked.page(
        newest(fake).filter((post) => post.reply_to === id && isLeft(post) && sees(post, asked.viewer)),
        (post) => shown(fake, post, asked.viewer),
      ),
  ],
  [
    "GET posts/:id/thread",
    (fake, asked, id) => {
      const first = threadOf(fake, find(fake, id, asked.viewer)) ?? id;
      const isIn = (post) => isLeft(post) && threadOf(fake, post) === first;
      const all = [...fake.posts.values()].filter(isIn);
      return asked.page(all, (post) => shown(fake, post, asked.viewer));
    },
  ],
  [
    "GET posts/:id/quotes",
    (fake, asked, id) => posts(fake, asked, newest(fake).filter(({ quote }) => quote === id)),
  ],
  ["GET posts/:id/likes", (fake, asked, id) => asked.people(find(fake, id, asked.viewer).likes)],
  ["PUT posts/:id/like", (fake, asked, id) => void find(fake, id, asked.me).likes.add(asked.me)],
  ["DELETE posts/:id/like", (fake, asked, id) => void find(fake, id, asked.me).likes.delete(asked.me)],
  [
    "PUT posts/:id/share",
    (fake, asked, id) => {
      const of = find(fake, id, asked.me).id;
      return one(fake, asked, addPost(fake, asked.me, "", { share_of: of }));
    },
  ],
  [
    "DELETE posts/:id/share",
    (fake, asked, id) => {
      for (const post of fake.posts.values()) {
        if (post.share_of === id && post.author === asked.me) fake.posts.delete(post.id);
      }
    },
  ],
  [
    "GET users/:name/posts",
    (fake, asked, name) => {
      const author = fake.person(name, asked.viewer);
      const all = asked.url.searchParams.get("comments") === "true";
      const found = newest(fake).filter((post) => post.author === author);
      return posts(fake, asked, found.filter((post) => all || !isComment(post)));
    },
  ],
  [
    "GET hashtags/:hashtag/posts",
    (fake, asked, hashtag) =>
      posts(fake, asked, newest(fake).filter((post) => hasHashtag(fake, post, hashtag))),
  ],
  [
    "GET feeds/home",
    (fake, asked) => {
      const { me } = asked;
      const isNear = ({ author }) => author === me || me.follows.get(author) === "yes";
      return posts(fake, asked, newest(fake).filter((post) => isNear(post) && !isComment(post)));
    },
  ],
  [
    "GET feeds/discover",
    (fake, asked) => posts(fake, asked, newest(fake).filter((post) => isOfEverybody(post))),
  ],
  [
    "GET trends/posts",
    (fake, asked) => {
      const liked = newest(fake).filter((post) => isOfEverybody(post) && post.likes.size > 0);
      return posts(fake, asked, liked.sort((one, other) => other.likes.size - one.likes.size));
    },
  ],
  [
    "GET trends/hashtags",
    (fake) => {
      const counts = new Map();
      for (const post of newest(fake).filter(isLeft)) {
        for (const { hashtag } of post.parts ?? partsOf(fake, post.text)) {
          if (hashtag !== null) counts.set(hashtag, (counts.get(hashtag) ?? 0) + 1);
        }
      }
      const items = [...counts].map(([hashtag, count]) => ({ hashtag, posts: count }));
      return { json: { items: items.sort((one, other) => other.posts - one.posts).slice(0, 10) } };
    },
  ],
  [
    "GET search/posts",
    (fake, asked) => {
      const has = ({ text }) => text.toLowerCase().includes(query(asked));
      return posts(fake, asked, newest(fake).filter(has));
    },
  ],
  [
    "GET search/users",
    (fake, asked) => {
      const has = ({ name, display_name }) => `${name} ${display_name}`.toLowerCase().includes(query(asked));
      return asked.people([...fake.users.values()].filter(has));
    },
  ],
  [
    "GET search/streams",
    (fake, asked) => {
      const has = ({ name, title }) => `${name} ${title}`.toLowerCase().includes(query(asked));
      return asked.page(fake.streams.map(foundStream).filter(has), (stream) => stream);
    },
  ],
];

const isOfEverybody = (post) =>
  post.visibility === "public" && !isComment(post) && post.share_of === null;

const hasHashtag = (fake, post, hashtag) =>
  partsOf(fake, post.text).some((part) => part.hashtag === hashtag.toLowerCase());

/** Gives a post another text. */
export function editPost(post, text) {
  post.text = text;
  post.edited_at = now();
  post.revisions.push({ text, created_at: post.edited_at });
}
