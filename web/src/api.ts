import { LoginNeeded, Problem, readProblem, Unreachable } from "./problem";
import type {
  ApiToken,
  ApiTokenWish,
  ChatMessage,
  ChatRoom,
  ChatRoomChange,
  ChatSanction,
  Follows,
  Image,
  LoginSession,
  Me,
  NewApiToken,
  Notification,
  Page,
  Post,
  PostStream,
  PostWish,
  ProfileChange,
  ReportReason,
  Revision,
  Stream,
  StreamPlayback,
  TrendingHashtag,
  User,
  Video,
  ViewerSession,
} from "./resources";
import { Session, type Surroundings } from "./session";

/** Who asks: `nobody`, whoever is there, or only somebody who is logged in. */
type Asker = "nobody" | "anybody" | "me";

export interface Question {
  readonly as?: Asker;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is, under its own type. */
  readonly file?: Blob;
  /** Under the same key the server does the same thing once. */
  readonly key?: string;
  /** Whether it is sent although the page is left meanwhile. */
  readonly outlives?: boolean;
  /** How long the answer may take. */
  readonly limitMs?: number;
}

/** From where a chat is replayed. */
export interface ReplayFrom {
  /** Media time, in milliseconds since 1970. */
  readonly from: number;
  /** Whether what is before it is read, from there back. */
  readonly isBackwards?: boolean;
  /** Messages at most. */
  readonly first?: number;
}

const REQUEST_LIMIT_MS = 15_000;
/** Who is live is asked again and again, and an answer that is late is worth no wait. */
const LIVE_LIMIT_MS = 5_000;
/** Messages of a chat that are read at once. */
const CHAT_PAGE = 60;
/** A picture on a slow line takes its time. */
const UPLOAD_LIMIT_MS = 120_000;

/** The REST API: a method for each operation that a page has a use for. */
export class Api {
  readonly session: Session;

  constructor(private readonly browser: Surroundings) {
    this.session = new Session(browser);
  }

  // Accounts

  register(name: string, email: string, password: string): Promise<{ message: string }> {
    const json = { name, email, password };
    return this.ask("POST", "registrations", { as: "nobody", json });
  }

  verifyEmail(token: string): Promise<User> {
    return this.ask("POST", "registrations/verify", { as: "nobody", json: { token } });
  }

  requestPasswordReset(email: string): Promise<{ message: string }> {
    return this.ask("POST", "password-resets", { as: "nobody", json: { email } });
  }

  resetPassword(token: string, password: string): Promise<void> {
    const json = { token, password };
    return this.ask("POST", "password-resets/confirm", { as: "nobody", json });
  }

  confirmEmail(token: string): Promise<void> {
    return this.ask("POST", "me/email/confirm", { as: "nobody", json: { token } });
  }

  me(): Promise<Me> {
    return this.ask("GET", "me");
  }

  changePassword(current_password: string, new_password: string): Promise<void> {
    return this.ask("PUT", "me/password", { json: { current_password, new_password } });
  }

  changeEmail(password: string, email: string): Promise<{ message: string }> {
    return this.ask("PUT", "me/email", { json: { password, email } });
  }

  sessions(after: string | null): Promise<Page<LoginSession>> {
    return this.ask("GET", page("me/sessions", after));
  }

  endSession(id: string): Promise<void> {
    return this.ask("DELETE", `me/sessions/${encodeURIComponent(id)}`);
  }

  endAllSessions(): Promise<void> {
    return this.ask("DELETE", "me/sessions");
  }

  apiTokens(after: string | null): Promise<Page<ApiToken>> {
    return this.ask("GET", page("me/tokens", after));
  }

  createApiToken(wish: ApiTokenWish, key: string): Promise<NewApiToken> {
    return this.ask("POST", "me/tokens", { json: wish, key });
  }

  revokeApiToken(id: string): Promise<void> {
    return this.ask("DELETE", `me/tokens/${encodeURIComponent(id)}`);
  }

  /** All that the server keeps of the account, as a file. */
  exportAccount(): Promise<Blob> {
    return this.answer("GET", "me/export", {}).then((response) => response.blob());
  }

  deleteAccount(password: string): Promise<void> {
    return this.ask("DELETE", "me", { json: { password } });
  }

  // People

  user(name: string): Promise<User> {
    return this.ask("GET", person(name), { as: "anybody" });
  }

  updateProfile(change: ProfileChange): Promise<Me> {
    return this.ask("PATCH", "me", { json: change });
  }

  setAvatar(picture: Blob): Promise<Me> {
    return this.ask("PUT", "me/avatar", { file: picture });
  }

  removeAvatar(): Promise<void> {
    return this.ask("DELETE", "me/avatar");
  }

  followers(name: string, after: string | null): Promise<Page<User>> {
    return this.ask("GET", page(`${person(name)}/followers`, after), { as: "anybody" });
  }

  following(name: string, after: string | null): Promise<Page<User>> {
    return this.ask("GET", page(`${person(name)}/following`, after), { as: "anybody" });
  }

  follow(name: string): Promise<{ follows: Follows }> {
    return this.ask("PUT", `${person(name)}/follow`);
  }

  unfollow(name: string): Promise<{ follows: Follows }> {
    return this.ask("DELETE", `${person(name)}/follow`);
  }

  followRequests(after: string | null): Promise<Page<User>> {
    return this.ask("GET", page("me/follow-requests", after));
  }

  acceptFollow(name: string): Promise<void> {
    return this.ask("PUT", `me/follow-requests/${encodeURIComponent(name)}`);
  }

  refuseFollow(name: string): Promise<void> {
    return this.ask("DELETE", `me/follow-requests/${encodeURIComponent(name)}`);
  }

  removeFollower(name: string): Promise<void> {
    return this.ask("DELETE", `me/followers/${encodeURIComponent(name)}`);
  }

  blocks(after: string | null): Promise<Page<User>> {
    return this.ask("GET", page("me/blocks", after));
  }

  block(name: string): Promise<void> {
    return this.ask("PUT", `${person(name)}/block`);
  }

  unblock(name: string): Promise<void> {
    return this.ask("DELETE", `${person(name)}/block`);
  }

  mutes(after: string | null): Promise<Page<User>> {
    return this.ask("GET", page("me/mutes", after));
  }

  mute(name: string): Promise<void> {
    return this.ask("PUT", `${person(name)}/mute`);
  }

  unmute(name: string): Promise<void> {
    return this.ask("DELETE", `${person(name)}/mute`);
  }

  preferences(): Promise<Readonly<Record<string, string>>> {
    return this.ask("GET", "me/preferences");
  }

  /** `null` sets one back. */
  setPreferences(
    change: Readonly<Record<string, string | null>>,
  ): Promise<Readonly<Record<string, string>>> {
    return this.ask("PATCH", "me/preferences", { json: change });
  }

  /** Reports somebody, or with `post` what they wrote. */
  report(
    what: { readonly user: string; readonly post?: string },
    reason: ReportReason,
    comment: string,
    key: string,
  ): Promise<void> {
    return this.ask("POST", "reports", { json: { ...what, reason, comment }, key });
  }

  // Posts

  post(id: string): Promise<Post> {
    return this.ask("GET", postPath(id), { as: "anybody" });
  }

  /** Sends a picture, for a post that is written within a day. */
  uploadImage(picture: Blob, description: string): Promise<Image> {
    const path = description === "" ? "images" : `images?description=${encodeURIComponent(description)}`;
    return this.ask("POST", path, { file: picture });
  }

  /** One's own videos, newest first. */
  videos(after: string | null): Promise<Page<Video>> {
    return this.ask("GET", page("me/videos", after));
  }

  createPost(wish: PostWish, key: string): Promise<Post> {
    return this.ask("POST", "posts", { json: wish, key });
  }

  /** @param revision what the text was made from. */
  editPost(id: string, text: string, revision: number): Promise<Post> {
    return this.ask("PATCH", postPath(id), { json: { text, revision } });
  }

  deletePost(id: string): Promise<void> {
    return this.ask("DELETE", postPath(id));
  }

  likePost(id: string): Promise<void> {
    return this.ask("PUT", `${postPath(id)}/like`);
  }

  unlikePost(id: string): Promise<void> {
    return this.ask("DELETE", `${postPath(id)}/like`);
  }

  sharePost(id: string): Promise<Post> {
    return this.ask("PUT", `${postPath(id)}/share`);
  }

  unsharePost(id: string): Promise<void> {
    return this.ask("DELETE", `${postPath(id)}/share`);
  }

  revisions(id: string, after: string | null): Promise<Page<Revision>> {
    return this.list(`${postPath(id)}/revisions`, after);
  }

  /** The direct answers to a post, newest first. */
  comments(id: string, after: string | null): Promise<Page<Post>> {
    return this.list(`${postPath(id)}/comments`, after);
  }

  /** All comments of the thread that a post is in, oldest first. */
  thread(id: string, after: string | null): Promise<Page<Post>> {
    return this.list(`${postPath(id)}/thread`, after);
  }

  quotes(id: string, after: string | null): Promise<Page<Post>> {
    return this.list(`${postPath(id)}/quotes`, after);
  }

  likes(id: string, after: string | null): Promise<Page<User>> {
    return this.list(`${postPath(id)}/likes`, after);
  }

  userPosts(name: string, comments: boolean, after: string | null): Promise<Page<Post>> {
    return this.list(`${person(name)}/posts?comments=${comments}`, after);
  }

  hashtagPosts(hashtag: string, after: string | null): Promise<Page<Post>> {
    return this.list(`hashtags/${encodeURIComponent(hashtag)}/posts`, after);
  }

  home(after: string | null): Promise<Page<Post>> {
    return this.ask("GET", page("feeds/home", after));
  }

  /** The newest post of the home feed, if there is one. */
  async newestAtHome(): Promise<Post | undefined> {
    const { items } = await this.ask<Page<Post>>("GET", "feeds/home?first=1");
    return items[0];
  }

  discover(after: string | null): Promise<Page<Post>> {
    return this.list("feeds/discover", after);
  }

  trendingPosts(after: string | null): Promise<Page<Post>> {
    return this.list("trends/posts", after);
  }

  trendingHashtags(): Promise<{ items: readonly TrendingHashtag[] }> {
    return this.ask("GET", "trends/hashtags", { as: "anybody" });
  }

  searchPosts(query: string, after: string | null): Promise<Page<Post>> {
    return this.list(`search/posts?q=${encodeURIComponent(query)}`, after);
  }

  searchUsers(query: string, after: string | null): Promise<Page<User>> {
    return this.list(`search/users?q=${encodeURIComponent(query)}`, after);
  }

  searchStreams(query: string, after: string | null): Promise<Page<PostStream>> {
    return this.list(`search/streams?q=${encodeURIComponent(query)}`, after);
  }

  // Streams

  /** A page of who is live, of those whom one may and wants to see; see `parseLive`. */
  live(after: string | null): Promise<unknown> {
    return this.ask("GET", page("live?first=100", after), { as: "anybody", limitMs: LIVE_LIMIT_MS });
  }

  stream(name: string): Promise<Stream> {
    return this.ask("GET", stream(name), { as: "anybody", limitMs: LIVE_LIMIT_MS });
  }

  /** Where a stream is played, with a token that is one's own where one is needed. */
  playback(name: string): Promise<StreamPlayback> {
    return this.ask("GET", `${stream(name)}/playback`, { as: "anybody", limitMs: LIVE_LIMIT_MS });
  }

  /** Somebody begins to watch a stream. */
  joinStream(name: string): Promise<ViewerSession> {
    return this.ask("POST", viewers(name), { as: "anybody" });
  }

  stayInStream(name: string, viewer: string): Promise<ViewerSession> {
    return this.ask("PUT", `${viewers(name)}/${encodeURIComponent(viewer)}`, { as: "anybody" });
  }

  /** Who has its id ends it. It goes out although the page is being left. */
  leaveStream(name: string, viewer: string): Promise<void> {
    const path = `${viewers(name)}/${encodeURIComponent(viewer)}`;
    return this.ask("DELETE", path, { as: "nobody", outlives: true });
  }

  // Chat

  chatRoom(name: string): Promise<ChatRoom> {
    return this.ask("GET", chat(name));
  }

  changeChat(name: string, change: ChatRoomChange): Promise<ChatRoom> {
    return this.ask("PATCH", chat(name), { json: change });
  }

  /** What was said, the newest first. */
  chatMessages(name: string, after: string | null): Promise<Page<ChatMessage>> {
    return this.list(`${chat(name)}/messages?first=${CHAT_PAGE}`, after);
  }

  /** What was said while that was seen which plays at `from`, and behind it, or before it. */
  chatReplay(name: string, { from, ...rest }: ReplayFrom, after: string | null): Promise<Page<ChatMessage>> {
    const { isBackwards = false, first = CHAT_PAGE } = rest;
    const query = `from=${from}&backwards=${isBackwards}&first=${first}`;
    return this.list(`${chat(name)}/replay?${query}`, after);
  }

  deleteChatMessage(name: string, id: string): Promise<void> {
    return this.ask("DELETE", `${chat(name)}/messages/${encodeURIComponent(id)}`);
  }

  chatSanctions(name: string, after: string | null): Promise<Page<ChatSanction>> {
    return this.ask("GET", page(`${chat(name)}/sanctions`, after));
  }

  /** @param seconds for how long they say nothing; `null`: until it is lifted. */
  sanctionInChat(name: string, user: string, seconds: number | null): Promise<ChatSanction> {
    return this.ask("PUT", sanction(name, user), { json: seconds === null ? {} : { seconds } });
  }

  liftInChat(name: string, user: string): Promise<void> {
    return this.ask("DELETE", sanction(name, user));
  }

  // Notifications

  notifications(after: string | null): Promise<Page<Notification>> {
    return this.ask("GET", page("notifications", after));
  }

  /** How many are unread: 100 is 100 or more. */
  unreadNotifications(): Promise<{ readonly unread: number }> {
    return this.ask("GET", "notifications/unread");
  }

  /** Marks them as read, as they were seen. */
  readNotifications(
    seen: readonly Pick<Notification, "id" | "revision">[],
  ): Promise<{ readonly unread: number }> {
    return this.ask("PUT", "notifications/read", { json: { seen } });
  }

  /** A page of a list that everybody may see. */
  private list<T>(path: string, after: string | null): Promise<Page<T>> {
    return this.ask("GET", page(path, after), { as: "anybody" });
  }

  /** What an operation answers; for those that only some pages have a use for. */
  async ask<T>(method: string, path: string, question: Question = {}): Promise<T> {
    const response = await this.answer(method, path, question);
    const body = await response.text();
    // Where nothing is answered (204), T is void.
    return (body === "" ? undefined : JSON.parse(body)) as T;
  }

  /** The answer, if it is a good one. An access token that is refused is replaced once. */
  private async answer(method: string, path: string, question: Question): Promise<Response> {
    const { as = "me" } = question;
    const token = as === "nobody" ? null : await this.session.accessToken();
    try {
      return await this.send(method, path, question, token);
    } catch (error) {
      const isOld = error instanceof Problem && error.code === "unauthenticated";
      if (!isOld || token === null) throw error;
      this.session.refused(token);
      return this.send(method, path, question, await this.session.accessToken());
    }
  }

  private async send(
    method: string,
    path: string,
    { as = "me", json, file, key, outlives = false, limitMs }: Question,
    token: string | null,
  ): Promise<Response> {
    if (as === "me" && token === null) throw new LoginNeeded();
    const headers: Record<string, string> = {};
    if (token !== null) headers["Authorization"] = `Bearer ${token}`;
    if (json !== undefined) headers["Content-Type"] = "application/json";
    if (file !== undefined) headers["Content-Type"] = file.type;
    if (key !== undefined) headers["Idempotency-Key"] = key;
    let response;
    try {
      response = await this.browser.fetch(`/api/v1/${path}`, {
        method,
        headers,
        cache: "no-store",
        keepalive: outlives,
        body: file ?? (json === undefined ? null : JSON.stringify(json)),
        signal: AbortSignal.timeout(limitMs ?? (file === undefined ? REQUEST_LIMIT_MS : UPLOAD_LIMIT_MS)),
      });
    } catch (error) {
      throw new Unreachable(error);
    }
    if (!response.ok) throw await readProblem(response, this.browser.now());
    return response;
  }
}

export function person(name: string): string {
  return `users/${encodeURIComponent(name)}`;
}

export function stream(name: string): string {
  return `streams/${encodeURIComponent(name)}`;
}

function viewers(name: string): string {
  return `${stream(name)}/viewers`;
}

function chat(name: string): string {
  return `${stream(name)}/chat`;
}

function sanction(name: string, user: string): string {
  return `${chat(name)}/sanctions/${encodeURIComponent(user)}`;
}

function postPath(id: string): string {
  return `posts/${encodeURIComponent(id)}`;
}

export function page(path: string, after: string | null): string {
  if (after === null) return path;
  return `${path}${path.includes("?") ? "&" : "?"}after=${encodeURIComponent(after)}`;
}
