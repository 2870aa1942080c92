import { api } from "../browser";
import { part } from "../dom";
import { Form } from "../form";
import { explain, LoginNeeded } from "../problem";
import { goToLogin } from "../places";
import { keepTheme, readTheme } from "../theme";

export function preferencesSection(root: HTMLElement): void {
  const form = new Form(part(root, "preferences-form", HTMLFormElement), {
    submit: async () => {
      const theme = readTheme(form.value("theme"));
      show((await api.setPreferences({ theme }))["theme"]);
      return "Saved.";
    },
  });
  const show = (text: string | undefined) => {
    const theme = readTheme(text);
    const control = form.control("theme");
    if (control !== undefined) control.value = theme;
    keepTheme(theme);
  };
  // What is not known yet cannot be changed: an answer that comes late would change it back.
  api.preferences().then(
    ({ theme }) => {
      show(theme);
      part(root, "preferences-fields", HTMLFieldSetElement).disabled = false;
    },
    (error: unknown) => {
      if (error instanceof LoginNeeded) goToLogin();
      form.fail(explain(error));
    },
  );
}
