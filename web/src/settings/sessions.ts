import { api } from "../browser";
import { deviceLabel } from "../device";
import { part, View } from "../dom";
import { Form } from "../form";
import { PagedList } from "../paged";
import { goToLogin } from "../places";
import type { LoginSession } from "../resources";
import { timeElement } from "../time";

export function sessionsSection(root: HTMLElement): void {
  const list = new PagedList<LoginSession>({
    label: "Sessions",
    empty: "There are none.",
    load: (after) => api.sessions(after),
    row,
  });
  part(root, "sessions", HTMLElement).append(list.root);
  void list.reload();

  new Form(part(root, "end-all-form", HTMLFormElement), {
    submit: async () => {
      await api.endAllSessions();
      api.session.forget();
      goToLogin("everywhere");
    },
  });
}

function row(session: LoginSession, list: PagedList<LoginSession>): HTMLElement {
  const view = new View("thing-template");
  const device = deviceLabel(session.user_agent);
  view.text("title", session.is_current ? `${device} (this one)` : device);
  view
    .part("detail", HTMLElement)
    .append(
      ...(session.address === null ? [] : [`${session.address} · `]),
      "last seen ",
      timeElement(session.refreshed_at, true),
    );
  const end = view.part("act", HTMLButtonElement);
  end.textContent = session.is_current ? "Log out" : "End";
  end.setAttribute("aria-label", `${session.is_current ? "Log out" : "End"}: ${device}`);
  end.addEventListener("click", () => {
    void list.act(end, async () => {
      if (session.is_current) {
        await api.session.logOut();
        location.assign("/");
        return "You are logged out.";
      }
      await api.endSession(session.id);
      list.remove(view.root);
      return `The session of ${device} is ended.`;
    });
  });
  return view.root;
}
