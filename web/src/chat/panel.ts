import { api } from "../browser";
import { View } from "../dom";
import { goToLogin, loginPath, nameOf } from "../places";
import { explain, LoginNeeded } from "../problem";
import type { ChatMessage, ChatRoom, Follows } from "../resources";
import { ChatComposer } from "./composer";
import { ChatConnection, type ChatHearer, type ChatState } from "./connection";
import { ChatLog } from "./log";
import { messageRow } from "./row";
import { type Hindrance, type Measure, presenceLabel, runLabel } from "./rules";
import { browserSource } from "./source";

export interface ChatPanelOptions {
  /** The stream's name. */
  readonly stream: string;
  /** What is seen now, in milliseconds since 1970; `null`: nothing, or what is live. */
  mediaTime?(): number | null;
  /** How many are there. */
  presence?(viewers: number): void;
  /** Follows the stream's owner. */
  follow?(): Promise<void>;
  /** Whoever reads has kept somebody from talking, or has let them talk again. */
  sanctioned?(): void;
  /** There is no such room any more, for whoever asks. */
  barred?(): void;
}

/** What whoever reads has to do with the stream's owner. */
export interface Standing {
  /** The name of the owner. */
  readonly owner: string;
  /** `null`: it is their own, or nobody is logged in. */
  readonly follows: Follows | null;
}

const STATES: Readonly<Record<ChatState, string>> = {
  connecting: "Connecting…",
  joined: "",
  lost: "Connection lost, trying again…",
  barred: "This chat is not for you.",
  outdated: "This page is out of date. Reload it to go on.",
};

/** The chat of a stream: what is said, and a field to say something. */
export class ChatPanel implements ChatHearer {
  private readonly view = new View("chat-template");
  private readonly presenceText = this.view.part("presence", HTMLElement);
  private readonly stateText = this.view.part("state", HTMLElement);
  private readonly run = this.view.part("run", HTMLElement);
  private readonly hint = this.view.part("hint", HTMLElement);
  private readonly told = this.view.part("told", HTMLElement);
  private readonly problem = this.view.part("problem", HTMLElement);
  private readonly visitor = this.view.part("visitor", HTMLElement);
  private readonly logIn = this.view.part("log-in", HTMLAnchorElement);
  private readonly form = this.view.part("form", HTMLFormElement);
  private readonly connection: ChatConnection;
  private readonly log: ChatLog;
  private readonly composer: ChatComposer;
  private room: ChatRoom | null = null;
  private standing: Standing | null = null;
  private hindrance: Hindrance | null = null;
  private isMember = api.session.known !== null;

  constructor(private readonly options: ChatPanelOptions) {
    const { stream } = options;
    this.log = new ChatLog(this.root, {
      load: (after) => api.chatMessages(stream, after),
      row: (message) => this.row(message),
    });
    this.composer = new ChatComposer(this.root, {
      send: async (written) => {
        this.say("");
        await this.connection.say({ ...written, media_time: this.options.mediaTime?.() ?? null });
        this.wasSaid();
      },
      hindered: (hindrance) => {
        this.hindrance = hindrance;
        this.showHint();
      },
    });
    this.logIn.addEventListener("click", () => (this.logIn.href = loginPath(location)));
    this.connection = new ChatConnection(stream, browserSource("/ws"), this);
    this.connection.start();
    // A page that is kept for the way back holds no socket open.
    window.addEventListener("pagehide", () => this.connection.stop());
    window.addEventListener("pageshow", ({ persisted }) => {
      if (persisted) this.connection.start();
    });
    this.showWhoReads();
  }

  get root(): HTMLElement {
    return this.view.root;
  }

  /** How it stands between whoever reads and the stream's owner. */
  stand(standing: Standing): void {
    const before = this.standing;
    this.standing = standing;
    if (standing.follows === "yes" && this.hindrance?.kind === "followers") this.composer.hinder(null);
    if (before?.owner !== standing.owner) this.log.renew();
    this.showHint();
  }

  /** The stream may be for other people than before: asks again to be let in. */
  askAgain(): void {
    this.connection.renew();
  }

  // What the connection hears

  state(state: ChatState): void {
    this.stateText.textContent = STATES[state];
    this.root.dataset["state"] = state;
    this.composer.open = state === "joined";
    if (state === "barred") this.options.barred?.();
  }

  welcomed(user: string | null): void {
    const isMember = user !== null;
    if (isMember === this.isMember) return;
    this.isMember = isMember;
    this.showWhoReads();
    this.log.renew();
  }

  joined(room: ChatRoom, keeps: boolean): void {
    const wasModerator = this.room?.is_moderator;
    this.room = room;
    this.presence(room.viewers);
    this.showRun();
    if (!keeps) this.log.begin();
    if (wasModerator !== room.is_moderator) this.log.renew();
  }

  said(message: ChatMessage): void {
    this.log.said(message);
  }

  deleted(id: string): void {
    this.log.deleted(id);
    this.composer.forget(id);
  }

  changed(run: Pick<ChatRoom, "slow_mode_seconds" | "followers_only">): void {
    if (this.room === null) return;
    this.room = { ...this.room, ...run };
    const { kind } = this.hindrance ?? {};
    const isOver =
      (kind === "slow" && run.slow_mode_seconds === 0) || (kind === "followers" && !run.followers_only);
    if (isOver) this.composer.hinder(null);
    this.showRun();
  }

  presence(viewers: number): void {
    this.presenceText.textContent = presenceLabel(viewers);
    this.options.presence?.(viewers);
  }

  // What stands around it

  private showWhoReads(): void {
    this.form.hidden = !this.isMember;
    this.visitor.hidden = this.isMember;
    this.logIn.href = loginPath(location);
    this.showHint();
  }

  private showRun(): void {
    if (this.room === null) return;
    const { slow_mode_seconds, followers_only } = this.room;
    this.run.textContent = runLabel(slow_mode_seconds, followers_only);
    this.run.hidden = this.run.textContent === "";
    this.showHint();
  }

  /** Why somebody cannot say anything now, and what they can do about it. */
  private showHint(): void {
    const { hint, standing, hindrance } = this;
    const isForFollowers = this.room?.followers_only === true && !this.room.is_moderator;
    const needsFollow =
      hindrance?.kind === "followers" ||
      (isForFollowers && standing !== null && standing.follows !== null && standing.follows !== "yes");
    hint.hidden = !this.isMember || (hindrance === null && !needsFollow);
    if (hint.hidden) return;
    if (!needsFollow) {
      hint.replaceChildren(hindrance?.text ?? "");
      return;
    }
    if (standing?.follows === "requested") {
      hint.replaceChildren(`Only followers talk here. ${standing.owner} is asked whether you may follow.`);
      return;
    }
    hint.replaceChildren("Only followers talk in this chat. ", ...this.followButton());
  }

  private followButton(): Node[] {
    const { standing, options } = this;
    const { follow } = options;
    if (standing === null || follow === undefined) return [];
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain";
    button.textContent = `Follow ${standing.owner}`;
    button.addEventListener("click", () => void this.try(() => follow()));
    return [button];
  }

  private row(message: ChatMessage): HTMLElement {
    const me = this.isMember ? (api.session.known?.name ?? null) : null;
    return messageRow(message, {
      me,
      owner: this.standing?.owner ?? null,
      isModerator: this.room?.is_moderator === true,
      maySay: me !== null,
      find: (id) => this.log.backlog.find(id),
      isDeleted: (id) => this.log.backlog.isDeleted(id),
      reply: (answered) => this.composer.answer(answered),
      remove: (removed) => void this.try(() => this.remove(removed)),
      keepFromTalking: ({ author }, measure) => {
        void this.try(() => this.keepFromTalking(author.name, nameOf(author), measure));
      },
    });
  }

  private async remove({ id }: ChatMessage): Promise<void> {
    await api.deleteChatMessage(this.options.stream, id);
    // The event may come later, or to other sockets only.
    this.deleted(id);
    this.say("The message is deleted.");
  }

  private async keepFromTalking(name: string, shown: string, measure: Measure): Promise<void> {
    const { stream } = this.options;
    await api.sanctionInChat(stream, name, measure.seconds);
    this.options.sanctioned?.();
    const undo = document.createElement("button");
    undo.type = "button";
    undo.className = "plain";
    undo.textContent = "Undo";
    undo.addEventListener("click", () => {
      void this.try(async () => {
        await api.liftInChat(stream, name);
        this.options.sanctioned?.();
        this.say(`${shown} may talk again.`);
      });
    });
    this.say(`${shown} ${measure.told}. `, undo);
  }

  /** It is said: the next one waits where the chat is slow. */
  private wasSaid(): void {
    const { room } = this;
    this.log.toNewest();
    if (room === null || room.slow_mode_seconds === 0 || room.is_moderator) return;
    const until = Date.now() + room.slow_mode_seconds * 1_000;
    this.composer.hinder({ kind: "slow", text: "This chat is slow.", until });
  }

  private async try(act: () => Promise<void>): Promise<void> {
    this.say("");
    try {
      await act();
    } catch (error) {
      if (error instanceof LoginNeeded) goToLogin();
      this.problem.textContent = explain(error);
    }
  }

  private say(...content: (string | Node)[]): void {
    this.told.replaceChildren(...content);
    this.problem.textContent = "";
  }
}
