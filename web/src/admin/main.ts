import { api, onSessionElsewhere } from "../browser";
import { part } from "../dom";
import { Masthead } from "../masthead";
import { showUnread } from "../notifications/bell";
import { put, showTrouble } from "../page";
import { goToLogin } from "../places";
import { LoginNeeded } from "../problem";
import { Sections, type Start } from "../sections";
import { auditSection } from "./audit";
import type { AdminContext } from "./context";
import { nodesSection } from "./nodes";
import { peopleSection } from "./people";
import { prewarmSection } from "./prewarms";
import { purgeSection } from "./purges";
import { reportsSection } from "./reports";
import { usageSection } from "./usage";

/** What moderators look after, */
const MODERATION: Readonly<Record<string, Start<AdminContext>>> = {
  reports: reportsSection,
  people: peopleSection,
  log: auditSection,
};
/** and administrators. */
const ADMINISTRATION: Readonly<Record<string, Start<AdminContext>>> = {
  nodes: nodesSection,
  purge: purgeSection,
  prewarm: prewarmSection,
  usage: usageSection,
};

const NOT_FOR_YOU = "This page is for moderators and administrators.";

async function show(): Promise<void> {
  try {
    const me = await api.me();
    if (me.role === "user") {
      showTrouble(null, NOT_FOR_YOU, () => {});
      return;
    }
    const isAdmin = me.role === "admin";
    const view = put("admin-template", "Administration");
    for (const name of Object.keys(ADMINISTRATION)) {
      part(view.root, `${name}-place`, HTMLElement).hidden = !isAdmin;
    }
    new Sections(isAdmin ? { ...MODERATION, ...ADMINISTRATION } : MODERATION, { me });
  } catch (error) {
    if (error instanceof LoginNeeded) goToLogin();
    else showTrouble(error, NOT_FOR_YOU, () => void show());
  }
}

new Masthead();
showUnread();
// What is shown belongs to somebody else now.
onSessionElsewhere(() => location.reload());
void show();
