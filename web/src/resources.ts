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
