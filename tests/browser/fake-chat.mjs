// The chats of `fake-api.mjs`: rooms, the socket `/ws` (docs/CHAT.md), and what REST does of them.
import { randomUUID } from "node:crypto";

import { partsOf } from "./fake-posts.mjs";
import { invalid, Refusal } from "./fake-refusals.mjs";
import { seenStream } from "./fake-streams.mjs";
import { now } from "./fake-values.mjs";

const TEXT_LIMIT = 500;
/** Of events so many are told again. */
const TOLD_AGAIN = 1_000;

/** All rooms of a fake. */
export class Chat {
  rooms = new Map();
  clients = new Set();
  /** What clients said, in their order. */
  heard = [];
  /** Seconds between two pings of a client. */
  heartbeat = 30;
  /** Whether who comes is turned away. */
  isDown = false;
  /** Whether what is sent is taken and never answered: the answer is lost. */
  isMute = false;

  constructor(fake) {
    this.fake = fake;
  }

  room(name) {
    const made = { name, event: 0, slow: 0, followers: false, events: [], messages: [], sanctions: new Map() };
    if (!this.rooms.has(name)) this.rooms.set(name, made);
    return this.rooms.get(name);
  }

  /** Somebody has connected. */
  meet(socket) {
    if (this.isDown) {
      socket.destroy();
      return;
    }
    const client = { socket, user: null, token: null, room: null };
    this.clients.add(client);
    socket.ended = () => {
      this.clients.delete(client);
      if (client.room !== null) this.tellPresence(client.room);
    };
    socket.text = (message) => {
      this.heard.push(message);
      this.answer(client, message);
    };
  }

  /** Every socket ends with this code; without one, it is cut. */
  end(code) {
    for (const { socket } of this.clients) code === undefined ? socket.destroy() : socket.close(code);
  }

  /** The stream is for others than before: everybody leaves, and those join again who may. */
  putOut(room) {
    for (const client of this.inRoom(room)) {
      client.room = null;
      client.socket.say({ type: "left", room: room.name, reason: "the stream is for others than before" });
    }
  }

  answer(client, message) {
    const { socket } = client;
    const { id } = message;
    try {
      switch (message.type) {
        case "hello": {
          const { authorization } = message;
          client.user = authorization === undefined ? null : this.userOf(authorization);
          const user = client.user?.id ?? null;
          socket.say({ type: "welcome", version: 1, heartbeat_seconds: this.heartbeat, user });
          break;
        }
        case "authenticate":
          client.user = this.userOf(message.authorization);
          socket.say({ type: "done", id });
          break;
        case "join":
          this.join(client, message);
          break;
        case "send": {
          const said = this.say(client.user, client.room, message);
          if (!this.isMute) socket.say({ type: "sent", id, event: said.event, message: said.id });
          break;
        }
        case "ping":
          socket.say({ type: "pong", id });
          break;
        default:
          throw invalid("type", `unknown variant ${message.type}`);
      }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const after = error.headers?.["Retry-After"];
      const retry = after === undefined ? {} : { retry_after_seconds: Number(after) };
      socket.say({ type: "error", id, code: error.code, message: error.message, ...retry });
      if (error.status === 401) socket.close(4401);
    }
  }

  userOf(authorization) {
    const access = this.fake.access.get(authorization.replace("Bearer ", ""));
    const isGood = access !== undefined && access.until > Date.now() && this.fake.sessions.has(access.session.id);
    if (!isGood) throw new Refusal(401, "unauthenticated", "this needs a login");
    return access.session.user;
  }

  join(client, { id, room: name, after }) {
    seenStream(this.fake, name, client.user);
    const room = this.room(name);
    client.room = room;
    const missed = after === undefined ? [] : room.events.filter(({ event }) => event > after);
    const is_complete = after !== undefined && after <= room.event && missed.length <= TOLD_AGAIN;
    client.socket.say({ type: "joined", id, room: this.shown(room, client.user), is_complete });
    if (is_complete) for (const event of missed) client.socket.say(this.asItIs(room, event));
    this.tellPresence(room);
  }

  /** What was deleted meanwhile is told as that alone. */
  asItIs(room, event) {
    const isGone = event.type === "message" && !room.messages.some(({ id }) => id === event.message.id);
    return isGone ? { ...event, type: "deleted", message: event.message.id } : event;
  }

  shown(room, user) {
    return {
      stream: room.name,
      last_event: room.event,
      slow_mode_seconds: room.slow,
      followers_only: room.followers,
      viewers: this.inRoom(room).length,
      is_moderator: this.looksAfter(room, user),
    };
  }

  inRoom(room) {
    return [...this.clients].filter((client) => client.room === room);
  }

  looksAfter(room, user) {
    if (user === null) return false;
    const stream = this.fake.streams.find(({ name }) => name === room.name);
    return user.role !== "user" || stream?.owner === user.name;
  }

  tellPresence(room) {
    const clients = this.inRoom(room);
    for (const { socket } of clients) {
      socket.say({ type: "presence", room: room.name, viewers: clients.length });
    }
  }

  happened(room, event) {
    room.event += 1;
    const told = { room: room.name, event: room.event, ...event(room.event) };
    room.events.push(told);
    for (const { socket } of this.inRoom(room)) socket.say(told);
    return room.event;
  }

  /** Somebody says something; of `force`, whatever stands against it. */
  say(user, room, { text, reply_to = null, media_time = null, key = null }, { force = false } = {}) {
    if (user === null) throw new Refusal(401, "unauthenticated", "this needs a login");
    const before = room.messages.find((message) => key !== null && message.key === key);
    if (before !== undefined) return before;
    if (!force) this.check(user, room, text);
    let message;
    this.happened(room, (event) => {
      message = {
        id: randomUUID(),
        event,
        author: { ...authorOf(this.fake, user), is_moderator: this.looksAfter(room, user) },
        text,
        parts: partsOf(this.fake, text),
        reply_to,
        media_time: media_time ?? Date.now(),
        created_at: now(),
      };
      return { type: "message", message };
    });
    room.messages.push(Object.defineProperty(message, "key", { value: key, enumerable: false }));
    return message;
  }

  check(user, room, text) {
    if (text.trim() === "" || [...text].length > TEXT_LIMIT) {
      throw invalid("text", `expected 1 to ${TEXT_LIMIT} characters`);
    }
    if (this.looksAfter(room, user)) return;
    const owner = this.fake.users.get(this.fake.streams.find(({ name }) => name === room.name)?.owner);
    const sanction = room.sanctions.get(user);
    if (sanction?.until === null) throw new Refusal(403, "chat-banned", "you are banned from this chat");
    const left = sanction === undefined ? 0 : secondsUntil(Date.parse(sanction.until));
    if (left > 0) throw later(403, "chat-timed-out", `you have a timeout in this chat: it ends in ${left} s`, left);
    if (room.followers && user.follows.get(owner) !== "yes") {
      const why = "only those who follow the owner of the stream talk in this chat";
      throw new Refusal(403, "followers-only", why);
    }
    const last = room.messages.findLast(({ author }) => author.id === user.id);
    const wait = last === undefined ? 0 : secondsUntil(Date.parse(last.created_at) + room.slow * 1_000);
    if (wait > 0) throw later(429, "slow-mode", `this chat is slow: say something again in ${wait} s`, wait);
  }

  remove(room, id) {
    const at = room.messages.findIndex((message) => message.id === id);
    if (at < 0) throw new Refusal(404, "not-found", "No such message.");
    room.messages.splice(at, 1);
    this.happened(room, () => ({ type: "deleted", message: id }));
  }

  change(room, { slow_mode_seconds = room.slow, followers_only = room.followers }) {
    Object.assign(room, { slow: slow_mode_seconds, followers: followers_only });
    this.happened(room, () => ({ type: "changed", slow_mode_seconds, followers_only }));
  }
}

const byMediaTime = (one, other) => one.media_time - other.media_time || one.event - other.event;
const secondsUntil = (at) => Math.ceil((at - Date.now()) / 1_000);
const later = (status, code, why, seconds) =>
  new Refusal(status, code, why, { headers: { "Retry-After": String(seconds) } });

function authorOf(fake, user) {
  const { id, name, display_name, avatar_url } = fake.shown(user, null);
  return { id, name, display_name, avatar_url };
}

/** The room, for whoever looks after it. */
function lookedAfter(fake, asked, name) {
  const room = fake.chat.room(name);
  if (!fake.chat.looksAfter(room, asked.me)) throw new Refusal(403, "forbidden", "You do not look after it.");
  return room;
}

const sanctionOf = (fake, user, { until, since }) => {
  return { user: { ...authorOf(fake, user), is_moderator: false }, until, since };
};

/** What answers, by "METHOD path". */
export const CHAT_OPERATIONS = [
  [
    "GET streams/:name/chat",
    (fake, { viewer }, name) => {
      seenStream(fake, name, viewer);
      return { json: fake.chat.shown(fake.chat.room(name), viewer) };
    },
  ],
  [
    "PATCH streams/:name/chat",
    (fake, asked, name) => {
      const room = lookedAfter(fake, asked, name);
      fake.chat.change(room, asked.json);
      return { json: fake.chat.shown(room, asked.me) };
    },
  ],
  [
    "GET streams/:name/chat/messages",
    (fake, asked, name) => {
      seenStream(fake, name, asked.viewer);
      const first = Number(asked.url.searchParams.get("first") ?? 20);
      const after = Number(asked.url.searchParams.get("after") ?? Infinity);
      const older = fake.chat.room(name).messages.filter(({ event }) => event < after);
      const items = older.slice(-first).reverse();
      const next = older.length > items.length ? String(items.at(-1).event) : null;
      return { json: { items, next } };
    },
  ],
  [
    "GET streams/:name/chat/replay",
    (fake, asked, name) => {
      seenStream(fake, name, asked.viewer);
      const query = asked.url.searchParams;
      const isBack = query.get("backwards") === "true";
      const from = Number(query.get("from") ?? (isBack ? Infinity : 0));
      const all = fake.chat.room(name).messages.filter(({ media_time }) => media_time < from === isBack);
      all.sort(byMediaTime);
      if (isBack) all.reverse();
      const after = all.findIndex(({ id }) => id === query.get("after"));
      const items = all.slice(after + 1).slice(0, Number(query.get("first") ?? 20));
      const next = items.length > 0 && items.at(-1) !== all.at(-1) ? items.at(-1).id : null;
      return { json: { items, next } };
    },
  ],
  [
    "DELETE streams/:name/chat/messages/:id",
    (fake, asked, name, id) => {
      const room = fake.chat.room(name);
      const isOwn = room.messages.find((message) => message.id === id)?.author.id === asked.me.id;
      if (!isOwn) lookedAfter(fake, asked, name);
      fake.chat.remove(room, id);
    },
  ],
  [
    "GET streams/:name/chat/sanctions",
    (fake, asked, name) => {
      const { sanctions } = lookedAfter(fake, asked, name);
      return asked.page([...sanctions], ([user, sanction]) => sanctionOf(fake, user, sanction));
    },
  ],
  [
    "PUT streams/:name/chat/sanctions/:user",
    (fake, asked, name, other) => {
      const room = lookedAfter(fake, asked, name);
      const user = fake.person(other, asked.me);
      if (fake.chat.looksAfter(room, user)) throw new Refusal(403, "forbidden", "They look after it.");
      const { seconds = null } = asked.json;
      const until = seconds === null ? null : new Date(Date.now() + seconds * 1_000).toISOString();
      const sanction = { until, since: now() };
      room.sanctions.set(user, sanction);
      return { json: sanctionOf(fake, user, sanction) };
    },
  ],
  [
    "DELETE streams/:name/chat/sanctions/:user",
    (fake, asked, name, other) => {
      const room = lookedAfter(fake, asked, name);
      room.sanctions.delete(fake.person(other, asked.me));
    },
  ],
];
