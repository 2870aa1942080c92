import { api } from "../browser";
import { afterLogin, loginPath, REASONS, type Because } from "../places";
import { takePreferences } from "../preferences";
import { putForm, tell } from "./page";

const TO_LOGIN = { href: "/login", label: "Log in" };

export function showSignUp(): void {
  putForm("signup-template", "Sign up", {
    fieldOf: { "name-taken": "name" },
    submit: async (form) => {
      const email = form.value("email");
      const { message } = await api.register(form.value("name"), email, form.value("password"));
      tell("Look into your mail", message, TO_LOGIN);
    },
  });
}

export function showLogIn(): void {
  const view = putForm("login-template", "Log in", {
    fieldOf: { "login-failed": "password" },
    submit: async (form) => {
      await api.session.logIn(form.value("login"), form.value("password"));
      await takePreferences();
      location.assign(afterLogin(location.search, location.origin));
    },
  });
  const because = new URLSearchParams(location.search).get("because");
  const said = view.part("because", HTMLElement);
  if (because !== null && because in REASONS) {
    said.textContent = REASONS[because as Because];
    said.hidden = false;
  }
}

export function showVerify(token: string | null): void {
  if (token === null) {
    tellBadLink("Sign up again, and we send another one.", { href: "/signup", label: "Sign up" });
    return;
  }
  putForm("verify-template", "Confirm your address", {
    submit: async () => {
      await api.verifyEmail(token);
      location.assign(loginPath(location, "ready"));
    },
  });
}

export function showConfirmEmail(token: string | null): void {
  if (token === null) {
    const settings = { href: "/settings#account", label: "Settings" };
    tellBadLink("Change the address again, and we send another one.", settings);
    return;
  }
  putForm("confirm-email-template", "Confirm your address", {
    submit: async () => {
      await api.confirmEmail(token);
      tell("Your new address is set", "Mails go to it from now on.", {
        href: "/settings#account",
        label: "Settings",
      });
    },
  });
}

/** Asks for the link; with the token of one, for the new password. */
export function showReset(token: string | null): void {
  if (token === null) {
    putForm("reset-template", "Forgot your password?", {
      submit: async (form) => {
        const { message } = await api.requestPasswordReset(form.value("email"));
        tell("Look into your mail", message, TO_LOGIN);
      },
    });
    return;
  }
  putForm("new-password-template", "A new password", {
    submit: async (form) => {
      await api.resetPassword(token, form.value("password"));
      // It ended all sessions, this browser's too.
      api.session.forget();
      location.assign(loginPath(location, "password"));
    },
  });
}

function tellBadLink(text: string, onward: { href: string; label: string }): void {
  tell("This link is not whole", `Open the link as it is in our mail. ${text}`, onward);
}

export function showNotFound(): void {
  tell("Nothing here", "There is no page at this address.", { href: "/", label: "Live streams" });
}
