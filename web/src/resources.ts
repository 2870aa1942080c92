// What the API gives and takes, as `/openapi.json` has it. Times are RFC 3339.

export type Role = "user" | "moderator" | "admin";

/** A link on a profile. */
export interface ProfileLink {
  readonly label: string;
  readonly url: string;
}

/** Somebody, as everybody may see them. */
export interface User {
  readonly id: string;
  readonly name: string;
  readonly display_name: string;
  readonly bio: string;
  /** A path on this server; `null`: they have no picture. */
  readonly avatar_url: string | null;
  readonly links: readonly ProfileLink[];
  readonly is_private: boolean;
  readonly role: Role;
  readonly created_at: string;
  /** How many follow them, and how many they follow. */
  readonly followers: number;
  readonly following: number;
  /** What the one who asks has to do with them; `null` for themselves and for visitors. */
  readonly viewer: Viewer | null;
}

export type Follows = "no" | "requested" | "yes";

/** What the one who asks has to do with somebody. */
export interface Viewer {
  readonly follows: Follows;
  readonly followed_by: boolean;
  readonly blocks: boolean;
  readonly mutes: boolean;
}

/** Somebody, as they see themselves. */
export interface Me extends User {
  readonly email: string;
}

/** What somebody may change of their profile; what is left out stays. */
export interface ProfileChange {
  readonly display_name?: string;
  readonly bio?: string;
  readonly links?: readonly ProfileLink[];
  readonly is_private?: boolean;
}

/** One login on one device. */
export interface LoginSession {
  readonly id: string;
  readonly user_agent: string | null;
  readonly address: string | null;
  readonly created_at: string;
  readonly refreshed_at: string;
  readonly expires_at: string;
  readonly is_current: boolean;
}

export const SCOPES = [
  "account:read",
  "account:write",
  "people:read",
  "people:write",
  "posts:read",
  "posts:write",
  "notifications:read",
  "notifications:write",
  "streams:read",
  "streams:write",
  "chat:read",
  "chat:write",
  "moderation",
  "admin",
] as const;
export type Scope = (typeof SCOPES)[number];

/** A personal API token, without what only its maker was shown once. */
export interface ApiToken {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly created_at: string;
  readonly last_used_at: string | null;
  readonly expires_at: string | null;
}

/** A new personal API token. */
export interface NewApiToken {
  /** Shown once; `null` in the answer to the same request again. */
  readonly token: string | null;
  readonly api_token: ApiToken;
}

/** What a new personal API token is to be. */
export interface ApiTokenWish {
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** `null`: until it is revoked. */
  readonly expires_in_days: number | null;
}

export type ReportReason = "spam" | "abuse" | "impersonation" | "illegal" | "other";

/** Who wrote something. */
export type Author = Pick<User, "id" | "name" | "display_name" | "avatar_url">;

export type Visibility = "public" | "followers";

/** A piece of a text. At most one of the three is not `null`. */
export interface Part {
  readonly text: string;
  /** The name of the account that is mentioned. */
  readonly mention: string | null;
  /** As it is looked up, without its "#". */
  readonly hashtag: string | null;
  /** An address on the web. */
  readonly link: string | null;
}

/** What a post quotes. */
export interface Quote {
  readonly id: string;
  /** `null`: it is deleted, or not for the one who asks. */
  readonly post: Post | null;
}

/** A stream that a post shows, or that was found. */
export interface PostStream {
  readonly name: string;
  readonly title: string;
  readonly is_live: boolean;
  /** The name of the account that it belongs to. */
  readonly owner: string;
}

/** A picture for a post, or on one. */
export interface Image {
  readonly id: string;
  /** A path on this server, */
  readonly url: string;
  /** and that of a small one. */
  readonly preview_url: string;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  /** For those who do not see it; empty: nobody has said. */
  readonly description: string;
}

/** A video on a post. */
export interface PostVideo {
  readonly id: string;
  readonly title: string;
  /** Seconds; `null`: not known. */
  readonly duration: number | null;
  /** The stream that it is a recording of; `null`: it is none. */
  readonly stream: string | null;
  readonly playlist: string;
  readonly poster: string;
}

/** A video of one's own: the recording of a broadcast, or an imported file. */
export interface Video {
  readonly id: string;
  readonly title: string;
  readonly state: "transcoding" | "ready" | "failed";
  /** The stream that it is a recording of, and when the broadcast began; `null`: it was imported. */
  readonly stream: string | null;
  readonly started_at: string | null;
  /** Seconds; `null`: not known yet. */
  readonly duration: number | null;
  readonly created_at: string;
  /** `null`: it is not ready. */
  readonly playback: VideoPlayback | null;
}

/** Where a video is played, and the picture that stands for it. */
export interface VideoPlayback extends StreamPlayback {
  readonly poster: string;
}

/** How often something was done to a post. */
export interface PostCounts {
  readonly likes: number;
  readonly comments: number;
  readonly shares: number;
  readonly quotes: number;
}

/** A post, a comment or a share, as the one who asks sees it. */
export interface Post {
  readonly id: string;
  /** `null`: gone. */
  readonly author: Author | null;
  readonly text: string;
  /** The same text in pieces. */
  readonly parts: readonly Part[];
  readonly visibility: Visibility;
  /** The post that a comment answers. */
  readonly reply_to: string | null;
  /** The first post of a comment's thread. */
  readonly thread: string | null;
  /** What a share shares; it has no text of its own. */
  readonly share_of: Post | null;
  readonly quote: Quote | null;
  readonly stream: PostStream | null;
  readonly images: readonly Image[];
  readonly video: PostVideo | null;
  /** How often it was edited. */
  readonly revision: number;
  readonly created_at: string;
  readonly edited_at: string | null;
  readonly counts: PostCounts;
  /** What the one who asks did with it; `null` for visitors. */
  readonly viewer: PostViewer | null;
  /** Nothing is left of it but its place in a thread. */
  readonly is_deleted: boolean;
}

export interface PostViewer {
  readonly likes: boolean;
  readonly shares: boolean;
}

/** What a new post is to be. */
export interface PostWish {
  readonly text: string;
  readonly visibility: Visibility;
  readonly reply_to?: string;
  readonly quote?: string;
  /** Pictures that were sent, by their ids. */
  readonly images?: readonly string[];
  /** A video of one's own that is ready, by its id. */
  readonly video?: string;
  /** The name of a stream. */
  readonly stream?: string;
}

/** A text that a post has, or had before it was edited. */
export interface Revision {
  /** 0 for the first. */
  readonly number: number;
  readonly text: string;
  readonly parts: readonly Part[];
  readonly created_at: string;
}

/** A hashtag, and how many posts have it lately. */
export interface TrendingHashtag {
  readonly hashtag: string;
  readonly posts: number;
}

export type NotificationKind =
  | "follow"
  | "follow_request"
  | "follow_accepted"
  | "like"
  | "comment"
  | "mention"
  | "share"
  | "quote"
  | "went_live"
  | "post_removed"
  | "suspended"
  | "unsuspended"
  | "role_changed";

/** What several did about one thing. */
export interface Notification {
  readonly id: string;
  readonly kind: NotificationKind;
  /** Those who did it last, 3 at most. */
  readonly people: readonly Author[];
  /** How many did it: 50 is 50 or more. */
  readonly people_count: number;
  /** The post that it is about. */
  readonly post: Post | null;
  /** The last comment or quote. */
  readonly answer: Post | null;
  readonly stream: PostStream | null;
  /** One more with each deed. */
  readonly revision: number;
  readonly is_read: boolean;
  readonly created_at: string;
  readonly changed_at: string;
}

/** A page of a list, and where the next begins; `null` at the end. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

/** What a login and a refresh give. */
export interface Grant {
  readonly access_token: string;
  /** Seconds. */
  readonly expires_in: number;
  readonly user: User;
}

/** A stream, as far as a page has a use for it. */
export interface Stream {
  readonly name: string;
  /** What it is called: its name where it has no title. */
  readonly title: string;
  /** Plain text. */
  readonly description: string;
  readonly visibility: StreamVisibility;
  /** The name of the account that it belongs to. */
  readonly owner: string;
  /** Since when it is live; `null`: it is not. */
  readonly live_since: string | null;
}

export type StreamVisibility = "public" | "followers" | "private";

/** Where a stream is played. */
export interface StreamPlayback {
  readonly playlist: string;
  readonly manifest: string;
  /** Until when the token in them is good; `null`: none is needed. */
  readonly expires_at: string | null;
}

/** That somebody watches a stream. */
export interface ViewerSession {
  readonly id: string;
  /** It is told again so often that it is so. */
  readonly beat_seconds: number;
  /** How many watch. */
  readonly viewers: number;
}

/** How the chat of a stream is run. */
export interface ChatRoom {
  /** The stream's name. */
  readonly stream: string;
  readonly last_event: number;
  /** Between two messages of one person; 0: none. */
  readonly slow_mode_seconds: number;
  /** Whether only those who follow the stream's owner say something. */
  readonly followers_only: boolean;
  /** How many are there. */
  readonly viewers: number;
  /** Whether the one who asks looks after it. */
  readonly is_moderator: boolean;
}

/** How a room is run differently; what is left out stays. */
export type ChatRoomChange = Partial<Pick<ChatRoom, "slow_mode_seconds" | "followers_only">>;

/** Who said something in a chat. */
export interface ChatAuthor extends Author {
  /** Whether they look after the room. */
  readonly is_moderator: boolean;
}

/** Something that was said in a chat. */
export interface ChatMessage {
  readonly id: string;
  /** Messages of a room are in the order of their events. */
  readonly event: number;
  readonly author: ChatAuthor;
  readonly text: string;
  /** The same text in pieces. */
  readonly parts: readonly Part[];
  /** The message that it answers. */
  readonly reply_to: string | null;
  /** What its author saw: media time, in milliseconds since 1970. */
  readonly media_time: number;
  readonly created_at: string;
}

/** What keeps somebody from talking in a chat. */
export interface ChatSanction {
  readonly user: ChatAuthor;
  /** `null`: a ban. */
  readonly until: string | null;
  readonly since: string;
}
