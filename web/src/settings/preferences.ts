import { api } from "../browser";
import { part } from "../dom";
import { Form } from "../form";
import { goToLogin } from "../places";
import { keepPreferences } from "../preferences";
import { explain, LoginNeeded } from "../problem";

const NAMES = ["theme", "autoplay", "post_when_live"] as const;

export function preferencesSection(root: HTMLElement): void {
  // What somebody is told of, or not.
  const boxes = [...part(root, "notify", HTMLElement).querySelectorAll("input")];
  const form = new Form(part(root, "preferences-form", HTMLFormElement), {
    submit: async () => {
      const chosen = NAMES.map((name) => [name, form.value(name)]);
      const changed = boxes.filter(({ checked, defaultChecked }) => checked !== defaultChecked);
      const told = changed.map(({ name, checked }) => [name, checked ? "on" : "off"]);
      show(await api.setPreferences(Object.fromEntries([...chosen, ...told])));
      return "Saved.";
    },
  });
  const show = (all: Readonly<Record<string, string>>) => {
    const preferences = keepPreferences(all);
    for (const name of NAMES) {
      const control = form.control(name);
      if (control !== undefined) control.value = preferences[name];
    }
    for (const box of boxes) {
      box.checked = box.defaultChecked = all[box.name] !== "off";
    }
  };
  // What is not known yet cannot be changed: an answer that comes late would change it back.
  api.preferences().then(
    (all) => {
      show(all);
      part(root, "preferences-fields", HTMLFieldSetElement).disabled = false;
    },
    (error: unknown) => {
      if (error instanceof LoginNeeded) goToLogin();
      form.fail(explain(error));
    },
  );
}
