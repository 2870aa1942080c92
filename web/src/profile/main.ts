import { api, onSessionElsewhere } from "../browser";
import { View } from "../dom";
import { Masthead } from "../masthead";
import { showUnread } from "../notifications/bell";
import { nameOf, profileName } from "../places";
import { explain, Problem } from "../problem";
import { Profile } from "./profile";

function put(root: HTMLElement): void {
  document.getElementById("page")?.replaceChildren(root);
}

function showProblem(name: string, error: unknown): void {
  const view = new View("nobody-template");
  const isNobody = error instanceof Problem && error.status === 404;
  view.text("title", isNobody ? "Nobody here" : "That did not work");
  view.text("text", isNobody ? `There is nobody called ${name}.` : explain(error));
  const again = view.part("again", HTMLButtonElement);
  again.hidden = isNobody;
  again.addEventListener("click", () => void show(name));
  put(view.root);
}

async function show(name: string): Promise<void> {
  try {
    const user = await api.user(name);
    const profile = new Profile(user, api.session.known?.name ?? null);
    document.title = `${nameOf(user)} (@${user.name}) · Nova`;
    put(profile.root);
  } catch (error) {
    showProblem(name, error);
  }
}

const masthead = new Masthead();
showUnread();
onSessionElsewhere(() => location.reload());
void show(profileName(location.pathname) ?? "").then(() => masthead.show());
