import { api } from "./browser";
import { keepTheme, readTheme } from "./theme";

/** Brings what somebody prefers into this browser, as far as a page here has a use for it. */
export async function takePreferences(): Promise<void> {
  try {
    const { theme } = await api.preferences();
    keepTheme(readTheme(theme));
  } catch (error) {
    // Whoever logs in wants to go on, in whatever colours.
    console.info("preferences:", error);
  }
}
