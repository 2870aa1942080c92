import { api } from "../browser";
import type { View } from "../dom";
import { goToLogin, loginPath, postPath } from "../places";
import { countLabel, liked } from "../posts/rules";
import { explain, LoginNeeded } from "../problem";
import type { Post } from "../resources";
import { LastWish } from "../wish";

/** Likes the post that a broadcast has. A stream itself has no likes. */
export class LikeButton {
  private readonly button: HTMLButtonElement;
  private post: Post | null = null;
  /** What was wished for last, of which post. */
  private wish = { post: "", likes: new LastWish() };

  constructor(
    private readonly view: View,
    private readonly fail: (text: string) => void,
  ) {
    this.button = view.part("like", HTMLButtonElement);
    this.button.addEventListener("click", () => void this.toggle());
  }

  get isShown(): boolean {
    return this.post !== null;
  }

  hide(): void {
    this.post = null;
    this.button.hidden = true;
    this.view.part("post", HTMLElement).hidden = true;
  }

  show(post: Post): void {
    this.post = post;
    const { button, view } = this;
    button.hidden = false;
    button.setAttribute("aria-pressed", String(post.viewer?.likes === true));
    view.text("likes", countLabel(post.counts.likes));
    const link = view.part("post", HTMLAnchorElement);
    link.hidden = false;
    link.href = postPath(post.id);
  }

  /** Shows at once what it will be, and takes it back if the server does not. */
  private async toggle(): Promise<void> {
    const { post } = this;
    if (post === null) return;
    if (post.viewer === null) {
      location.assign(loginPath(location));
      return;
    }
    this.fail("");
    const wish = !post.viewer.likes;
    this.show(liked(post, wish));
    if (this.wish.post !== post.id) this.wish = { post: post.id, likes: new LastWish() };
    await this.wish.likes.tell(
      wish,
      (told) => (told ? api.likePost(post.id) : api.unlikePost(post.id)),
      (is, error) => {
        if (error instanceof LoginNeeded) goToLogin();
        this.fail(explain(error));
        if (this.post?.id === post.id) this.show(liked(this.post, is));
      },
    );
  }
}
