import { PagedList } from "../paged";
import type { Page, Post } from "../resources";
import { PostCard } from "./card";

export interface PostListOptions {
  readonly label: string;
  readonly empty: string | Node;
  /** The post that the page is about. */
  readonly about?: string;
  load(after: string | null): Promise<Page<Post>>;
}

/** Posts, read page by page. */
export class PostList {
  private readonly paged: PagedList<Post>;
  private cards: PostCard[] = [];

  constructor(private readonly options: PostListOptions) {
    const { label, empty, load } = options;
    this.paged = new PagedList<Post>({
      label,
      empty,
      load: async (after) => {
        const page = await load(after);
        if (after === null) this.cards = [];
        return page;
      },
      row: (post) => this.row(post),
    });
    this.root.classList.add("posts");
  }

  get root(): HTMLElement {
    return this.paged.root;
  }

  /** Reads the list from its beginning. */
  reload(): Promise<void> {
    return this.paged.reload();
  }

  /** Puts a post before all others. */
  prepend(post: Post): void {
    this.paged.prepend(post);
  }

  private row(post: Post): HTMLElement {
    const { about } = this.options;
    const card = new PostCard(post, {
      hid: (name) => this.hide(name),
      ...(about !== undefined && { about }),
    });
    this.cards.push(card);
    const item = document.createElement("li");
    item.className = "post-item";
    item.append(card.root);
    return item;
  }

  /** Takes everything of somebody away, but what says that it is. */
  private hide(name: string): void {
    for (const { root } of this.cards.filter((card) => card.isBy(name))) {
      if (root.querySelector(".post-gone") === null) root.closest("li")?.remove();
    }
  }
}

/** A list that is being read. */
export function postList(options: PostListOptions): PostList {
  const list = new PostList(options);
  void list.reload();
  return list;
}
