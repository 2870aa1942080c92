// The operations of the API that the pages ask for, for `fake-api.mjs`.
import { createHash, randomUUID } from "node:crypto";

import { ADMIN_OPERATIONS } from "./fake-admin.mjs";
import { CHAT_OPERATIONS } from "./fake-chat.mjs";
import { POST_OPERATIONS } from "./fake-posts.mjs";
import { invalid, notFound, Refusal } from "./fake-refusals.mjs";
import { STREAM_OPERATIONS } from "./fake-streams.mjs";
import { STUDIO_OPERATIONS } from "./fake-studio.mjs";
import { now, secret } from "./fake-values.mjs";

const DEFAULTS = { theme: "system", autoplay: "on", post_when_live: "no" };
/** What else there is of an account, as it is exported. */
const NOTHING_ELSE = {
  is_complete: true,
  sessions: [],
  api_tokens: [],
  preferences: {},
  followers: [],
  following: [],
  blocked: [],
  muted: [],
  reports: [],
  posts: [],
  revisions: [],
  images: [],
  streams: [],
  videos: [],
  likes: [],
  notifications: [],
  chat_messages: [],
};
const DAY_MS = 24 * 60 * 60 * 1000;

function takeLink(fake, asked, purpose) {
  const { token } = asked.json;
  const link = fake.links.get(token);
  if (link?.purpose !== purpose) {
    throw new Refusal(400, "link-not-valid", "The link is not valid any more: ask for another one.");
  }
  fake.links.delete(token);
  return link;
}

const followersOf = (fake, user, state) =>
  [...fake.users.values()].filter((other) => other.follows.get(user) === state);

/** What answers, by "METHOD path". */
export const OPERATIONS = [
  [
    "GET live",
    (fake, asked) => {
      const { items: streams, next } = asked.page(fake.live, (stream) => stream).json;
      return { json: { streams, next } };
    },
  ],
  [
    "POST registrations",
    (fake, asked) => {
      const { name, email, password } = asked.json;
      if (fake.users.has(name.toLowerCase())) {
        throw new Refusal(409, "name-taken", "The user name is taken.");
      }
      if (!/^[a-z0-9][a-z0-9_-]*$/i.test(name)) throw invalid("name", "This name is not valid.");
      fake.mail(email, "/verify", { purpose: "verify", name, email, password });
      const message = `We sent a mail to ${email}. The link in it is good for a day.`;
      return { status: 202, json: { message } };
    },
  ],
  [
    "POST registrations/verify",
    (fake, asked) => {
      const { name, email, password } = takeLink(fake, asked, "verify");
      return { status: 201, json: fake.me(fake.add(name, { email, password })) };
    },
  ],
  [
    "POST session",
    (fake, asked) => {
      const { login, password, session: kind } = asked.json;
      const known = (user) => user.name.toLowerCase() === login.toLowerCase() || user.email === login;
      const user = [...fake.users.values()].find(known);
      if (user?.password !== password || kind !== "cookie") {
        throw new Refusal(401, "login-failed", "The name or the password is not right.");
      }
      const session = { id: randomUUID(), user, created_at: now(), agent: asked.headers["user-agent"] };
      fake.sessions.set(session.id, session);
      return fake.grant(session);
    },
  ],
  ["POST session/refresh", (fake, asked) => fake.grant(asked.cookieSession)],
  ["DELETE session", (fake, asked) => void fake.sessions.delete(asked.cookieSession.id)],
  ["DELETE me/sessions", (fake, asked) => fake.endSessions(asked.me)],
  [
    "GET me/sessions",
    (fake, asked) => {
      const mine = [...fake.sessions.values()].filter(({ user }) => user === asked.me);
      return asked.page(mine, (session) => ({
        id: session.id,
        user_agent: session.agent,
        address: "127.0.0.1",
        created_at: session.created_at,
        refreshed_at: session.refreshed_at,
        expires_at: session.refreshed_at,
        is_current: session === asked.session,
      }));
    },
  ],
  ["DELETE me/sessions/:id", (fake, asked, id) => void (asked.me && fake.sessions.delete(id))],
  [
    "POST password-resets",
    (fake, asked) => {
      const { email } = asked.json;
      const user = [...fake.users.values()].find((found) => found.email === email);
      if (user !== undefined) fake.mail(email, "/reset", { purpose: "reset", user });
      const message = `If ${email} is the address of an account, a link is on its way to it.`;
      return { status: 202, json: { message } };
    },
  ],
  [
    "POST password-resets/confirm",
    (fake, asked) => {
      const { user } = takeLink(fake, asked, "reset");
      user.password = asked.json.password;
      fake.endSessions(user);
    },
  ],
  [
    "PUT me/password",
    (fake, asked) => {
      asked.password("current_password");
      asked.me.password = asked.json.new_password;
      fake.endSessions(asked.me, asked.session);
    },
  ],
  [
    "PUT me/email",
    (fake, asked) => {
      asked.password();
      const { email } = asked.json;
      fake.mail(email, "/confirm-email", { purpose: "change", user: asked.me, email });
      return { status: 202, json: { message: `We sent a link to ${email}.` } };
    },
  ],
  [
    "POST me/email/confirm",
    (fake, asked) => {
      const { user, email } = takeLink(fake, asked, "change");
      user.email = email;
    },
  ],
  ["GET me", (fake, asked) => ({ json: fake.me(asked.me) })],
  [
    "DELETE me",
    (fake, asked) => {
      asked.password();
      const { me } = asked;
      fake.endSessions(me);
      fake.users.delete(me.name.toLowerCase());
    },
  ],
  [
    "GET me/export",
    (fake, asked) => ({
      json: { ...NOTHING_ELSE, account: fake.me(asked.me), exported_at: now() },
      headers: { "Content-Disposition": 'attachment; filename="nova.json"' },
    }),
  ],
  ["GET me/tokens", (fake, asked) => asked.page(asked.me.tokens, (token) => token)],
  [
    "POST me/tokens",
    (fake, asked) => {
      const { name, scopes, expires_in_days } = asked.json;
      if (scopes.length === 0) throw invalid("scopes", "Choose what the token may do.");
      const expires = Date.now() + expires_in_days * DAY_MS;
      const made = {
        id: randomUUID(),
        name,
        scopes,
        created_at: now(),
        expires_at: expires_in_days === null ? null : new Date(expires).toISOString(),
        last_used_at: null,
      };
      asked.me.tokens.unshift(made);
      const token = `nova_pat_${secret()}`;
      fake.apiTokens.set(token, { user: asked.me, token: made });
      return { status: 201, json: { token, api_token: made } };
    },
  ],
  [
    "DELETE me/tokens/:id",
    (fake, asked, id) => {
      asked.me.tokens = asked.me.tokens.filter((token) => token.id !== id);
    },
  ],
  [
    "PATCH me",
    (fake, asked) => {
      const { links = [] } = asked.json;
      const at = links.findIndex(({ url }) => url.includes("javascript"));
      if (at >= 0) throw invalid(`links[${at}].url`, "A link has to lead to a page.");
      Object.assign(asked.me, asked.json);
      return { json: fake.me(asked.me) };
    },
  ],
  [
    "PUT me/avatar",
    (fake, asked) => {
      asked.me.avatar = {
        id: createHash("sha256").update(asked.body).digest("hex"),
        type: asked.headers["content-type"],
        bytes: asked.body,
      };
      return { json: fake.me(asked.me) };
    },
  ],
  ["DELETE me/avatar", (fake, asked) => void (asked.me.avatar = null)],
  [
    "GET /avatars/:user/:file",
    (fake, asked, user, file) => {
      const { avatar = null } = [...fake.users.values()].find(({ id }) => id === user) ?? {};
      if (avatar === null || file !== `${avatar.id}.png`) throw notFound();
      return { bytes: avatar.bytes, headers: { "Content-Type": avatar.type } };
    },
  ],
  [
    "GET users/:name",
    (fake, { viewer }, name) => ({ json: fake.shown(fake.person(name, viewer), viewer) }),
  ],
  [
    "PUT users/:name/follow",
    (fake, { me }, name) => {
      const user = fake.person(name, me);
      const follows = user.is_private ? "requested" : "yes";
      me.follows.set(user, follows);
      return { json: { follows } };
    },
  ],
  [
    "DELETE users/:name/follow",
    (fake, { me }, name) => {
      me.follows.delete(fake.person(name, me));
      return { json: { follows: "no" } };
    },
  ],
  [
    "GET users/:name/followers",
    (fake, asked, name) =>
      asked.people(followersOf(fake, fake.person(name, asked.viewer), "yes")),
  ],
  [
    "GET users/:name/following",
    (fake, asked, name) => {
      const { follows } = fake.person(name, asked.viewer);
      return asked.people([...follows.keys()].filter((user) => follows.get(user) === "yes"));
    },
  ],
  [
    "GET me/follow-requests",
    (fake, asked) => asked.people(followersOf(fake, asked.me, "requested")),
  ],
  [
    "PUT me/follow-requests/:name",
    (fake, { me }, name) => void fake.person(name, me).follows.set(me, "yes"),
  ],
  [
    "DELETE me/follow-requests/:name",
    (fake, { me }, name) => void fake.person(name, me).follows.delete(me),
  ],
  [
    "DELETE me/followers/:name",
    (fake, { me }, name) => void fake.person(name, me).follows.delete(me),
  ],
  ["GET me/blocks", (fake, asked) => asked.people(asked.me.blocks)],
  [
    "PUT users/:name/block",
    (fake, { me }, name) => {
      const user = fake.person(name, me);
      me.blocks.add(user);
      me.follows.delete(user);
      user.follows.delete(me);
    },
  ],
  ["DELETE users/:name/block", (fake, { me }, name) => void me.blocks.delete(fake.person(name, me))],
  ["GET me/mutes", (fake, asked) => asked.people(asked.me.mutes)],
  ["PUT users/:name/mute", (fake, { me }, name) => void me.mutes.add(fake.person(name, me))],
  ["DELETE users/:name/mute", (fake, { me }, name) => void me.mutes.delete(fake.person(name, me))],
  ["GET me/preferences", (fake, { me }) => ({ json: { ...DEFAULTS, ...me.preferences } })],
  [
    "PATCH me/preferences",
    (fake, { me, json }) => {
      for (const [name, value] of Object.entries(json)) {
        if (value === null) delete me.preferences[name];
        else me.preferences[name] = value;
      }
      return { json: { ...DEFAULTS, ...me.preferences } };
    },
  ],
  [
    "POST reports",
    (fake, { me, json }) => {
      const report = { id: randomUUID(), reporter: me.name, ...json };
      fake.reports.push(report);
      const { id, user, reason, comment = "" } = report;
      return { status: 201, json: { id, user, post: null, reason, comment, created_at: now() } };
    },
  ],
  ["GET notifications", (fake, asked) => asked.me && asked.page([], (notification) => notification)],
  ["GET notifications/unread", (fake, asked) => asked.me && { json: { unread: 0 } }],
  ...POST_OPERATIONS,
  ...STUDIO_OPERATIONS,
  ...STREAM_OPERATIONS,
  ...CHAT_OPERATIONS,
  ...ADMIN_OPERATIONS,
].map(([operation, run]) => [new RegExp(`^${operation.replace(/:[a-z]+/g, "([^/]+)")}$`), run]);
