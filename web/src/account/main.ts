import { Masthead } from "../masthead";
import * as pages from "./pages";
import { takeToken } from "./token";

const PAGES: Readonly<Record<string, () => void>> = {
  "/signup": pages.showSignUp,
  "/login": pages.showLogIn,
  "/verify": () => pages.showVerify(takeToken()),
  "/confirm-email": () => pages.showConfirmEmail(takeToken()),
  "/reset": () => pages.showReset(takeToken()),
};

new Masthead();
(PAGES[location.pathname] ?? pages.showNotFound)();
// The link of another mail, opened in the same tab, changes nothing but the fragment.
window.addEventListener("hashchange", () => {
  if (location.hash.startsWith("#token=")) location.reload();
});
