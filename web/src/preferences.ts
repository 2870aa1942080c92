import { api } from "./browser";
import { keep } from "./kept";
import { readTheme } from "./theme";

/** What the API tells of preferences, as pages use it. */
export interface Preferences {
  readonly theme: string;
  readonly autoplay: string;
  readonly post_when_live: string;
}

/** Keeps what the server says in this browser. */
export function keepPreferences(all: Readonly<Record<string, string>>): Preferences {
  const preferences = {
    theme: readTheme(all["theme"]),
    autoplay: all["autoplay"] === "off" ? "off" : "on",
    post_when_live: all["post_when_live"] === "yes" ? "yes" : "no",
  };
  keep("theme", preferences.theme);
  keep("autoplay", preferences.autoplay);
  return preferences;
}

/** Brings what somebody prefers into this browser. */
export async function takePreferences(): Promise<void> {
  try {
    keepPreferences(await api.preferences());
  } catch (error) {
    // Whoever logs in wants to go on, whatever the colours are.
    console.info("preferences:", error);
  }
}
