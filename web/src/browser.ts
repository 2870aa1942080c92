import { Api } from "./api";
import type { Surroundings } from "./session";

/** Keeps nothing: storage is refused by the browser's settings. */
const NO_STORAGE = { getItem: () => null, setItem() {}, removeItem() {} };

function storage(): Surroundings["storage"] {
  try {
    return window.localStorage;
  } catch {
    return NO_STORAGE;
  }
}

/** The API, as this page asks it. */
export const api = new Api({
  fetch: (url, init) => window.fetch(url, init),
  storage: storage(),
  locks: navigator.locks as LockManager | undefined,
  now: () => Date.now(),
});

/** Calls `changed` when somebody else is logged in than when the page was opened, or nobody. */
export function onSessionElsewhere(changed: () => void): void {
  let before = api.session.known?.name;
  const look = () => {
    const name = api.session.known?.name;
    if (name === before) return;
    before = name;
    changed();
  };
  // Another tab did it,
  window.addEventListener("storage", look);
  // or a page after this one, and the way back shows this one as it was.
  window.addEventListener("pageshow", ({ persisted }) => {
    if (persisted) look();
  });
}
