import type { User, Viewer } from "../resources";

/** What the button beside somebody's name does now. */
export interface FollowButton {
  readonly label: string;
  readonly act: "follow" | "unfollow";
  /** Whether it is what one comes for. */
  readonly primary: boolean;
}

export function followButton({ follows }: Viewer, isPrivate: boolean): FollowButton {
  switch (follows) {
    case "yes":
      return { label: "Unfollow", act: "unfollow", primary: false };
    case "requested":
      return { label: "Withdraw request", act: "unfollow", primary: false };
    case "no":
      return { label: isPrivate ? "Ask to follow" : "Follow", act: "follow", primary: true };
  }
}

/** What is said after it. */
export function followed(name: string, follows: Viewer["follows"]): string {
  switch (follows) {
    case "yes":
      return `You follow ${name} now.`;
    case "requested":
      return `${name} is asked whether you may follow.`;
    case "no":
      return `You do not follow ${name}.`;
  }
}

/** Whether `me` may see whom somebody follows and who follows them. */
export function showsPeople(user: User, me: string | null): boolean {
  return !user.is_private || user.name === me || user.viewer?.follows === "yes";
}

/** The words beside a name. */
export function tagsOf({ is_private, role, viewer }: User): string[] {
  const tags = [];
  if (role !== "user") tags.push(role === "admin" ? "Administrator" : "Moderator");
  if (is_private) tags.push("Private");
  if (viewer?.followed_by) tags.push("Follows you");
  if (viewer?.mutes) tags.push("Muted");
  if (viewer?.blocks) tags.push("Blocked");
  return tags;
}
