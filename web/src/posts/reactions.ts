import { api } from "../browser";
import type { View } from "../dom";
import { loginPath, postPath } from "../places";
import type { Post } from "../resources";
import type { PostCard } from "./card";
import { countLabel, liked, shared } from "./rules";

/** How a post answers to a press of a button, before the server has. */
interface Reaction {
  /** The post once it is so, or not. */
  readonly apply: (post: Post, is: boolean) => Post;
  readonly isSo: (post: Post) => boolean;
  readonly send: (id: string, is: boolean) => Promise<unknown>;
}

const LIKE: Reaction = {
  apply: liked,
  isSo: ({ viewer }) => viewer?.likes === true,
  send: (id, is) => (is ? api.likePost(id) : api.unlikePost(id)),
};

const SHARE: Reaction = {
  apply: shared,
  isSo: ({ viewer }) => viewer?.shares === true,
  send: (id, is) => (is ? api.sharePost(id) : api.unsharePost(id)),
};

/** Comments, shares and likes below a post. */
export class Reactions {
  /** What was wished for last of those that the server is being told. */
  private readonly wishes = new Map<Reaction, boolean>();

  constructor(
    private readonly view: View,
    private readonly card: PostCard,
  ) {
    for (const [name, reaction] of [["like", LIKE], ["share", SHARE]] as const) {
      const button = view.part(name, HTMLButtonElement);
      button.addEventListener("click", () => void this.toggle(reaction));
    }
  }

  show(): void {
    const { view } = this;
    const { post } = this.card;
    const { counts, id, visibility } = post;
    view.part("comment", HTMLAnchorElement).href = `${postPath(id)}#comments`;
    view.text("comments", countLabel(counts.comments));
    view.text("shares", countLabel(counts.shares));
    view.text("likes", countLabel(counts.likes));
    this.showButton("like", LIKE);
    const share = this.showButton("share", SHARE);
    // What is for followers stays with them.
    share.hidden = visibility !== "public";
  }

  private showButton(name: string, reaction: Reaction): HTMLButtonElement {
    const button = this.view.part(name, HTMLButtonElement);
    button.setAttribute("aria-pressed", String(reaction.isSo(this.card.post)));
    button.setAttribute("aria-busy", String(this.wishes.has(reaction)));
    return button;
  }

  /** Shows at once what it will be, and takes it back if the server does not. */
  private async toggle(reaction: Reaction): Promise<void> {
    const { card, wishes } = this;
    const { apply, isSo, send } = reaction;
    if (card.post.viewer === null) {
      location.assign(loginPath(location));
      return;
    }
    card.say("");
    let is = isSo(card.post);
    let wish: boolean | undefined = !is;
    const isBeingTold = wishes.has(reaction);
    wishes.set(reaction, wish);
    card.post = apply(card.post, wish);
    this.show();
    // It is told once the answer to what was wished for before is there.
    if (isBeingTold) return;
    try {
      for (; wish !== undefined && wish !== is; wish = wishes.get(reaction)) {
        await send(card.post.id, wish);
        is = wish;
      }
    } catch (error) {
      card.post = apply(card.post, is);
      card.fail(error);
    } finally {
      wishes.delete(reaction);
      this.show();
    }
  }
}
