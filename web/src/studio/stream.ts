import { ask } from "../ask";
import { View } from "../dom";
import { put, showTrouble } from "../page";
import { goToLogin, watchPath } from "../places";
import { explain, LoginNeeded } from "../problem";
import type { Me } from "../resources";
import { Sections, type Start } from "../sections";
import { analyticsSection } from "./analytics";
import { studio } from "./api";
import { broadcastSection } from "./broadcast";
import { chatSection } from "./chat";
import { stateText } from "./health";
import { keysSection } from "./keys";
import { recordingsSection } from "./recordings";
import type { StreamStatus, StudioStream } from "./resources";
import { settingsSection } from "./settings";
import { StatusPoller } from "./status";

export const MISSING = "There is no such stream of yours.";

/** What a section of a stream's page is started with. */
export interface StreamContext {
  readonly me: Me;
  /** As it was when the page was opened. */
  readonly stream: StudioStream;
  readonly status: StatusPoller;
  /** Shows what is another about the stream. */
  changed(stream: StudioStream): void;
}

const SECTIONS: Readonly<Record<string, Start<StreamContext>>> = {
  broadcast: broadcastSection,
  keys: keysSection,
  chat: chatSection,
  recordings: recordingsSection,
  analytics: analyticsSection,
  settings: settingsSection,
};

/** Looks after the stream called `name`. */
export async function showStream(me: Me, name: string): Promise<void> {
  const stream = await studio.stream(name);
  if (stream.settings === null) {
    // Somebody else's.
    location.replace(watchPath(name));
    return;
  }
  new StreamPage(me, stream);
}

class StreamPage {
  private readonly view: View;
  private readonly status: StatusPoller;

  constructor(
    me: Me,
    private stream: StudioStream,
  ) {
    this.view = put("stream-template", `${stream.title} · Studio`);
    this.status = new StatusPoller(
      () => studio.status(stream.name),
      // Somewhere else it was deleted.
      (error) => showTrouble(error, MISSING, () => {}),
    );
    this.view.part("watch", HTMLAnchorElement).href = watchPath(stream.name);
    this.view.part("stop", HTMLButtonElement).addEventListener("click", () => this.askToStop());
    this.view.part("start", HTMLButtonElement).addEventListener("click", () => void this.start());
    this.show();
    this.status.onStatus((status) => this.showState(status));
    new Sections(SECTIONS, {
      me,
      stream,
      status: this.status,
      changed: (changed) => {
        this.stream = changed;
        this.show();
      },
    });
    this.status.start();
  }

  private show(): void {
    const { view, stream } = this;
    const isStopped = stream.settings?.is_stopped === true;
    view.text("title", stream.title);
    view.text("name", stream.name);
    view.part("stopped", HTMLElement).hidden = !isStopped;
    view.part("stop", HTMLButtonElement).hidden = isStopped;
    view.part("start", HTMLButtonElement).hidden = !isStopped;
    document.title = `${stream.title} · Studio · Nova`;
  }

  private showState(status: StreamStatus | null): void {
    const state = this.view.part("state", HTMLElement);
    const said = status?.state ?? "unknown";
    if (state.dataset["state"] !== said) state.dataset["state"] = said;
    const text = status === null ? "The server does not answer. Trying again…" : stateText(status, new Date());
    if (state.textContent !== text) state.textContent = text;
  }

  private askToStop(): void {
    ask({
      title: `Stop ${this.stream.name}?`,
      text: "What is live ends now, and nobody can publish to it until you start it again.",
      button: "Stop the stream",
      isDanger: true,
      run: async () => {
        this.stream = await studio.stopStream(this.stream.name);
        return () => {
          this.show();
          this.status.askNow();
          this.view.part("start", HTMLButtonElement).focus();
          this.say("The stream is stopped.");
        };
      },
    });
  }

  private async start(): Promise<void> {
    try {
      this.stream = await studio.startStream(this.stream.name);
      this.show();
      this.view.part("stop", HTMLButtonElement).focus();
      this.say("It can be published to again.");
    } catch (error) {
      if (error instanceof LoginNeeded) goToLogin();
      this.view.text("said", "");
      this.view.text("problem", explain(error));
    }
  }

  private say(text: string): void {
    this.view.text("problem", "");
    this.view.text("said", text);
  }
}

