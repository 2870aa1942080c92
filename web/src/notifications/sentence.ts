// What a notification says, in pieces: text, and people. Nothing of it is read as markup.
import { postPath, profilePath, watchPath } from "../places";
import type { Author, Notification, NotificationKind } from "../resources";

/** A piece of a sentence. */
export type Piece = string | Author;

/** How many did something, at most: of more, the server does not say. */
const COUNTED = 50;

/** What they did, after their names. What moderators did is a sentence of its own. */
const DEEDS: Readonly<Record<NotificationKind, string>> = {
  follow: "followed you",
  follow_request: "asked to follow you",
  follow_accepted: "accepted your request to follow",
  like: "liked your post",
  comment: "answered your post",
  mention: "mentioned you",
  share: "shared your post",
  quote: "quoted your post",
  went_live: "went live",
  post_removed: "A moderator removed a post of yours",
  suspended: "Your account was suspended",
  unsuspended: "Your account is not suspended any more",
  role_changed: "Your role on this server has changed",
};

/** "A, B and 3 others liked your post", in pieces. */
export function sentence({ kind, people, people_count }: Notification): Piece[] {
  // A kind that a newer server has.
  const deed = Object.hasOwn(DEEDS, kind) ? DEEDS[kind] : "Something happened";
  if (people.length === 0) return [deed];
  return [...named(people, people_count), ` ${deed}`];
}

function named(people: readonly Author[], count: number): Piece[] {
  const shown = count > people.length ? people.slice(0, 2) : people;
  const others = count - shown.length;
  const last = others > 0 ? counted(others, count) : shown[shown.length - 1];
  const first = others > 0 ? shown : shown.slice(0, -1);
  if (first.length === 0) return last === undefined ? [] : [last];
  const pieces: Piece[] = [];
  for (const person of first) {
    if (pieces.length > 0) pieces.push(", ");
    pieces.push(person);
  }
  return [...pieces, " and ", ...(last === undefined ? [] : [last])];
}

function counted(others: number, count: number): string {
  if (count >= COUNTED) return `${others} or more others`;
  return others === 1 ? "1 other" : `${others} others`;
}

/** Where a notification leads; `null`: nowhere. */
export function target({ kind, people, post, answer, stream }: Notification): string | null {
  if (answer !== null) return postPath(answer.id);
  if (post !== null) return postPath(post.id);
  if (stream !== null) return watchPath(stream.name);
  if (kind === "follow_request") return "/settings#privacy";
  const [person] = people;
  return person === undefined ? null : profilePath(person.name);
}

/** "3", "99+"; nothing for none. */
export function unreadLabel(unread: number): string {
  if (unread <= 0) return "";
  return unread > 99 ? "99+" : String(unread);
}
