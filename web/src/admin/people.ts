import { ask } from "../ask";
import { showAvatar } from "../avatar";
import { api } from "../browser";
import { part, View } from "../dom";
import { Form } from "../form";
import { PagedList } from "../paged";
import { nameOf, profilePath } from "../places";
import type { Role, User } from "../resources";
import { admin } from "./api";
import type { AdminContext } from "./context";

const ROLES: Readonly<Record<Role, string>> = {
  user: "User",
  moderator: "Moderator",
  admin: "Administrator",
};

/** Asks why somebody is kept out; calls `done` when they are. */
export function askToSuspend(name: string, done: () => void): void {
  ask({
    title: `Suspend ${name}?`,
    text: "Their sessions end, what they stream ends, and they cannot log in until somebody lets them in again.",
    button: "Suspend",
    isDanger: true,
    field: { name: "reason", label: "Why", hint: "For the audit log.", limit: 500 },
    run: async (reason) => {
      await admin.suspend(name, reason);
      return done;
    },
  });
}

export function peopleSection(root: HTMLElement, { me }: AdminContext): void {
  let query = "";
  const list = new PagedList<User>({
    label: "People who were found",
    empty: "Nobody was found. Who is suspended is found by no search: let them in again by name, below.",
    load: (after) => api.searchUsers(query, after),
    row: (user, all) => row(user, all, me.role === "admin" && user.name !== me.name, user.name !== me.name),
  });
  const found = part(root, "found", HTMLElement);
  found.append(list.root);
  new Form(part(root, "search-form", HTMLFormElement), {
    submit: async (form) => {
      query = form.value("q");
      found.hidden = false;
      await list.reload();
    },
  });

  new Form(part(root, "unsuspend-form", HTMLFormElement), {
    submit: async (form) => {
      const name = form.value("name").trim();
      await admin.unsuspend(name);
      form.clear();
      return `${name} may log in again.`;
    },
    fieldOf: { "not-found": "name" },
  });
}

function row(user: User, list: PagedList<User>, mayGiveRole: boolean, maySuspend: boolean): HTMLElement {
  const view = new View("user-row-template");
  showAvatar(view.part("avatar", HTMLElement), user);
  const link = view.part("link", HTMLAnchorElement);
  link.href = profilePath(user.name);
  link.textContent = nameOf(user);
  const detail = (role: Role) => view.text("detail", `@${user.name} · ${ROLES[role]}`);
  detail(user.role);
  const suspend = view.part("suspend", HTMLButtonElement);
  suspend.hidden = !maySuspend;
  suspend.setAttribute("aria-label", `Suspend: ${user.name}`);
  suspend.addEventListener("click", () => askToSuspend(user.name, () => list.remove(view.root)));

  const place = view.part("role-place", HTMLElement);
  const role = view.part("role", HTMLSelectElement);
  place.hidden = !mayGiveRole;
  role.setAttribute("aria-label", `Role of ${user.name}`);
  for (const [value, text] of Object.entries(ROLES)) role.append(new Option(text, value));
  role.value = user.role;
  let known = user.role;
  role.addEventListener("change", () => {
    const wanted = role.value as Role;
    // It is what it was until it is another one.
    role.value = known;
    ask({
      title: `Make ${user.name} ${article(wanted)}?`,
      text: "Their sessions end: they log in again and have the role.",
      button: "Give the role",
      run: async () => {
        known = (await admin.setRole(user.name, wanted)).role;
        return () => {
          role.value = known;
          detail(known);
          role.focus();
        };
      },
    });
  });
  return view.root;
}

function article(role: Role): string {
  return `${role === "admin" ? "an" : "a"} ${ROLES[role].toLowerCase()}`;
}
