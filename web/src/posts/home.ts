import { api } from "../browser";
import { plainLink } from "../dom";
import { put } from "../page";
import { Composer } from "./composer";
import { PostList } from "./list";

/** How often somebody who stays on the page is told of new posts. */
const LOOK_EVERY_MS = 60_000;

/** What those write whom somebody follows, and the place to write something too. */
export function showHome(): void {
  if (api.session.known === null) {
    location.replace("/discover");
    return;
  }
  new Home();
}

class Home {
  private readonly view = put("home-template", "Home");
  private readonly fresh = this.view.part("fresh", HTMLButtonElement);
  /** The posts that were shown here. */
  private readonly seen = new Set<string>();
  private readonly list: PostList;

  constructor() {
    const empty = document.createElement("span");
    const discover = plainLink("/discover", "Discover");
    empty.append("Nobody you follow has posted yet. ", discover, " what others write.");
    this.list = new PostList({
      label: "Posts of those you follow",
      empty,
      load: async (after) => {
        const page = await api.home(after);
        for (const { id } of page.items) this.seen.add(id);
        if (after === null) this.fresh.hidden = true;
        return page;
      },
    });
    const composer = new Composer({
      label: "What do you want to say?",
      button: "Post",
      said: "Your post is out.",
      posted: (post) => {
        this.seen.add(post.id);
        this.list.prepend(post);
      },
    });
    this.view.part("composer", HTMLElement).append(composer.root);
    this.view.part("list", HTMLElement).append(this.list.root);
    void this.list.reload();
    this.fresh.addEventListener("click", () => void this.showFresh());
    window.setInterval(() => void this.look(), LOOK_EVERY_MS);
  }

  /** Looks whether there is something new. */
  private async look(): Promise<void> {
    if (document.hidden || !this.fresh.hidden) return;
    try {
      const newest = await api.newestAtHome();
      this.fresh.hidden = newest === undefined || this.seen.has(newest.id);
    } catch (error) {
      // Nobody asked for it.
      console.info("new posts:", error);
    }
  }

  private async showFresh(): Promise<void> {
    await this.list.reload();
    if (!this.fresh.hidden) return;
    this.list.root.focus({ preventScroll: true });
    window.scrollTo({ top: 0 });
  }
}
