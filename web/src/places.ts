import type { Known } from "./session";

/** Where a profile is. */
export function profilePath(name: string): string {
  return `/@${encodeURIComponent(name)}`;
}

/** Where a post is, with its thread. */
export function postPath(id: string): string {
  return `/posts/${encodeURIComponent(id)}`;
}

/** Where the video of a post plays. */
export function videoPath(post: string): string {
  return `${postPath(post)}/video`;
}

/** The post in the address of its video; `null` in any other. */
export function videoPost(path: string): string | null {
  return nameIn(path, /^\/posts\/([^/]+)\/video\/?$/);
}

/** Where the posts with a hashtag are. */
export function hashtagPath(hashtag: string): string {
  return `/hashtags/${encodeURIComponent(hashtag)}`;
}

/** The address of a stream's watch page. */
export function watchPath(name: string): string {
  return `/watch/${encodeURIComponent(name)}`;
}

/** Where one looks after a stream of one's own. */
export function studioPath(name: string): string {
  return `/studio/${encodeURIComponent(name)}`;
}

/** The stream in the address of its studio; `null` in any other. */
export function studioStream(path: string): string | null {
  return nameIn(path, /^\/studio\/([^/]+)\/?$/);
}

/** The name in the address of a profile; `null` in any other. */
export function profileName(path: string): string | null {
  return nameIn(path, /^\/@([^/]+)\/?$/);
}

/** The post in the address of one; `null` in any other. */
export function postId(path: string): string | null {
  return nameIn(path, /^\/posts\/([^/]+)\/?$/);
}

/** The hashtag in the address of its posts; `null` in any other. */
export function hashtagName(path: string): string | null {
  return nameIn(path, /^\/hashtags\/([^/]+)\/?$/);
}

function nameIn(path: string, form: RegExp): string | null {
  const encoded = form.exec(path)?.[1];
  if (encoded === undefined) return null;
  try {
    return decodeURIComponent(encoded);
  } catch {
    return null;
  }
}

/** A link that leads out of here; `null` for one that would do something else. */
export function outwardLink(url: string): string | null {
  try {
    const { protocol, href } = new URL(url);
    return protocol === "https:" || protocol === "http:" ? href : null;
  } catch {
    return null;
  }
}

/** Pages that nobody wants to come back to after a login. */
const WAYS_IN = ["/login", "/signup", "/verify", "/reset", "/confirm-email"];

/** The login page, with the way back to where somebody is. */
export function loginPath(
  { pathname, search, hash }: Pick<Location, "pathname" | "search" | "hash">,
  because?: Because,
): string {
  const query = new URLSearchParams();
  if (!WAYS_IN.includes(pathname)) query.set("next", pathname + search + hash);
  if (because !== undefined) query.set("because", because);
  const text = query.toString();
  return text === "" ? "/login" : `/login?${text}`;
}

/** Where a login leads to. Only to pages of this server: an address could come from anybody. */
export function afterLogin(query: string, origin: string): string {
  const next = new URLSearchParams(query).get("next") ?? "/";
  try {
    const url = new URL(next, origin);
    const isHere = url.origin === origin && next.startsWith("/");
    return isHere ? url.pathname + url.search + url.hash : "/";
  } catch {
    return "/";
  }
}

/** Why somebody is on the login page. */
export const REASONS = {
  over: "You are not logged in any more. Log in to go on.",
  everywhere: "You are logged out on all devices.",
  password: "Your new password is set. Log in with it.",
  ready: "Your account is ready. Log in to begin.",
} as const;

export type Because = keyof typeof REASONS;

/** Leaves for the login page. */
export function goToLogin(because: Because = "over"): void {
  location.assign(loginPath(location, because));
}

/** How somebody is called. */
export function nameOf({ name, display_name }: Pick<Known, "name" | "display_name">): string {
  return display_name === "" ? name : display_name;
}
