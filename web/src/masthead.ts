import { showAvatar } from "./avatar";
import { api, onSessionElsewhere } from "./browser";
import { Disclosure } from "./disclosure";
import { part } from "./dom";
import { loginPath, nameOf, profilePath } from "./places";
import { explain } from "./problem";

/** The account's corner of the header: a way in, or the menu of who is logged in. */
export class Masthead {
  private readonly visitor = part(document, "visitor", HTMLElement);
  private readonly member = part(document, "member", HTMLElement);
  private readonly logIn = part(document, "log-in", HTMLAnchorElement);
  private readonly home = part(document, "home-place", HTMLElement);
  private readonly problem = part(document, "log-out-problem", HTMLElement);

  constructor() {
    new Disclosure(
      part(this.member, "menu-button", HTMLButtonElement),
      part(this.member, "menu", HTMLElement),
    );
    part(this.member, "log-out", HTMLButtonElement).addEventListener("click", () => {
      void this.logOut();
    });
    this.logIn.addEventListener("click", () => (this.logIn.href = loginPath(location)));
    onSessionElsewhere(() => this.show());
    this.show();
    for (const link of document.querySelectorAll<HTMLAnchorElement>(".places a, .bell")) {
      if (link.pathname === location.pathname) link.setAttribute("aria-current", "page");
    }
  }

  /**
   * Shows who is logged in, by what the browser remembers: a page of a stream asks the server
   * nothing for it, however many watch.
   */
  show(): void {
    const { known } = api.session;
    this.visitor.hidden = known !== null;
    this.member.hidden = known === null;
    this.home.hidden = known === null;
    this.logIn.href = loginPath(location);
    if (known === null) return;
    part(this.member, "admin-place", HTMLElement).hidden = known.role === "user";
    part(this.member, "menu-name", HTMLElement).textContent = nameOf(known);
    part(this.member, "profile", HTMLAnchorElement).href = profilePath(known.name);
    showAvatar(part(this.member, "menu-avatar", HTMLElement), known);
  }

  private async logOut(): Promise<void> {
    this.problem.textContent = "";
    try {
      await api.session.logOut();
      location.assign("/");
    } catch (error) {
      this.problem.textContent = explain(error);
    }
  }
}
