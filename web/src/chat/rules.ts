// What is said about what may be said in a chat. Nothing of it needs a page.
import { explain, Problem } from "../problem";
import type { ChatMessage, Part } from "../resources";

/** So many characters a message has at most. */
export const TEXT_LIMIT = 500;

/** For how long moderators keep somebody from talking; `null`: until it is lifted. */
export interface Measure {
  readonly label: string;
  /** How it is told, after a name. */
  readonly told: string;
  readonly seconds: number | null;
}

export const MEASURES: readonly Measure[] = [
  { label: "1 minute", told: "says nothing for a minute", seconds: 60 },
  { label: "10 minutes", told: "says nothing for 10 minutes", seconds: 600 },
  { label: "1 hour", told: "says nothing for an hour", seconds: 3_600 },
  { label: "1 day", told: "says nothing for a day", seconds: 86_400 },
  { label: "Ban", told: "is banned from this chat", seconds: null },
];

/** What keeps somebody from saying something. */
export interface Hindrance {
  readonly kind: "slow" | "timeout" | "ban" | "followers" | "often" | "other";
  readonly text: string;
  /** Until when, in milliseconds since 1970; `null`: nobody knows, or it is over already. */
  readonly until: number | null;
}

/** What a refusal of the server's means for whoever wanted to say something. */
export function hindranceOf(error: unknown, now: number): Hindrance {
  if (!(error instanceof Problem)) return { kind: "other", text: explain(error), until: null };
  const until = error.retryAfter === null ? null : now + error.retryAfter * 1_000;
  switch (error.code) {
    case "slow-mode":
      return { kind: "slow", text: "This chat is slow.", until };
    case "chat-timed-out":
      return { kind: "timeout", text: timeoutText(until, now), until };
    case "chat-banned":
      return { kind: "ban", text: "You are banned from this chat, until a moderator lifts it.", until: null };
    case "followers-only":
      return { kind: "followers", text: "Only followers talk in this chat.", until: null };
    case "rate-limited":
      return { kind: "often", text: "That was too often.", until };
    default:
      return { kind: "other", text: explain(error), until };
  }
}

function timeoutText(until: number | null, now: number): string {
  if (until === null) return "A moderator gave you a timeout.";
  return `A moderator gave you a timeout, until ${momentLabel(until, now)}.`;
}

/** When something ends: "14:05", and with the day where it is another one. */
export function momentLabel(at: number, now: number): string {
  const isToday = new Date(at).toDateString() === new Date(now).toDateString();
  const day = isToday ? {} : ({ dateStyle: "medium" } as const);
  return new Intl.DateTimeFormat(undefined, { ...day, timeStyle: "short" }).format(at);
}

/** How long to wait still: "12 s", "3 min", "2 h"; nothing when it is over. */
export function waitLabel(until: number, now: number): string {
  const seconds = Math.ceil((until - now) / 1_000);
  if (seconds <= 0) return "";
  if (seconds < 100) return `${seconds} s`;
  if (seconds < 100 * 60) return `${Math.ceil(seconds / 60)} min`;
  return `${Math.ceil(seconds / 3_600)} h`;
}

/** How a room is run, in a sentence; nothing for one that is run as most are. */
export function runLabel(slowModeSeconds: number, followersOnly: boolean): string {
  const slow = slowModeSeconds > 0 ? `one message every ${spanLabel(slowModeSeconds)}` : "";
  const told = [followersOnly ? "followers only" : "", slow].filter((text) => text !== "");
  const text = told.join(", ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function spanLabel(seconds: number): string {
  if (seconds % 60 !== 0 || seconds === 60) return `${seconds} s`;
  return `${seconds / 60} min`;
}

/** "12 / 500". */
export function counterLabel(length: number): string {
  return `${length} / ${TEXT_LIMIT}`;
}

/** "1 is here", "1,204 are here"; nothing where nobody is known to be. */
export function presenceLabel(viewers: number): string {
  if (viewers <= 0) return "";
  return viewers === 1 ? "1 is here" : `${viewers.toLocaleString("en")} are here`;
}

/** "1 new message", "23 new messages", "99+ new messages"; of none, where the button leads. */
export function newestLabel(unseen: number): string {
  if (unseen <= 0) return "To the newest";
  const count = unseen > 99 ? "99+" : String(unseen);
  return unseen === 1 ? "1 new message" : `${count} new messages`;
}

const EXCERPT = 80;

/** The beginning of what was said, on one line. */
export function excerptOf({ text }: Pick<ChatMessage, "text">): string {
  const line = [...text.replace(/\s+/g, " ").trim()];
  return line.length > EXCERPT ? `${line.slice(0, EXCERPT).join("")}…` : line.join("");
}

/** Whether a message speaks to somebody. */
export function mentions(parts: readonly Part[], name: string | null): boolean {
  return name !== null && parts.some(({ mention }) => mention?.toLowerCase() === name.toLowerCase());
}
