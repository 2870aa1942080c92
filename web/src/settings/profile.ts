import { showAvatar } from "../avatar";
import { api } from "../browser";
import { part } from "../dom";
import { Form } from "../form";
import { goToLogin, profilePath } from "../places";
import { LoginNeeded, explain } from "../problem";
import type { Me } from "../resources";
import { LinkRows } from "./links";
import type { Context } from "./context";

export function profileSection(root: HTMLElement, context: Context): void {
  part(root, "see-profile", HTMLAnchorElement).href = profilePath(context.me.name);
  wireAvatar(root, context);
  const form = new Form(part(root, "profile-form", HTMLFormElement), {
    submit: async () => {
      const change = {
        display_name: form.value("display_name"),
        bio: form.value("bio"),
        links: links.values(),
      };
      const me = await api.updateProfile(change);
      fill(me);
      api.session.remember(me);
      context.masthead.show();
      return "Saved.";
    },
  });
  const links = new LinkRows(root, form);
  const fill = (me: Me) => {
    setValue(form, "display_name", me.display_name);
    setValue(form, "bio", me.bio);
    links.show(me.links);
  };
  fill(context.me);
}

function setValue(form: Form, name: string, value: string): void {
  const control = form.control(name);
  if (control !== undefined) control.value = value;
}

function wireAvatar(root: HTMLElement, { me, masthead }: Context): void {
  const remove = part(root, "remove-avatar", HTMLButtonElement);
  const show = (user: Me) => {
    showAvatar(part(root, "avatar", HTMLElement), user);
    remove.hidden = user.avatar_url === null;
    api.session.remember(user);
    masthead.show();
  };
  const form = new Form(part(root, "avatar-form", HTMLFormElement), {
    submit: async () => {
      const input = form.control("picture");
      const file = input instanceof HTMLInputElement ? input.files?.[0] : undefined;
      if (file === undefined) return;
      show(await api.setAvatar(file));
      form.clear();
      return "This is your picture now.";
    },
    fieldOf: { "body-too-large": "picture" },
  });
  remove.addEventListener("click", () => {
    api.removeAvatar().then(
      async () => {
        show(await api.me());
        form.control("picture")?.focus();
        form.say("The picture is removed.");
      },
      (error: unknown) => {
        if (error instanceof LoginNeeded) goToLogin();
        form.fail(explain(error));
      },
    );
  });
  showAvatar(part(root, "avatar", HTMLElement), me);
  remove.hidden = me.avatar_url === null;
}
