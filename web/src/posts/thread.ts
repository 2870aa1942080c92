import { api } from "../browser";
import { plainLink, View } from "../dom";
import { loading, putElement, showTrouble } from "../page";
import { PagedList } from "../paged";
import { personRow } from "../person";
import { loginPath, nameOf, postPath } from "../places";
import { Problem } from "../problem";
import type { Post, User } from "../resources";
import { Tabs } from "../tabs";
import { PostCard } from "./card";
import { Composer } from "./composer";
import { PostList, postList } from "./list";
import { commented } from "./rules";

/** So many of the posts that a comment goes back to are read; a link leads to the others. */
const ANCESTORS_AT_MOST = 6;

/** A post, with what it answers above and what was answered below. */
export async function showThread(id: string | null): Promise<void> {
  loading();
  try {
    if (id === null) throw new Problem(404, "not-found", "", [], null);
    const post = await api.post(id);
    const thread = new Thread(post.share_of ?? post);
    putElement(thread.root, titleOf(post.share_of ?? post));
    await thread.showAncestors();
  } catch (error) {
    const missing = "This post is deleted, or it is not for you.";
    showTrouble(error, missing, () => void showThread(id));
  }
}

function titleOf({ author, text }: Post): string {
  const [line = ""] = text.split("\n");
  const start = [...line].slice(0, 60).join("");
  const name = author === null ? "Post" : nameOf(author);
  return start === "" ? name : `${name}: ${start}`;
}

class Thread {
  private readonly view = new View("thread-template");
  private readonly ancestors = this.view.part("ancestors", HTMLUListElement);
  private readonly card: PostCard;
  private comments: PostList | null = null;

  constructor(private readonly post: Post) {
    const { view } = this;
    this.card = new PostCard(post, { isMain: true });
    // Posts have parts of the same names: these are found before there are any.
    const place = view.part("place", HTMLElement);
    this.prepareComposer(view.part("composer", HTMLElement));
    view.part("post", HTMLElement).append(this.card.root);
    new Tabs(view.root, place, {
      comments: () => {
        this.comments = this.list("Comments", "No comments yet.", (after) => api.comments(post.id, after));
        return this.comments.root;
      },
      thread: () =>
        this.list("The whole thread", "No comments yet.", (after) => api.thread(post.id, after)).root,
      quotes: () =>
        this.list("Quotes", "Nobody has quoted it yet.", (after) => api.quotes(post.id, after)).root,
      likes: () => this.likes(),
    });
  }

  get root(): HTMLElement {
    return this.view.root;
  }

  /** Shows what the post answers, from the first post of the thread on. */
  async showAncestors(): Promise<void> {
    const place = this.ancestors;
    let above = this.post.reply_to;
    for (let count = 0; above !== null && count < ANCESTORS_AT_MOST; count += 1) {
      const post = await this.ancestor(above);
      place.prepend(item(post === null ? missing() : ancestorCard(post).root));
      place.hidden = false;
      if (post === null) {
        // What that one answered is not known; where it all began is.
        above = above === this.post.thread ? null : this.post.thread;
        break;
      }
      above = post.reply_to;
    }
    if (above !== null) place.prepend(item(plainLink(postPath(above), "Earlier in this thread")));
  }

  /** `null` for one that the viewer may not see. */
  private async ancestor(id: string): Promise<Post | null> {
    try {
      return await api.post(id);
    } catch (error) {
      console.info("thread:", error);
      return null;
    }
  }

  private prepareComposer(place: HTMLElement): void {
    const { post } = this;
    if (post.is_deleted) return;
    if (api.session.known === null) {
      const link = document.createElement("a");
      link.className = "button";
      link.href = loginPath(location);
      link.textContent = "Log in to comment";
      place.append(link);
      return;
    }
    const composer = new Composer({
      label: "Your comment",
      button: "Comment",
      replyTo: post,
      said: "Your comment is posted.",
      posted: (comment) => {
        this.card.show(commented(this.card.post));
        if (this.comments?.root.isConnected) this.comments.prepend(comment);
        else location.hash = "#comments";
      },
    });
    place.append(composer.root);
  }

  private list(
    label: string,
    empty: string,
    load: (after: string | null) => ReturnType<typeof api.comments>,
  ): PostList {
    return postList({ label, empty, load, about: this.post.id });
  }

  private likes(): HTMLElement {
    const list = new PagedList<User>({
      label: "Liked by",
      empty: "Nobody has liked it yet.",
      load: (after) => api.likes(this.post.id, after),
      row: (user, all) => personRow(user, all, []),
    });
    void list.reload();
    return list.root;
  }
}

/** What it answers stands over it. */
function ancestorCard(post: Post): PostCard {
  return new PostCard(post, post.reply_to === null ? {} : { about: post.reply_to });
}

function item(content: HTMLElement): HTMLElement {
  const made = document.createElement("li");
  made.className = "post-item";
  made.append(content);
  return made;
}

function missing(): HTMLElement {
  const text = document.createElement("p");
  text.className = "post-gone quiet";
  text.textContent = "This post is not available.";
  return text;
}
