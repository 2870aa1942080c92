// A server of the pages that answers as the API does, from memory: as much of it as the pages
// ask for. It is for what the real server cannot be brought to do at will; see `pages.test.mjs`.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

import { misfits } from "./contract.mjs";
import { Chat } from "./fake-chat.mjs";
import { OPERATIONS } from "./fake-operations.mjs";
import { invalid, notFound, Refusal } from "./fake-refusals.mjs";
import { acceptSocket } from "./fake-socket.mjs";
import { now, secret } from "./fake-values.mjs";

const DIST = fileURLToPath(new URL("../../web/dist/", import.meta.url));
const PAGES = {
  "/": "index.html",
  "/signup": "account.html",
  "/login": "account.html",
  "/verify": "account.html",
  "/reset": "account.html",
  "/confirm-email": "account.html",
  "/settings": "settings.html",
  "/home": "posts.html",
  "/notifications": "posts.html",
  "/discover": "posts.html",
  "/search": "posts.html",
  "/studio": "studio.html",
  "/admin": "admin.html",
};
/** Pages with a name in their address. */
const NAMED = [
  [/^\/@[^/]+$/, "profile.html"],
  [/^\/(posts|hashtags)\/[^/]+$/, "posts.html"],
  [/^\/posts\/[^/]+\/video$/, "index.html"],
  [/^\/watch\/[^/]+$/, "index.html"],
  [/^\/studio\/[^/]+$/, "studio.html"],
];
const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript", css: "text/css" };
/** As `src/web.rs` has them. */
const PLAIN =
  "worker-src 'none'; object-src 'none'; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'";
const POLICY = `default-src 'self'; img-src 'self' data:; ${PLAIN}; frame-ancestors 'none'`;
/** The same of pages where something plays. */
const PLAYING = `default-src 'self'; connect-src 'self'; media-src 'self' blob:; img-src 'self' data:; ${PLAIN}`;
const WATCH_POLICY = `${PLAYING}; frame-ancestors 'self'`;
const STUDIO_POLICY = `${PLAYING}; frame-ancestors 'none'`;
const POLICIES = { "index.html": WATCH_POLICY, "studio.html": STUDIO_POLICY };
const MINUTE_MS = 60_000;

/** Starts it on a free port of this machine. */
export async function startFake() {
  const fake = new Fake();
  const server = createServer((request, response) => {
    fake.answer(request, response).catch((error) => {
      console.error(error);
      response.destroy();
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  fake.url = `http://127.0.0.1:${server.address().port}`;
  const sockets = new Set();
  server.on("upgrade", (request, socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    const heard = acceptSocket(request, socket);
    // Pages hear news by the other one: there are none.
    if (request.url === "/ws") fake.chat.meet(heard);
  });
  fake.close = () => {
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    server.close();
  };
  return fake;
}

class Fake {
  users = new Map();
  registrations = new Map();
  links = new Map();
  sessions = new Map();
  access = new Map();
  /** By what they are asked with: `{ user, token }`. */
  apiTokens = new Map();
  mails = [];
  reports = [];
  posts = new Map();
  /** Pictures for posts, by id, as the API tells them, with `owner`, `type`, `bytes` and `post`. */
  images = new Map();
  /** Posts that were made, by the key of their request. */
  made = new Map();
  /** Streams, see `fake-streams.mjs`, and those that are live, as the API tells them. */
  streams = [];
  // What was imported: `{ owner, video }`.
  videos = [];
  live = [];
  chat = new Chat(this);
  /** Viewer sessions, by id: the stream's name. */
  viewers = new Map();
  /** What `fake-admin.mjs` tells of. */
  told = [];
  audit = [];
  nodes = [];
  purges = new Map();
  prewarms = new Map();
  usage = {};
  pageSize = 20;
  /** What was asked: `{ method, path, status, headers }`. */
  asked = [];
  /** Milliseconds that an access token is good. */
  accessLife = 10 * MINUTE_MS;
  /** What it answered that the API would not; nobody looks at what means harm. */
  misfits = [];
  meansHarm = false;
  /** What to answer instead, by "METHOD path": a refusal, once; or nothing ("drop"). */
  faults = new Map();

  /** Somebody who is there already. */
  add(name, more = {}) {
    const user = {
      id: randomUUID(),
      name,
      email: `${name}@example.org`,
      password: "correct horse",
      display_name: "",
      bio: "",
      avatar: null,
      links: [],
      is_private: false,
      role: "user",
      is_suspended: false,
      created_at: now(),
      follows: new Map(),
      blocks: new Set(),
      mutes: new Set(),
      tokens: [],
      preferences: {},
      ...more,
    };
    this.users.set(name.toLowerCase(), user);
    return user;
  }

  /** The link in the newest mail to an address. */
  linkTo(email) {
    return this.mails.findLast(({ to }) => to === email)?.link;
  }

  mail(email, path, link) {
    const token = secret();
    this.links.set(token, link);
    this.mails.push({ to: email, link: `${this.url}${path}#token=${token}` });
  }

  async answer(request, response) {
    const url = new URL(request.url, this.url);
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    if (!["/api/", "/avatars/", "/images/"].some((begin) => url.pathname.startsWith(begin))) {
      this.page(url, response);
      return;
    }
    const entry = { method: request.method, path: url.pathname, headers: request.headers };
    this.asked.push(entry);
    let answer;
    try {
      const fault = `${entry.method} ${entry.path}`;
      const refusal = this.faults.get(fault);
      // A browser tries a lost request once more by itself.
      if (refusal === "drop") {
        response.destroy();
        return;
      }
      this.faults.delete(fault);
      if (refusal !== undefined) throw refusal;
      answer = this.api(new Asked(this, request, url, body)) ?? { status: 204 };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { status, code, message: detail, errors, headers } = error;
      const json = { type: `/problems/${code}`, title: code, status, detail, code, errors };
      answer = { status, json, headers: { "Content-Type": "application/problem+json", ...headers } };
    }
    entry.status = answer.status ?? 200;
    const { json, bytes } = answer;
    const kind = json === undefined ? {} : { "Content-Type": "application/json" };
    const headers = { "Cache-Control": "no-store", ...kind, ...answer.headers };
    const { method, path, status } = entry;
    this.misfits.push(...misfits({ method, path, status, type: headers["Content-Type"], json }));
    response.writeHead(status, headers);
    response.end(bytes ?? (json === undefined ? undefined : JSON.stringify(json)));
  }

  page(url, response) {
    const named = NAMED.find(([path]) => path.test(url.pathname))?.[1];
    const name = PAGES[url.pathname] ?? named ?? url.pathname.slice(1);
    try {
      const text = readFileSync(DIST + name);
      const headers = { "Content-Type": TYPES[name.split(".").pop()], "Cache-Control": "no-cache" };
      const policy = POLICIES[name] ?? POLICY;
      if (name.endsWith(".html")) headers["Content-Security-Policy"] = policy;
      response.writeHead(200, headers);
      response.end(text);
    } catch {
      response.writeHead(name === "favicon.ico" ? 204 : 404);
      response.end();
    }
  }

  api(asked) {
    for (const [operation, run] of OPERATIONS) {
      const found = operation.exec(`${asked.method} ${asked.path}`);
      if (found !== null) return run(this, asked, ...found.slice(1).map(decodeURIComponent));
    }
    throw new Refusal(404, "not-found", "Nothing is at this path.");
  }

  person(name, viewer) {
    const user = this.users.get(name.toLowerCase());
    if (user === undefined || (viewer !== null && user.blocks.has(viewer))) throw notFound();
    return user;
  }

  shown(user, viewer) {
    const followers = [...this.users.values()].filter((other) => other.follows.get(user) === "yes");
    return {
      ...profileOf(user),
      followers: followers.length,
      following: [...user.follows.values()].filter((state) => state === "yes").length,
      viewer:
        viewer === null || viewer === user
          ? null
          : {
              follows: viewer.follows.get(user) ?? "no",
              followed_by: user.follows.get(viewer) === "yes",
              blocks: viewer.blocks.has(user),
              mutes: viewer.mutes.has(user),
            },
    };
  }

  grant(session) {
    session.replaced = session.cookie;
    session.cookie = secret();
    session.refreshed_at = now();
    const access_token = secret();
    this.access.set(access_token, { session, until: Date.now() + this.accessLife });
    const cookie = `nova_refresh=${session.cookie}; HttpOnly; SameSite=Strict; Path=/api/v1/session`;
    const user = this.me(session.user);
    const json = { access_token, token_type: "Bearer", expires_in: this.accessLife / 1000, user };
    return { json, headers: { "Set-Cookie": cookie } };
  }

  me(user) {
    return { ...profileOf(user), email: user.email };
  }

  endSessions(user, except) {
    for (const session of this.sessions.values()) {
      if (session.user === user && session !== except) this.sessions.delete(session.id);
    }
  }
}

/** What everybody sees of somebody, and they themselves. */
function profileOf({ id, name, display_name, bio, links, is_private, role, is_suspended, created_at, avatar }) {
  const avatar_url = avatar === null ? null : `/avatars/${id}/${avatar.id}.png`;
  return { id, name, display_name, bio, links, is_private, role, is_suspended, created_at, avatar_url };
}

/** One request. */
class Asked {
  constructor(fake, request, url, body) {
    Object.assign(this, { fake, url, body, headers: request.headers, method: request.method });
    this.path = url.pathname.replace("/api/v1/", "");
  }

  get json() {
    if (this.headers["content-type"] !== "application/json") throw invalid("", "Expected JSON.");
    return JSON.parse(this.body.toString());
  }

  get viewer() {
    return this.headers.authorization === undefined ? null : this.me;
  }

  get bearer() {
    return (this.headers.authorization ?? "").replace("Bearer ", "");
  }

  get me() {
    const made = this.fake.apiTokens.get(this.bearer);
    if (made?.user.tokens.includes(made.token)) return made.user;
    return this.session.user;
  }

  get session() {
    const access = this.fake.access.get(this.bearer);
    const isGood = access !== undefined && access.until > Date.now();
    if (!isGood || !this.fake.sessions.has(access.session.id)) {
      throw new Refusal(401, "unauthenticated", "This needs a login.");
    }
    return access.session;
  }

  /** The session of the cookie. */
  get cookieSession() {
    void this.json;
    const cookie = /nova_refresh=([^;]+)/.exec(this.headers.cookie ?? "")?.[1];
    // A page that was left may never have got its reply, which is forgiven.
    const session = [...this.fake.sessions.values()].find(
      (found) => cookie !== undefined && [found.cookie, found.replaced].includes(cookie),
    );
    if (session === undefined) throw new Refusal(401, "refresh-failed", "The session has ended.");
    return session;
  }

  page(items, shape) {
    const from = Number(this.url.searchParams.get("after") ?? 0);
    const to = from + Number(this.url.searchParams.get("first") ?? this.fake.pageSize);
    const json = { items: items.slice(from, to).map(shape), next: to < items.length ? `${to}` : null };
    return { json };
  }

  people(users) {
    return this.page([...users], (user) => this.fake.shown(user, this.viewer));
  }

  password(field = "password") {
    if (this.json[field] !== this.me.password) {
      throw new Refusal(403, "wrong-password", "The password is not right.");
    }
  }
}
