import { showAvatar } from "../avatar";
import { api } from "../browser";
import type { Standing } from "../chat/panel";
import type { View } from "../dom";
import { goToLogin, loginPath, nameOf, profilePath } from "../places";
import { followButton, followed } from "../profile/relation";
import { explain, LoginNeeded, Problem } from "../problem";
import type { Stream, User, Viewer } from "../resources";
import { LikeButton } from "./like";

/** What was not told is asked for again. */
const AGAIN_MS = 15_000;
/** Going live makes a post a moment later; those who wait for the stream do not ask all at once. */
const POST_MS = 4_000;

export interface HeadEvents {
  /** The server has said whether the stream is there for whoever asks. */
  found(isThere: boolean): void;
  /** What whoever watches has to do with the owner. */
  stood(standing: Standing): void;
}

/** What stands below the player: what the stream is, whose it is, and what one can do about it. */
export class StreamHead {
  private stream: Stream | null = null;
  private owner: User | null = null;
  private readonly like: LikeButton;
  private broadcast: string | null = null;
  /** Whether it is known whether it was live when the page was opened. */
  private isHeard = false;
  private isAsking = false;
  /** Something has changed since it was asked: the answer may be from before. */
  private isStale = false;
  private isBusy = false;
  private again: number | undefined;

  constructor(
    private readonly view: View,
    private readonly name: string,
    private readonly events: HeadEvents,
  ) {
    this.like = new LikeButton(view, (text) => this.say("", text));
    view.text("name", name);
    view.part("follow", HTMLButtonElement).addEventListener("click", () => void this.toggleFollow());
    const more = view.part("more", HTMLButtonElement);
    more.addEventListener("click", () => {
      const isOpen = view.part("about", HTMLElement).classList.toggle("whole");
      more.textContent = isOpen ? "Show less" : "Show all of it";
      more.setAttribute("aria-expanded", String(isOpen));
    });
    void this.load();
  }

  /** Asks what the stream is. */
  async load(): Promise<void> {
    if (this.isAsking) {
      this.isStale = true;
      return;
    }
    this.isAsking = true;
    window.clearTimeout(this.again);
    try {
      this.stream = await api.stream(this.name);
      this.showStream(this.stream);
      this.events.found(true);
      const owner = await api.user(this.stream.owner);
      if (this.isStale) return;
      this.owner = owner;
      this.showOwner(owner);
    } catch (error) {
      if (error instanceof Problem && error.status === 404) this.notFound();
      else console.info("stream:", error);
      this.again = window.setTimeout(() => void this.load(), AGAIN_MS * (0.7 + 0.6 * Math.random()));
    } finally {
      this.isAsking = false;
      if (this.isStale) {
        this.isStale = false;
        void this.load();
      }
    }
  }

  /** A broadcast has begun, or none is on (`null`). */
  live(startedAt: string | null): void {
    const isFirst = !this.isHeard;
    this.isHeard = true;
    if (startedAt === this.broadcast) return;
    this.broadcast = startedAt;
    if (startedAt === null) return;
    this.like.hide();
    const wait = isFirst ? 0 : POST_MS * (1 + Math.random());
    window.setTimeout(() => void this.findPost(startedAt), wait);
    // Its title may be another one.
    if (!isFirst) window.setTimeout(() => void this.load(), wait);
  }

  viewers(count: number): void {
    const place = this.view.part("viewers", HTMLElement);
    place.hidden = count <= 0;
    place.textContent = `${count.toLocaleString("en")} watching`;
  }

  /** Follows the owner, for whoever is asked to elsewhere on the page. */
  async follow(): Promise<void> {
    const { owner } = this;
    if (owner === null) return;
    const { follows } = await api.follow(owner.name);
    this.relate({ follows });
    this.say(followed(owner.name, follows), "");
  }

  private notFound(): void {
    const { view, owner } = this;
    this.events.found(false);
    const note = view.part("barred", HTMLElement);
    note.hidden = false;
    if (api.session.known === null) {
      const link = document.createElement("a");
      link.className = "plain";
      link.href = loginPath(location);
      link.textContent = "Log in";
      note.replaceChildren("There is no such stream, or it is not for everybody. ", link, " to see more.");
    } else if (owner === null) {
      note.replaceChildren(
        "There is no such stream, or it is not for you: some are only for those who follow their owner.",
      );
    } else {
      note.replaceChildren("This stream is not for you any more. It may be only for those who follow its owner.");
    }
  }

  private showStream({ title, description }: Stream): void {
    const { view } = this;
    view.part("barred", HTMLElement).hidden = true;
    view.text("name", title);
    document.title = `${title} · Nova`;
    const about = view.part("about", HTMLElement);
    about.textContent = description;
    about.hidden = description === "";
    // Only the style knows how many lines there are.
    const more = view.part("more", HTMLButtonElement);
    requestAnimationFrame(() => {
      if (!about.classList.contains("whole")) more.hidden = about.scrollHeight <= about.clientHeight + 1;
    });
  }

  private showOwner(owner: User): void {
    const { view } = this;
    view.part("owner", HTMLElement).hidden = false;
    showAvatar(view.part("owner-avatar", HTMLElement), owner);
    const link = view.part("owner-link", HTMLAnchorElement);
    link.href = profilePath(owner.name);
    link.textContent = nameOf(owner);
    const count = owner.followers;
    view.text("followers", count === 1 ? "1 follower" : `${count.toLocaleString("en")} followers`);
    this.showFollow(owner);
    this.events.stood({ owner: owner.name, follows: owner.viewer?.follows ?? null });
    if (this.broadcast !== null && !this.like.isShown) void this.findPost(this.broadcast);
  }

  private showFollow({ viewer, name, is_private }: User): void {
    const { view } = this;
    const button = view.part("follow", HTMLButtonElement);
    const visit = view.part("log-in-to-follow", HTMLAnchorElement);
    const isOwn = name === api.session.known?.name;
    visit.hidden = isOwn || api.session.known !== null;
    visit.href = loginPath(location);
    button.hidden = viewer === null || viewer.blocks;
    if (viewer === null) return;
    const { label, primary } = followButton(viewer, is_private);
    button.textContent = label;
    button.classList.toggle("primary", primary);
  }

  private async toggleFollow(): Promise<void> {
    const { owner } = this;
    if (owner === null || owner.viewer === null || this.isBusy) return;
    this.isBusy = true;
    this.say("", "");
    try {
      const { act } = followButton(owner.viewer, owner.is_private);
      const { follows } = await (act === "follow" ? api.follow(owner.name) : api.unfollow(owner.name));
      this.relate({ follows });
      this.say(followed(owner.name, follows), "");
    } catch (error) {
      if (error instanceof LoginNeeded) goToLogin();
      this.say("", explain(error));
    } finally {
      this.isBusy = false;
    }
  }

  private relate(change: Partial<Viewer>): void {
    const { owner } = this;
    if (owner === null || owner.viewer === null) return;
    const viewer = { ...owner.viewer, ...change };
    const one = (follows: boolean) => (follows ? 1 : 0);
    const more = one(viewer.follows === "yes") - one(owner.viewer.follows === "yes");
    this.owner = { ...owner, viewer, followers: owner.followers + more };
    this.showOwner(this.owner);
    // Whom it is for depends on it.
    void this.load();
  }

  /** The post that going live has made, if it has. */
  private async findPost(startedAt: string): Promise<void> {
    const { stream } = this;
    if (stream === null || startedAt !== this.broadcast) return;
    try {
      const { items } = await api.userPosts(stream.owner, false, null);
      const isOfIt = Date.parse(startedAt);
      const post = items.find((one) => one.stream?.name === this.name && Date.parse(one.created_at) >= isOfIt);
      if (post !== undefined && startedAt === this.broadcast) this.like.show(post);
    } catch (error) {
      // It is no reason to bother anybody.
      console.info("stream:", error);
    }
  }

  private say(status: string, problem: string): void {
    this.view.text("status", status);
    this.view.text("problem", problem);
  }
}
