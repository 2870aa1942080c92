import { showAvatar } from "../avatar";
import { View } from "../dom";
import { goToLogin, nameOf, postPath, profilePath } from "../places";
import { explain, LoginNeeded } from "../problem";
import type { Author, Post } from "../resources";
import { timeElement } from "../time";
import { goneBox, quoteBox, streamBox } from "./embedded";
import { PostMenu } from "./menu";
import { pictureGrid } from "./pictures";
import { Reactions } from "./reactions";
import { IN_LIST, shortened, showsNothing } from "./rules";
import { showText } from "./text";
import { videoBox } from "./video";

export interface CardOptions {
  /** The post is what the page is about: all of its text is shown. */
  readonly isMain?: boolean;
  /** The post that the page is about: that it is answered needs no saying. */
  readonly about?: string;
  /** A post was made out of this one. */
  posted?(post: Post): void;
  /** The viewer wants to see nothing of somebody any more. */
  hid?(name: string): void;
}

/** A post, and what can be done to it. What a share shares stands in its place. */
export class PostCard {
  /** As it is now. */
  post: Post;
  private readonly view = new View("post-template");
  private readonly reactions: Reactions;
  private readonly menu: PostMenu;
  private isWhole: boolean;
  private isGone = false;

  constructor(
    given: Post,
    private readonly options: CardOptions = {},
  ) {
    const { view } = this;
    this.isWhole = options.isMain ?? false;
    this.post = given.share_of ?? given;
    this.reactions = new Reactions(view, this);
    this.menu = new PostMenu(view, this, options);
    this.root.classList.toggle("main", this.isWhole);
    if (given.share_of !== null) this.showSharer(given.author);
    view.part("whole", HTMLButtonElement).addEventListener("click", () => {
      this.isWhole = true;
      this.showText();
      view.part("text", HTMLElement).focus();
    });
    this.show(this.post);
  }

  get root(): HTMLElement {
    return this.view.root;
  }

  /** Whether it was written, or shared on, by who is called so. */
  isBy(name: string): boolean {
    return this.post.author?.name === name || this.root.dataset["sharer"] === name;
  }

  /** Shows what the post is now. */
  show(post: Post): void {
    const { view } = this;
    this.post = post;
    if (post.is_deleted) {
      this.leave("This post was deleted.");
      return;
    }
    this.showAuthor(post.author);
    const link = view.part("link", HTMLAnchorElement);
    link.href = postPath(post.id);
    link.replaceChildren(timeElement(post.created_at, true));
    view.part("followers-only", HTMLElement).hidden = post.visibility === "public";
    view.part("edited", HTMLElement).hidden = post.revision === 0;
    const answers = view.part("answers", HTMLElement);
    const { isMain, about } = this.options;
    answers.hidden = post.reply_to === null || isMain === true || post.reply_to === about;
    if (post.reply_to !== null) {
      view.part("answered", HTMLAnchorElement).href = postPath(post.reply_to);
    }
    this.showText();
    const shown = view.part("shown", HTMLElement);
    shown.replaceChildren(
      ...(post.images.length === 0 ? [] : [pictureGrid(post.images)]),
      ...(post.video === null ? [] : [videoBox(post.video, post.id)]),
      ...(post.stream === null ? [] : [streamBox(post.stream)]),
      ...(post.quote === null ? [] : [quoteBox(post.quote)]),
      ...(showsNothing(post) ? [goneBox()] : []),
    );
    this.reactions.show();
    this.menu.show();
  }

  /** Puts a sentence in the place of the post. */
  leave(...content: (string | Node)[]): void {
    if (this.isGone) return;
    this.isGone = true;
    const hadFocus = this.root.contains(document.activeElement);
    const sentence = document.createElement("p");
    sentence.className = "post-gone quiet";
    sentence.tabIndex = -1;
    sentence.append(...content);
    this.root.removeAttribute("aria-label");
    this.root.replaceChildren(sentence);
    if (hadFocus) sentence.focus();
  }

  /** Says what came of something. */
  say(status: string, problem = ""): void {
    if (this.isGone) return;
    this.view.text("status", status);
    this.view.text("problem", problem);
  }

  /** Says why something did not work. */
  fail(error: unknown): void {
    if (error instanceof LoginNeeded) goToLogin();
    this.say("", explain(error));
  }

  private showSharer(sharer: Author | null): void {
    const link = this.view.part("sharer", HTMLAnchorElement);
    if (sharer === null) return;
    this.root.dataset["sharer"] = sharer.name;
    link.href = profilePath(sharer.name);
    link.textContent = nameOf(sharer);
    this.view.part("shared", HTMLElement).hidden = false;
  }

  private showAuthor(author: Author | null): void {
    const { view } = this;
    const link = view.part("author", HTMLAnchorElement);
    this.root.setAttribute("aria-label", author === null ? "Post" : `Post by ${nameOf(author)}`);
    if (author === null) {
      link.removeAttribute("href");
      link.textContent = "Somebody who is gone";
      return;
    }
    showAvatar(view.part("avatar", HTMLElement), author);
    link.href = profilePath(author.name);
    link.textContent = nameOf(author);
    view.text("handle", `@${author.name}`);
  }

  private showText(): void {
    const { view, post } = this;
    const short = this.isWhole ? null : shortened(post.parts, IN_LIST);
    const text = view.part("text", HTMLElement);
    text.hidden = post.text === "" && post.parts.length === 0;
    showText(text, short ?? post.parts);
    view.part("whole", HTMLElement).hidden = short === null;
  }
}
