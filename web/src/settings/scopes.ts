import { SCOPES, type Me, type Scope } from "../resources";

/** What a token with a scope may, after "It may". */
export const SCOPE_TEXT: Readonly<Record<Scope, string>> = {
  "account:read": "see your account",
  "account:write": "change your account",
  "people:read": "see whom you follow, block and mute",
  "people:write": "follow, block, mute and report",
  "posts:read": "see what is written for you",
  "posts:write": "write, like and share",
  "notifications:read": "see what you are told of",
  "notifications:write": "mark it as read",
  "streams:read": "see your streams, their keys' names and figures, and play what is for you",
  "streams:write": "make, change, stop and delete your streams, and make their keys",
  "chat:read": "read the chats that are for you",
  "chat:write": "talk in chats, and run those of your streams",
  moderation: "moderate",
  admin: "administer the server",
};

/** The scopes that somebody can give: a token does no more than its maker may. */
export function scopesOf({ role }: Pick<Me, "role">): Scope[] {
  const refused: Readonly<Record<Me["role"], readonly Scope[]>> = {
    user: ["moderation", "admin"],
    moderator: ["admin"],
    admin: [],
  };
  return SCOPES.filter((scope) => !refused[role].includes(scope));
}
