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
  private busy = false;

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
    const like = view.part("like", HTMLButtonElement);
    like.setAttribute("aria-pressed", String(LIKE.isSo(post)));
    const share = view.part("share", HTMLButtonElement);
    share.setAttribute("aria-pressed", String(SHARE.isSo(post)));
    // What is for followers stays with them.
    share.hidden = visibility !== "public";
  }

  /** Shows at once what it will be, and takes it back if the server does not. */
  private async toggle({ apply, isSo, send }: Reaction): Promise<void> {
    const { card } = this;
    if (card.post.viewer === null) {
      location.assign(loginPath(location));
      return;
    }
    if (this.busy) return;
    this.busy = true;
    card.say("");
    const is = !isSo(card.post);
    card.post = apply(card.post, is);
    this.show();
    try {
      await send(card.post.id, is);
    } catch (error) {
      card.post = apply(card.post, !is);
      this.show();
      card.fail(error);
    } finally {
      this.busy = false;
    }
  }
}
