import { kept } from "./kept";

/** The colours of the pages: as the system has them, unless somebody chose. */
export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

/** A choice as it was stored, here or by the server. */
export function readTheme(text: string | null | undefined): Theme {
  return THEMES.find((theme) => theme === text) ?? "system";
}

export function isLight(theme: Theme, systemIsLight: boolean): boolean {
  return theme === "light" || (theme === "system" && systemIsLight);
}

/** Gives the page its colours, now and whenever the system's change. */
export function applyTheme(): void {
  const system = window.matchMedia("(prefers-color-scheme: light)");
  const apply = () => {
    const light = isLight(readTheme(kept("theme")), system.matches);
    const { documentElement } = document;
    if (light) documentElement.dataset["theme"] = "light";
    else delete documentElement.dataset["theme"];
    // What a phone draws around the page.
    const ground = light ? "#f6f6fa" : "#0b0c12";
    document.querySelector('meta[name="theme-color"]')?.setAttribute("content", ground);
    const scheme = light ? "light" : "dark";
    document.querySelector('meta[name="color-scheme"]')?.setAttribute("content", scheme);
  };
  apply();
  system.addEventListener("change", apply);
  // Another tab's choice, and this one's.
  window.addEventListener("storage", apply);
  window.addEventListener("preferencekept", apply);
}
