import { api } from "../browser";
import { Disclosure } from "../disclosure";
import { newId, plainLink, View } from "../dom";
import { openReport } from "../profile/report";
import type { CardOptions, PostCard } from "./card";
import { Composer } from "./composer";
import { EditForm } from "./edit";
import { openHistory } from "./history";

/** What is asked before a post is deleted, and said afterwards. */
interface Deletion {
  readonly question: string;
  readonly done: string;
}

const YOURS: Deletion = {
  question: "Delete this post? Nobody can bring it back.",
  done: "Your post is deleted.",
};
const SOMEBODYS: Deletion = {
  question: "Delete somebody else's post, as a moderator? Nobody can bring it back, and it is noted who did it.",
  done: "The post is deleted.",
};

/** What else can be done to a post, in a menu; and the place for what that needs. */
export class PostMenu {
  private readonly button: HTMLButtonElement;
  private readonly items: HTMLUListElement;
  private readonly place: HTMLElement;
  private readonly menu: Disclosure;
  private busy = false;

  constructor(
    view: View,
    private readonly card: PostCard,
    private readonly options: CardOptions,
  ) {
    this.button = view.part("more", HTMLButtonElement);
    this.items = view.part("more-items", HTMLUListElement);
    this.place = view.part("place", HTMLElement);
    const panel = view.part("more-menu", HTMLElement);
    panel.id = newId("post-menu");
    this.button.setAttribute("aria-controls", panel.id);
    this.menu = new Disclosure(this.button, panel);
    view.part("edited", HTMLButtonElement).addEventListener("click", () => openHistory(card.post));
  }

  /** Brings the menu in line with the post. */
  show(): void {
    const { post } = this.card;
    const me = api.session.known?.name;
    const author = post.author?.name;
    const isMine = author !== undefined && author === me;
    const isModerator = (api.session.known?.role ?? "user") !== "user";
    this.items.replaceChildren();
    if (me !== undefined && post.visibility === "public") this.add("Quote", () => this.quote());
    if (isMine) this.add("Edit", () => this.edit());
    if (post.revision > 0) this.add("See older texts", () => openHistory(post));
    if (isMine) this.add("Delete…", () => this.askToDelete(YOURS));
    if (me !== undefined && author !== undefined && !isMine) {
      this.add(`Mute ${author}`, () => void this.run(() => this.mute(author)));
      this.add(`Block ${author}`, () => void this.run(() => this.block(author)));
      this.add("Report…", () => {
        const sent = () => this.card.say("The moderators will look at your report.");
        openReport({ user: author, post: post.id }, sent);
      });
      if (isModerator) this.add("Delete as a moderator…", () => this.askToDelete(SOMEBODYS));
    }
    this.button.hidden = this.items.childElementCount === 0;
  }

  private add(label: string, act: () => void): void {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", () => {
      this.menu.close();
      this.button.focus();
      act();
    });
    const item = document.createElement("li");
    item.append(button);
    this.items.append(item);
  }

  private quote(): void {
    const composer = new Composer({
      label: "What you say about it",
      button: "Quote",
      quote: this.card.post,
      said: "",
      posted: (post) => {
        this.empty();
        this.card.say("Your quote is posted.");
        this.options.posted?.(post);
      },
      cancelled: () => this.empty(),
    });
    this.put(composer.root);
    composer.focus();
  }

  private edit(): void {
    const form = new EditForm(this.card.post, {
      saved: (post) => {
        this.empty();
        this.card.show(post);
        this.card.say("Saved.");
      },
      cancelled: () => this.empty(),
    });
    this.put(form.root);
    form.focus();
  }

  private askToDelete({ question, done }: Deletion): void {
    const view = new View("delete-template");
    const title = view.part("question", HTMLElement);
    title.textContent = question;
    title.id = newId("question");
    view.root.setAttribute("aria-labelledby", title.id);
    const keep = view.part("keep", HTMLButtonElement);
    keep.addEventListener("click", () => this.empty());
    view.root.addEventListener("keydown", ({ key }) => {
      if (key === "Escape") this.empty();
    });
    view.part("delete", HTMLButtonElement).addEventListener("click", () => {
      void this.run(async () => {
        await api.deletePost(this.card.post.id);
        this.card.leave(done);
      });
    });
    this.put(view.root);
    keep.focus();
  }

  private async mute(name: string): Promise<void> {
    await api.mute(name);
    this.hide(name, `You see nothing of ${name} from now on, until you `);
  }

  private async block(name: string): Promise<void> {
    await api.block(name);
    this.hide(name, `You and ${name} see nothing of each other, until you `);
  }

  private hide(name: string, sentence: string): void {
    this.card.leave(sentence, plainLink("/settings#privacy", "change that"), ".");
    this.options.hid?.(name);
  }

  private put(content: HTMLElement): void {
    this.card.say("");
    this.place.replaceChildren(content);
  }

  private empty(): void {
    this.place.replaceChildren();
    this.button.focus();
  }

  private async run(action: () => Promise<void>): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.card.say("");
    try {
      await action();
    } catch (error) {
      this.card.fail(error);
    } finally {
      this.busy = false;
    }
  }
}
