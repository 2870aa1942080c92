import { api, onSessionElsewhere } from "../browser";
import { Masthead } from "../masthead";
import { showUnread } from "../notifications/bell";
import { showTrouble } from "../page";
import { goToLogin, studioStream } from "../places";
import { LoginNeeded } from "../problem";
import { MISSING, showStream } from "./stream";
import { showStreams } from "./streams";

async function show(): Promise<void> {
  try {
    const me = await api.me();
    const named = /^\/studio\/[^/]/.test(location.pathname);
    if (named) await showStream(me, studioStream(location.pathname) ?? "");
    else showStreams(me);
  } catch (error) {
    if (error instanceof LoginNeeded) goToLogin();
    else showTrouble(error, MISSING, () => void show());
  }
}

new Masthead();
showUnread();
// What is shown belongs to somebody else now.
onSessionElsewhere(() => location.reload());
void show();
