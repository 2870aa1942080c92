import { api, onSessionElsewhere } from "../browser";
import { part } from "../dom";
import { Masthead } from "../masthead";
import { showUnread } from "../notifications/bell";
import { goToLogin } from "../places";
import { explain, LoginNeeded } from "../problem";
import { Sections, type Start } from "../sections";
import { accountSection } from "./account";
import type { Context } from "./context";
import { dataSection } from "./data";
import { preferencesSection } from "./preferences";
import { privacySection } from "./privacy";
import { profileSection } from "./profile";
import { sessionsSection } from "./sessions";
import { tokensSection } from "./tokens";

const SECTIONS: Readonly<Record<string, Start<Context>>> = {
  profile: profileSection,
  account: accountSection,
  sessions: sessionsSection,
  privacy: privacySection,
  preferences: preferencesSection,
  tokens: tokensSection,
  data: dataSection,
};

const masthead = new Masthead();
showUnread();
const failed = part(document, "failed", HTMLElement);
const loading = part(document, "loading", HTMLElement);

async function start(): Promise<void> {
  failed.hidden = true;
  loading.hidden = false;
  try {
    const me = await api.me();
    new Sections(SECTIONS, { me, masthead });
  } catch (error) {
    if (error instanceof LoginNeeded) {
      goToLogin();
      return;
    }
    part(failed, "failed-text", HTMLElement).textContent = explain(error);
    failed.hidden = false;
  }
  loading.hidden = true;
}

part(failed, "again", HTMLButtonElement).addEventListener("click", () => void start());
// What is shown belongs to somebody else now.
onSessionElsewhere(() => location.reload());
void start();
