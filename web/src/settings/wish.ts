import { SCOPES, type Me, type Scope } from "../resources";

/** What a token with a scope may, after "It may". */
export const SCOPE_TEXT: Readonly<Record<Scope, string>> = {
  "account:read": "see your account",
  "account:write": "change your account",
  "people:read": "see whom you follow, block and mute",
  "people:write": "follow, block, mute and report",
  moderation: "moderate",
  admin: "administer the server",
};
const DAY_MS = 24 * 60 * 60 * 1000;

/** The scopes that somebody can give: a token does no more than its maker may. */
export function scopesOf({ role }: Pick<Me, "role">): Scope[] {
  const refused: Readonly<Record<Me["role"], readonly Scope[]>> = {
    user: ["moderation", "admin"],
    moderator: ["admin"],
    admin: [],
  };
  return SCOPES.filter((scope) => !refused[role].includes(scope));
}

/** The end of the day so many days on, in UTC: the same wish, asked again, is the same. */
export function expiry(days: string, now: number): string | null {
  if (days === "") return null;
  return new Date((Math.floor(now / DAY_MS) + Number(days) + 1) * DAY_MS).toISOString();
}
