import { api } from "../browser";
import type { View } from "../dom";
import { loginPath, postPath } from "../places";
import type { Post } from "../resources";
import { LastWish } from "../wish";
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
  private readonly likes = new LastWish();
  private readonly shares = new LastWish();

  constructor(
    private readonly view: View,
    private readonly card: PostCard,
  ) {
    const { likes, shares } = this;
    for (const [name, reaction, wishes] of [["like", LIKE, likes], ["share", SHARE, shares]] as const) {
      const button = view.part(name, HTMLButtonElement);
      button.addEventListener("click", () => void this.toggle(reaction, wishes));
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
    this.showButton("like", LIKE, this.likes);
    const share = this.showButton("share", SHARE, this.shares);
    // What is for followers stays with them.
    share.hidden = visibility !== "public";
  }

  private showButton(name: string, reaction: Reaction, wishes: LastWish): HTMLButtonElement {
    const button = this.view.part(name, HTMLButtonElement);
    button.setAttribute("aria-pressed", String(reaction.isSo(this.card.post)));
    button.setAttribute("aria-busy", String(wishes.isBeingTold));
    return button;
  }

  /** Shows at once what it will be, and takes it back if the server does not. */
  private async toggle({ apply, isSo, send }: Reaction, wishes: LastWish): Promise<void> {
    const { card } = this;
    if (card.post.viewer === null) {
      location.assign(loginPath(location));
      return;
    }
    card.say("");
    const wish = !isSo(card.post);
    card.post = apply(card.post, wish);
    const telling = wishes.tell(
      wish,
      (told) => send(card.post.id, told),
      (is, error) => {
        card.post = apply(card.post, is);
        card.fail(error);
      },
    );
    this.show();
    await telling;
    this.show();
  }
}
