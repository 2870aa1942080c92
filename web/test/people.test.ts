import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import test from "node:test";

import { complaint, type Filled } from "../src/complaints";
import { deviceLabel } from "../src/device";
import { OnceKey } from "../src/idempotency";
import {
  afterLogin,
  loginPath,
  nameOf,
  outwardLink,
  profileName,
  profilePath,
} from "../src/places";
import { explain, Problem, readProblem, Unreachable, waitLabel } from "../src/problem";
import { followButton, showsPeople, tagsOf } from "../src/profile/relation";
import type { User, Viewer } from "../src/resources";
import { scopesOf } from "../src/settings/scopes";
import { isLight, readTheme } from "../src/theme";
import { problem } from "./server";

// Browsers have it, and Node since 19.
globalThis.crypto ??= webcrypto as Crypto;

const NOW = Date.parse("2026-03-01T12:00:00Z");

test("a problem document is read, and so is what is none", async () => {
  const errors = [
    { field: "links[0].url", message: "expected a link" },
    { field: "/links/1/url", message: "Neither." },
    { field: "links.2.label", message: "Nor." },
    { field: "no message" },
    7,
  ];
  const read = await readProblem(problem(422, "validation", { errors }), NOW);
  assert.equal(read.code, "validation");
  assert.deepEqual(
    read.fields.map(({ field }) => field),
    ["links.0.url", "links.1.url", "links.2.label"],
  );
  assert.deepEqual(
    read.fields.map(({ message }) => message),
    ["Expected a link.", "Neither.", "Nor."],
  );

  const old = await readProblem(problem(404, "", { type: "about:blank", code: "not_found" }), NOW);
  assert.equal(old.code, "not-found");

  for (const body of ["<html>", "", "null", "[1]"]) {
    const bare = await readProblem(new Response(body, { status: 502 }), NOW);
    assert.deepEqual([bare.status, bare.fields, bare.retryAfter], [502, [], null]);
    assert.match(bare.message, /502/);
  }
});

test("a wait is seconds or a date", async () => {
  for (const [header, seconds] of [
    ["40", 40],
    ["Sun, 01 Mar 2026 12:02:00 GMT", 120],
    ["Sun, 01 Mar 2026 11:00:00 GMT", 0],
    ["soon", null],
  ] as const) {
    const response = problem(429, "rate-limited", {}, { "Retry-After": header });
    assert.equal((await readProblem(response, NOW)).retryAfter, seconds, header);
  }
});

test("a person is told how long to wait", () => {
  const told = [0, 1, 2, 89, 90, 5_399, 5_400, 86_400].map(waitLabel);
  assert.deepEqual(told, [
    "Try again in a moment.",
    "Try again in a moment.",
    "Try again in 2 seconds.",
    "Try again in 89 seconds.",
    "Try again in 2 minutes.",
    "Try again in 90 minutes.",
    "Try again in 2 hours.",
    "Try again in 24 hours.",
  ]);
  const often = new Problem(429, "rate-limited", "Too many requests.", [], 40);
  assert.equal(explain(often), "That was too often. Try again in 40 seconds.");
  const busy = new Problem(503, "busy", "The server is busy.", [], 1);
  assert.equal(explain(busy), "The server is busy. Try again in a moment.");
  const taken = new Problem(409, "name-taken", "The user name is taken.", [], null);
  assert.equal(explain(taken), "The user name is taken.");
  assert.match(explain(new Unreachable(null)), /does not answer/);
});

test("a login leads to pages of this server only", () => {
  const origin = "https://nova.example.org";
  for (const [next, path] of [
    ["/settings#privacy", "/settings#privacy"],
    ["/@ada?x=1", "/@ada?x=1"],
    ["//evil.example.org", "/"],
    ["/\\evil.example.org", "/"],
    ["https://nova.example.org/settings", "/"],
    ["https://evil.example.org/", "/"],
    ["javascript:alert(1)", "/"],
    ["http://[", "/"],
  ]) {
    assert.equal(afterLogin(`?next=${encodeURIComponent(next ?? "")}`, origin), path, next);
  }
  assert.equal(afterLogin("", origin), "/");
});

test("the way to the login knows the way back", () => {
  const at = (pathname: string, search = "", hash = "") => ({ pathname, search, hash });
  assert.equal(loginPath(at("/settings", "", "#data")), "/login?next=%2Fsettings%23data");
  assert.equal(loginPath(at("/search", "?q=boats")), "/login?next=%2Fsearch%3Fq%3Dboats");
  assert.equal(loginPath(at("/reset")), "/login");
  assert.equal(loginPath(at("/verify"), "ready"), "/login?because=ready");
});

test("a profile's address has its name", () => {
  assert.equal(profilePath("ada"), "/@ada");
  for (const [path, name] of [
    ["/@ada", "ada"],
    ["/@ada/", "ada"],
    ["/@a%2Fb", "a/b"],
    ["/@%", null],
    ["/@", null],
    ["/ada", null],
    ["/@ada/more", null],
  ] as const) {
    assert.equal(profileName(path), name, path);
  }
  assert.equal(nameOf({ name: "ada", display_name: "" }), "ada");
  assert.equal(nameOf({ name: "ada", display_name: "Ada" }), "Ada");
});

test("devices are called as people call them", () => {
  const chrome = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0";
  for (const [agent, label] of [
    ["Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"],
    [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${chrome} Safari/537.36`, "Chrome on Windows"],
    [`Mozilla/5.0 (Windows NT 10.0) ${chrome} Safari/537.36 Edg/140.0.0.0`, "Edge on Windows"],
    [`Mozilla/5.0 (Linux; Android 15) ${chrome} Mobile Safari/537.36`, "Chrome on Android"],
    [
      "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1",
      "Safari on iPhone",
    ],
    ["curl/8.5.0", "curl"],
    ["nova-cli/1", "nova-cli/1"],
    ["", "Unknown device"],
    [null, "Unknown device"],
  ] as const) {
    assert.equal(deviceLabel(agent), label);
  }
});

test("what cannot be sent is seen before it is", () => {
  const input: Filled = { type: "text", value: "", required: false, minLength: -1 };
  assert.equal(complaint(input), null);
  assert.equal(complaint({ ...input, required: true }), "Fill this in.");
  const password = { ...input, type: "password", minLength: 8 };
  assert.equal(complaint({ ...password, value: "1234567" }), "At least 8 characters.");
  // Four characters, eight UTF-16 units.
  assert.equal(complaint({ ...password, value: "😀😀😀😀" }), "At least 8 characters.");
  assert.equal(complaint({ ...password, value: "12345678" }), null);
  const name = { ...input, pattern: "[a-z][a-z\\-]*", title: "Letters and hyphens only." };
  assert.equal(complaint({ ...name, value: "ada-of" }), null);
  for (const value of ["ada of", "-ada", "ada\n"]) {
    assert.equal(complaint({ ...name, value }), "Letters and hyphens only.", value);
  }
  for (const value of ["ada", "ada@", "@b", "a b@c"]) {
    assert.match(complaint({ ...input, type: "email", value }) ?? "", /example\.org/, value);
  }
  assert.equal(complaint({ ...input, type: "email", value: "root@localhost" }), null);
  assert.match(complaint({ ...input, type: "url", value: "javascript:x" }) ?? "", /https/);
  assert.equal(complaint({ ...input, type: "url", value: "https://example.org" }), null);
  const box = { ...input, type: "checkbox", value: "on", required: true };
  assert.equal(complaint({ ...box, checked: false }), "Tick this box first.");
  assert.equal(complaint({ ...box, checked: true }), null);
});

test("a picture is one, and not too large", () => {
  const file = (type: string, size: number) =>
    complaint({ type: "file", value: "x", required: true, minLength: -1, files: [{ type, size }] });
  assert.equal(file("image/png", 5 * 1024 * 1024), null);
  assert.match(file("image/png", 5 * 1024 * 1024 + 1) ?? "", /5 MB/);
  assert.match(file("image/svg+xml", 100) ?? "", /PNG/);
  const none = { type: "file", value: "", required: true, minLength: -1, files: [] };
  assert.equal(complaint(none), "Choose a file.");
});

test("a wish has one key until it is granted", () => {
  const once = new OnceKey();
  const first = once.of({ name: "lighthouse" });
  assert.match(first, /^[0-9a-f]{32}$/);
  assert.equal(once.of({ name: "lighthouse" }), first);
  const other = once.of({ name: "harbour" });
  assert.notEqual(other, first);
  once.granted();
  assert.notEqual(once.of({ name: "harbour" }), other);
});

test("the page's colours are the system's unless somebody chose", () => {
  const read = ["system", "light", "dark", "", "red", null, undefined].map(readTheme);
  assert.deepEqual(read, ["system", "light", "dark", "system", "system", "system", "system"]);
  for (const [theme, system, light] of [
    ["light", false, true],
    ["dark", true, false],
    ["system", true, true],
    ["system", false, false],
  ] as const) {
    assert.equal(isLight(theme, system), light, `${theme} ${system}`);
  }
});

test("nobody gives a token more than they have", () => {
  assert.ok(!scopesOf({ role: "user" }).includes("moderation"));
  assert.ok(scopesOf({ role: "moderator" }).includes("moderation"));
  assert.ok(!scopesOf({ role: "moderator" }).includes("admin"));
  assert.ok(scopesOf({ role: "admin" }).includes("admin"));
});

const VIEWER: Viewer = { follows: "no", followed_by: false, blocks: false, mutes: false };
const BOB = { name: "bob", is_private: false, role: "user", viewer: VIEWER } as User;

test("the button beside a name does what is not done yet", () => {
  const button = (follows: Viewer["follows"], isPrivate: boolean) => {
    const { label, act } = followButton({ ...VIEWER, follows }, isPrivate);
    return [label, act];
  };
  assert.deepEqual(button("no", false), ["Follow", "follow"]);
  assert.deepEqual(button("no", true), ["Ask to follow", "follow"]);
  assert.deepEqual(button("requested", true), ["Withdraw request", "unfollow"]);
  assert.deepEqual(button("yes", true), ["Unfollow", "unfollow"]);
});

test("a private account shows its people to itself and to its followers", () => {
  const hidden = { ...BOB, is_private: true };
  assert.ok(showsPeople(BOB, null));
  assert.ok(!showsPeople(hidden, "ada"));
  assert.ok(!showsPeople({ ...hidden, viewer: { ...VIEWER, follows: "requested" } }, "ada"));
  assert.ok(showsPeople({ ...hidden, viewer: { ...VIEWER, follows: "yes" } }, "ada"));
  assert.ok(showsPeople({ ...hidden, viewer: null }, "bob"));
  assert.ok(!showsPeople({ ...hidden, viewer: null }, null));
});

test("what somebody is to the one who looks stands beside their name", () => {
  assert.deepEqual(tagsOf(BOB), []);
  const viewer = { follows: "no", followed_by: true, blocks: true, mutes: true } as const;
  const all = tagsOf({ ...BOB, role: "admin", is_private: true, viewer });
  assert.deepEqual(all, ["Administrator", "Private", "Follows you", "Muted", "Blocked"]);
});

test("a profile's link leads to a page", () => {
  assert.equal(outwardLink("https://example.org"), "https://example.org/");
  for (const url of ["javascript:alert(1)", "data:text/html,x", "//example.org", "x"]) {
    assert.equal(outwardLink(url), null, url);
  }
});
