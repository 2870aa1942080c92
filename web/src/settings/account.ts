import { api } from "../browser";
import { part } from "../dom";
import { Form } from "../form";
import type { Context } from "./context";

export function accountSection(root: HTMLElement, { me }: Context): void {
  part(root, "name", HTMLElement).textContent = me.name;
  part(root, "email", HTMLElement).textContent = me.email;
  // What a password manager files the new password under.
  part(root, "username", HTMLInputElement).value = me.name;

  new Form(part(root, "email-form", HTMLFormElement), {
    fieldOf: { "wrong-password": "password", "email-taken": "email" },
    submit: async (form) => {
      const { message } = await api.changeEmail(form.value("password"), form.value("email"));
      form.clear();
      return message;
    },
  });
  new Form(part(root, "password-form", HTMLFormElement), {
    fieldOf: { "wrong-password": "current_password" },
    submit: async (form) => {
      await api.changePassword(form.value("current_password"), form.value("new_password"));
      form.clear();
      return "Your password is changed. All other devices are logged out.";
    },
  });
}
