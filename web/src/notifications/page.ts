import { showAvatar } from "../avatar";
import { api } from "../browser";
import { View } from "../dom";
import { put } from "../page";
import { PagedList } from "../paged";
import { goToLogin, nameOf, profilePath } from "../places";
import { IN_QUOTE, shortened } from "../posts/rules";
import { LoginNeeded } from "../problem";
import type { Notification, Page } from "../resources";
import { timeElement } from "../time";
import { onNews } from "./bell";
import { differences } from "./differences";
import { sentence, target } from "./sentence";

/** What somebody is told of: what is on the page is read. */
export function showNotifications(): void {
  if (api.session.known === null) {
    goToLogin();
    return;
  }
  new Notifications();
}

class Notifications {
  private readonly view = put("notifications-template", "Notifications");
  /** What is on the page, by id. */
  private readonly shown = new Map<string, { readonly revision: number; readonly row: HTMLElement }>();
  /** What was seen, and is to be marked. */
  private unmarked: Notification[] = [];
  private isMarking = false;
  private readonly list: PagedList<Notification>;

  constructor() {
    this.list = new PagedList<Notification>({
      label: "Notifications",
      empty: "Nothing has happened yet.",
      load: (after) => this.load(after),
      row: (notification) => this.row(notification),
    });
    this.view.part("list", HTMLElement).append(this.list.root);
    void this.list.reload().then(() => {
      // From here on there is something that changes.
      onNews(() => void this.look());
    });
    document.addEventListener("visibilitychange", () => void this.mark());
  }

  private async load(after: string | null): Promise<Page<Notification>> {
    const page = await api.notifications(after);
    if (after === null) this.shown.clear();
    this.seen(page.items);
    return page;
  }

  private row(notification: Notification): HTMLElement {
    const row = notificationRow(notification);
    this.shown.set(notification.id, { revision: notification.revision, row });
    return row;
  }

  /** Shows what is new, and what has changed of what is shown, and nothing that is there no more. */
  private async look(): Promise<void> {
    try {
      const { gone, changed, added } = differences(this.shown, await api.notifications(null));
      for (const id of gone) {
        const row = this.shown.get(id)?.row;
        this.shown.delete(id);
        if (row !== undefined) this.list.drop(row);
      }
      for (const notification of changed) {
        const before = this.shown.get(notification.id)?.row;
        before?.replaceWith(this.row(notification));
      }
      // The newest is first on the page, and so last to come there.
      for (const notification of [...added].reverse()) this.list.prepend(notification);
      this.seen([...changed, ...added]);
    } catch (error) {
      if (error instanceof LoginNeeded) goToLogin();
      // Nobody asked for it.
      console.info("notifications:", error);
    }
  }

  private seen(notifications: readonly Notification[]): void {
    this.unmarked.push(...notifications.filter(({ is_read }) => !is_read));
    void this.mark();
  }

  /** Marks what was seen, when somebody looks at the page. */
  private async mark(): Promise<void> {
    if (document.hidden || this.isMarking || this.unmarked.length === 0) return;
    this.isMarking = true;
    const seen = this.unmarked.splice(0, 100);
    try {
      await api.readNotifications(seen.map(({ id, revision }) => ({ id, revision })));
    } catch (error) {
      // They stay unread, and are marked when the page is opened again.
      console.info("notifications:", error);
    } finally {
      this.isMarking = false;
    }
    void this.mark();
  }
}

function notificationRow(notification: Notification): HTMLElement {
  const view = new View("notification-template");
  view.root.classList.toggle("unread", !notification.is_read);
  view.part("new", HTMLElement).hidden = notification.is_read;
  const [first] = notification.people;
  const avatar = view.part("avatar", HTMLElement);
  if (first === undefined) avatar.textContent = "!";
  else showAvatar(avatar, first);
  const pieces = sentence(notification).map((piece) => {
    if (typeof piece === "string") return piece;
    const link = document.createElement("a");
    link.href = profilePath(piece.name);
    // A name does not turn what stands around it.
    const name = document.createElement("bdi");
    name.textContent = nameOf(piece);
    link.append(name);
    return link;
  });
  view.part("sentence", HTMLElement).replaceChildren(...pieces);
  const link = view.part("link", HTMLAnchorElement);
  link.replaceChildren(timeElement(notification.changed_at, true));
  const leads = target(notification);
  if (leads !== null) link.href = leads;
  const excerpt = view.part("excerpt", HTMLElement);
  excerpt.textContent = excerptOf(notification);
  excerpt.hidden = excerpt.textContent === "";
  view.part("live", HTMLElement).hidden = notification.stream?.is_live !== true;
  return view.root;
}

/** The beginning of what was written, or what is to be seen. */
function excerptOf({ post, answer, stream }: Notification): string {
  const written = answer ?? post;
  if (written === null) return stream?.title ?? "";
  const parts = shortened(written.parts, IN_QUOTE) ?? written.parts;
  return parts.map(({ text }) => text).join("");
}
