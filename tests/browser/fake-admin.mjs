// What moderators and administrators are answered, for `fake-api.mjs`.
import { randomUUID } from "node:crypto";

import { invalid, Refusal } from "./fake-refusals.mjs";
import { now } from "./fake-values.mjs";

const RANKS = ["user", "moderator", "admin"];

function needs(asked, least) {
  const { me } = asked;
  if (RANKS.indexOf(me.role) < RANKS.indexOf(least)) {
    throw new Refusal(403, "forbidden", `This needs the role ${least}.`);
  }
  return me;
}

function note(fake, actor, action, subject_kind, detail) {
  const noted = { actor: actor.name, action, subject_kind, subject_id: randomUUID(), detail: JSON.stringify(detail) };
  fake.audit.unshift({ id: randomUUID(), ...noted, created_at: now() });
}

/** A report that is there already. */
export function addReport(fake, user, reporter, more = {}) {
  const report = {
    id: randomUUID(),
    user,
    reporter,
    post: null,
    reason: "spam",
    comment: "",
    created_at: now(),
    resolved_at: null,
    resolution: null,
    ...more,
  };
  fake.told.unshift(report);
  return report;
}

/** A post, as a report shows it. */
export function reportedPost(text, more = {}) {
  return { id: randomUUID(), text, images: [], video: null, stream: null, quote: null, is_deleted: false, ...more };
}

/** An edge in the registry. */
export function addNode(fake, region, more = {}) {
  const node = {
    id: randomUUID(),
    roles: ["edge"],
    url: `http://${region}.example.org:8080`,
    region,
    version: "0.1.0",
    is_live: true,
    health: "",
    started_at: now(),
    heartbeat_at: now(),
    connections: 1_204,
    requests: 904_112,
    requests_per_second: 1_830,
    memory_bytes: 402_653_184,
    configuration: 7,
    purge_position: 0,
    ...more,
  };
  fake.nodes.push(node);
  return node;
}

/** A purge obeyed by so many of the nodes that are live. */
function purgeView(fake, purge) {
  const live = fake.nodes.filter(({ is_live }) => is_live);
  const awaited = live.slice(purge.obeyed);
  const is_complete = awaited.length === 0;
  return {
    ...purge,
    is_complete,
    completed_at: is_complete ? now() : null,
    awaited: awaited.length,
    away: fake.nodes.length - live.length,
    awaited_nodes: awaited.map(({ id }) => id),
  };
}

function purge(fake, asked, kind, subject) {
  needs(asked, "admin");
  if (kind === "url" && !subject.startsWith("/")) throw invalid("subject", "expected a path that begins with a slash");
  const { soft } = asked.json;
  const made = { id: randomUUID(), kind, subject, soft, requested_at: now(), obeyed: 0 };
  fake.purges.set(made.id, made);
  return { status: 202, json: purgeView(fake, made) };
}

function prewarmView(fake, { id, kind, subject, urls, requested_at, state, done, total, failed = 0 }) {
  const nodes = fake.nodes.map((node) => ({
    node: node.id,
    state,
    is_live: node.is_live,
    total,
    done,
    failed,
    bytes: done * 100_000,
    errors: failed > 0 ? ["/live/garden/source/1.m4s: 404"] : [],
    updated_at: now(),
  }));
  const figures = { total, done, failed, bytes: done * 100_000 };
  return { id, kind, subject, urls, depth: null, renditions: [], requested_at, state, ...figures, nodes };
}

function found(map, id) {
  const thing = map.get(id);
  if (thing === undefined) throw new Refusal(404, "not-found", "There is none.");
  return thing;
}

/** What answers, by "METHOD path". */
export const ADMIN_OPERATIONS = [
  [
    "GET reports",
    (fake, asked) => {
      needs(asked, "moderator");
      const isOpen = asked.url.searchParams.get("state") !== "resolved";
      return asked.page(fake.told.filter(({ resolved_at }) => (resolved_at === null) === isOpen), (report) => report);
    },
  ],
  [
    "POST reports/:id/resolve",
    (fake, asked, id) => {
      const me = needs(asked, "moderator");
      const report = fake.told.find((told) => told.id === id);
      Object.assign(report, { resolved_at: now(), resolution: asked.json.resolution });
      note(fake, me, "resolve-report", "report", { resolution: asked.json.resolution });
      return { json: report };
    },
  ],
  [
    "PUT users/:name/suspension",
    (fake, asked, name) => {
      const me = needs(asked, "moderator");
      const user = fake.person(name, null);
      if (user.role !== "user" && me.role !== "admin") {
        throw new Refusal(403, "forbidden", "Moderators suspend neither moderators nor administrators.");
      }
      user.is_suspended = true;
      note(fake, me, "suspend", "user", { reason: asked.json.reason });
      return { json: fake.shown(user, me) };
    },
  ],
  [
    "DELETE users/:name/suspension",
    (fake, asked, name) => {
      const me = needs(asked, "moderator");
      const user = fake.person(name, null);
      user.is_suspended = false;
      note(fake, me, "unsuspend", "user", {});
      return { json: fake.shown(user, me) };
    },
  ],
  [
    "PUT users/:name/role",
    (fake, asked, name) => {
      const me = needs(asked, "admin");
      const user = fake.person(name, null);
      note(fake, me, "set-role", "user", { from: user.role, to: asked.json.role });
      user.role = asked.json.role;
      return { json: fake.shown(user, me) };
    },
  ],
  [
    "GET audit-log",
    (fake, asked) => {
      needs(asked, "moderator");
      const actor = asked.url.searchParams.get("actor");
      return asked.page(fake.audit.filter((entry) => actor === null || entry.actor === actor), (entry) => entry);
    },
  ],
  ["GET cdn/nodes", (fake, asked) => needs(asked, "admin") && asked.page(fake.nodes, (node) => node)],
  [
    "GET cdn/deployment",
    (fake, asked) => {
      needs(asked, "admin");
      const live = fake.nodes.filter(({ is_live }) => is_live);
      const behind = live.filter(({ configuration }) => configuration < 7);
      const json = {
        configuration: 7,
        is_complete: behind.length === 0,
        nodes: live.length,
        behind: behind.map(({ id, configuration }) => ({ node: id, configuration })),
      };
      return { json };
    },
  ],
  [
    "GET cdn/metrics",
    (fake, asked) => {
      needs(asked, "admin");
      const live = fake.nodes.filter(({ is_live }) => is_live);
      const sum = (name) => live.reduce((all, node) => all + node[name], 0);
      const names = ["connections", "requests", "requests_per_second", "memory_bytes"];
      const sums = Object.fromEntries(names.map((name) => [name, sum(name)]));
      return { json: { nodes: live.length, unwell: live.filter(({ health }) => health !== "").length, ...sums } };
    },
  ],
  ["POST cdn/purges", (fake, asked) => purge(fake, asked, asked.json.kind, asked.json.subject)],
  ["POST cdn/purges/by-pattern", (fake, asked) => purge(fake, asked, asked.json.kind, asked.json.pattern)],
  [
    "GET cdn/purges/:id",
    (fake, asked, id) => {
      needs(asked, "admin");
      const made = found(fake.purges, id);
      made.obeyed += 1;
      return { json: purgeView(fake, made) };
    },
  ],
  [
    "POST cdn/prewarms",
    (fake, asked) => {
      needs(asked, "admin");
      const { urls = [], video, playlist } = asked.json;
      const kind = video !== undefined ? "video" : playlist !== undefined ? "playlist" : "urls";
      const subject = video ?? playlist ?? "";
      const state = { state: "waiting", done: 0, total: 0 };
      const made = { id: randomUUID(), kind, subject, urls: urls.length, requested_at: now(), ...state };
      fake.prewarms.set(made.id, made);
      return { status: 202, json: prewarmView(fake, made) };
    },
  ],
  [
    "GET cdn/prewarms/:id",
    (fake, asked, id) => {
      needs(asked, "admin");
      const made = found(fake.prewarms, id);
      if (made.state !== "cancelled") {
        made.total = 12;
        made.done = Math.min(12, made.done + (fake.prewarmStep ?? 6));
        made.state = made.done === 12 ? "done" : "running";
      }
      return { json: prewarmView(fake, made) };
    },
  ],
  [
    "DELETE cdn/prewarms/:id",
    (fake, asked, id) => {
      needs(asked, "admin");
      const made = found(fake.prewarms, id);
      made.state = "cancelled";
      return { json: prewarmView(fake, made) };
    },
  ],
  [
    "GET cdn/usage",
    (fake, asked) => {
      needs(asked, "admin");
      const by = asked.url.searchParams.get("by");
      return asked.page(fake.usage[by] ?? [], (row) => row);
    },
  ],
];
