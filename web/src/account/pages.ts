import { api } from "../browser";
import { afterLogin, loginPath, REASONS, type Because } from "../places";
import { takePreferences } from "../preferences";
import { Problem } from "../problem";
import { putForm, tell } from "./page";

interface Onward {
  readonly href: string;
  readonly label: string;
}

const TO_LOGIN: Onward = { href: "/login", label: "Log in" };
const TO_SIGN_UP: Onward = { href: "/signup", label: "Sign up" };
const TO_RESET: Onward = { href: "/reset", label: "Ask for another link" };
const TO_ACCOUNT: Onward = { href: "/settings#account", label: "Settings" };

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
  if (because !== null && Object.hasOwn(REASONS, because)) {
    said.textContent = REASONS[because as Because];
    said.hidden = false;
  }
}

export function showVerify(token: string | null): void {
  if (token === null) {
    tellBadLink("Sign up again, and we send another one.", TO_SIGN_UP);
    return;
  }
  putForm("verify-template", "Confirm your address", {
    submit: async () => {
      try {
        await api.verifyEmail(token);
      } catch (error) {
        tellUsedLink(error, "If you used it, your account is ready. If not, sign up again.", TO_LOGIN);
        return;
      }
      location.assign(loginPath(location, "ready"));
    },
  });
}

export function showConfirmEmail(token: string | null): void {
  if (token === null) {
    tellBadLink("Change the address again, and we send another one.", TO_ACCOUNT);
    return;
  }
  putForm("confirm-email-template", "Confirm your address", {
    submit: async () => {
      try {
        await api.confirmEmail(token);
      } catch (error) {
        tellUsedLink(error, "Your settings show which address is set.", TO_ACCOUNT);
        return;
      }
      tell("Your new address is set", "Mails go to it from now on.", TO_ACCOUNT);
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
      try {
        await api.resetPassword(token, form.value("password"));
      } catch (error) {
        tellUsedLink(error, "Ask for another one to set a new password.", TO_RESET);
        return;
      }
      // It ended all sessions, this browser's too.
      api.session.forget();
      location.assign(loginPath(location, "password"));
    },
  });
}

function tellBadLink(text: string, onward: Onward): void {
  tell("This link is not whole", `Open the link as it is in our mail. ${text}`, onward);
}

/** Says where to go from a link that is over; throws what else is wrong. */
function tellUsedLink(error: unknown, text: string, onward: Onward): void {
  if (!(error instanceof Problem) || error.code !== "link-not-valid") throw error;
  tell("This link is not valid any more", `It was used already, or it is too old. ${text}`, onward);
}

export function showNotFound(): void {
  tell("Nothing here", "There is no page at this address.", { href: "/", label: "Live streams" });
}
