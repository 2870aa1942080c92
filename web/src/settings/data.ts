import { api } from "../browser";
import { part, View } from "../dom";
import { Form } from "../form";
import type { Context } from "./context";

export function dataSection(root: HTMLElement, { me, masthead }: Context): void {
  new Form(part(root, "export-form", HTMLFormElement), {
    submit: async () => {
      save(await api.exportAccount(), `nova-${me.name}.json`);
      return "The export is with your downloads.";
    },
  });
  new Form(part(root, "delete-form", HTMLFormElement), {
    fieldOf: { "wrong-password": "password" },
    submit: async (form) => {
      await api.deleteAccount(form.value("password"));
      api.session.forget();
      masthead.show();
      sayGoodbye();
    },
  });
}

function save(file: Blob, name: string): void {
  const url = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}

function sayGoodbye(): void {
  const view = new View("goodbye-template");
  document.getElementById("page")?.replaceChildren(view.root);
  view.part("title", HTMLElement).focus();
}
