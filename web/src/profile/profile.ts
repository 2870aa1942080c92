import { showAvatar } from "../avatar";
import { api } from "../browser";
import { quiet, View } from "../dom";
import { PagedList } from "../paged";
import { personRow } from "../person";
import { loginPath, nameOf, outwardLink } from "../places";
import { postList } from "../posts/list";
import type { User, Viewer } from "../resources";
import { Tabs } from "../tabs";
import { timeElement } from "../time";
import { Actions } from "./actions";
import { showsPeople, tagsOf } from "./relation";

/** Somebody's profile. */
export class Profile {
  private readonly view = new View("profile-template");
  private readonly tabs: Tabs;

  /** @param me the name of who is logged in. */
  constructor(
    private user: User,
    private readonly me: string | null,
  ) {
    this.show();
    this.view.part("actions", HTMLElement).replaceWith(this.actions());
    this.tabs = new Tabs(this.root, this.view.part("place", HTMLElement), {
      posts: () => this.posts(false),
      comments: () => this.posts(true),
      followers: () => this.people("followers"),
      following: () => this.people("following"),
    });
  }

  get root(): HTMLElement {
    return this.view.root;
  }

  private show(): void {
    const { view, user } = this;
    showAvatar(view.part("avatar", HTMLElement), user);
    view.text("name", nameOf(user));
    view.text("handle", `@${user.name}`);
    view.part("tags", HTMLElement).replaceChildren(...tagsOf(user).map(tag));
    view.text("bio", user.bio);
    view.part("bio", HTMLElement).hidden = user.bio === "";
    this.showLinks();
    this.showCounts();
    view.part("since", HTMLElement).replaceChildren(timeElement(user.created_at, false));
  }

  private showLinks(): void {
    const items = this.user.links.flatMap(({ label, url }) => {
      const href = outwardLink(url);
      if (href === null) return [];
      const link = document.createElement("a");
      link.href = href;
      link.dir = "auto";
      link.rel = "me noopener noreferrer nofollow ugc";
      link.textContent = label === "" ? href.replace(/^https?:\/\//, "").replace(/\/$/, "") : label;
      const item = document.createElement("li");
      item.append(link);
      return [item];
    });
    const list = this.view.part("links", HTMLElement);
    list.replaceChildren(...items);
    list.hidden = items.length === 0;
  }

  private showCounts(): void {
    const { followers, following } = this.user;
    this.view.text("followers-count", followers.toLocaleString());
    this.view.text("followers-word", followers === 1 ? "follower" : "followers");
    this.view.text("following-count", following.toLocaleString());
  }

  private actions(): HTMLElement {
    const { user, view } = this;
    if (user.name === this.me) return new View("own-actions-template").root;
    if (user.viewer === null) {
      const link = document.createElement("a");
      link.className = "button primary";
      link.href = loginPath(location);
      link.textContent = "Log in to follow";
      const box = document.createElement("div");
      box.className = "actions";
      box.append(link);
      return box;
    }
    const actions = new Actions(user, user.viewer, {
      say: (status, problem) => {
        view.text("status", status);
        view.text("problem", problem);
      },
      changed: (viewer) => this.relate(viewer),
    });
    return actions.root;
  }

  private relate(viewer: Viewer): void {
    const before = this.user.viewer?.follows === "yes" ? 1 : 0;
    const after = viewer.follows === "yes" ? 1 : 0;
    this.user = { ...this.user, viewer, followers: this.user.followers + after - before };
    this.show();
    this.tabs.renew();
  }

  private posts(comments: boolean): HTMLElement {
    const { user, me } = this;
    if (!showsPeople(user, me)) return this.isPrivate();
    return postList({
      label: `Posts of ${user.name}`,
      empty: user.name === me ? "You have not posted yet." : `${user.name} has not posted yet.`,
      load: (after) => api.userPosts(user.name, comments, after),
    }).root;
  }

  private people(side: "followers" | "following"): HTMLElement {
    if (!showsPeople(this.user, this.me)) return this.isPrivate();
    const { name } = this.user;
    const list = new PagedList<User>({
      label: side === "followers" ? `Followers of ${name}` : `Followed by ${name}`,
      empty: side === "followers" ? "Nobody yet." : "Nobody.",
      load: (after) => (side === "followers" ? api.followers(name, after) : api.following(name, after)),
      row: (user, all) => personRow(user, all, []),
    });
    void list.reload();
    return list.root;
  }

  private isPrivate(): HTMLElement {
    return quiet("This account is private: only its followers see more.");
  }
}

function tag(text: string): HTMLElement {
  const made = document.createElement("span");
  made.className = "tag";
  made.textContent = text;
  return made;
}
