import { api } from "../browser";
import { Disclosure } from "../disclosure";
import { View } from "../dom";
import { goToLogin } from "../places";
import { explain, LoginNeeded } from "../problem";
import type { User, Viewer } from "../resources";
import { followButton, followed } from "./relation";
import { openReport } from "./report";

/** Where what came of an action is told. */
export interface Told {
  say(status: string, problem: string): void;
  /** The viewer has another relation to the user now. */
  changed(viewer: Viewer): void;
}

/** What can be done to somebody by one who is logged in. */
export class Actions {
  private readonly view = new View("actions-template");
  private readonly follow = this.view.part("follow", HTMLButtonElement);
  private readonly mute = this.view.part("mute", HTMLButtonElement);
  private readonly block = this.view.part("block", HTMLButtonElement);
  private readonly menu: Disclosure;
  private busy = false;

  constructor(
    private readonly user: User,
    private viewer: Viewer,
    private readonly told: Told,
  ) {
    const { name } = user;
    const more = this.view.part("more", HTMLButtonElement);
    this.menu = new Disclosure(more, this.view.part("more-menu", HTMLElement));
    this.follow.addEventListener("click", () => void this.run(() => this.toggleFollow()));
    const choose = (button: HTMLButtonElement, action: () => void) => {
      button.addEventListener("click", () => {
        this.menu.close();
        more.focus();
        action();
      });
    };
    choose(this.mute, () => void this.run(() => this.toggleMute()));
    choose(this.block, () => void this.run(() => this.toggleBlock()));
    choose(this.view.part("report", HTMLButtonElement), () => {
      openReport({ user: name }, () => told.say(`The moderators will look at your report of ${name}.`, ""));
    });
    this.show();
  }

  get root(): HTMLElement {
    return this.view.root;
  }

  private show(): void {
    const { label, primary } = followButton(this.viewer, this.user.is_private);
    this.follow.textContent = label;
    this.follow.classList.toggle("primary", primary);
    this.follow.hidden = this.viewer.blocks;
    this.mute.textContent = this.viewer.mutes ? "Unmute" : "Mute";
    this.block.textContent = this.viewer.blocks ? "Unblock" : "Block";
  }

  private async toggleFollow(): Promise<string> {
    const { name, is_private } = this.user;
    const { act } = followButton(this.viewer, is_private);
    const { follows } = await (act === "follow" ? api.follow(name) : api.unfollow(name));
    this.change({ follows });
    return followed(name, follows);
  }

  private async toggleMute(): Promise<string> {
    const { name } = this.user;
    const mutes = !this.viewer.mutes;
    await (mutes ? api.mute(name) : api.unmute(name));
    this.change({ mutes });
    return mutes ? `You see nothing of ${name} from now on.` : `You see ${name} again.`;
  }

  private async toggleBlock(): Promise<string> {
    const { name } = this.user;
    const blocks = !this.viewer.blocks;
    await (blocks ? api.block(name) : api.unblock(name));
    // It ends the follows between the two.
    this.change(blocks ? { blocks, follows: "no", followed_by: false } : { blocks });
    return blocks ? `You and ${name} see nothing of each other.` : `You do not block ${name}.`;
  }

  private change(change: Partial<Viewer>): void {
    this.viewer = { ...this.viewer, ...change };
    this.show();
    this.told.changed(this.viewer);
  }

  private async run(action: () => Promise<string>): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.told.say("", "");
    try {
      this.told.say(await action(), "");
    } catch (error) {
      if (error instanceof LoginNeeded) goToLogin();
      this.told.say("", explain(error));
    } finally {
      this.busy = false;
    }
  }
}
