import type { PrewarmWish, Purge } from "./resources";

const HOUR = 3_600;

/** "1.5 GiB", as memory is measured. */
export function binaryLabel(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const at = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** at;
  return `${at === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}

/** How much of something was done: "40 of 50 (80 %)". */
export function progressLabel(done: number, total: number): string {
  if (total === 0) return "nothing is known yet";
  return `${done.toLocaleString("en")} of ${total.toLocaleString("en")} (${Math.floor((100 * done) / total)} %)`;
}

/** "delete-post" as words. */
export function actionLabel(action: string): string {
  return action.replaceAll("-", " ");
}

/** What is noted of an act, as "reason: spam"; as it is where it is no JSON. */
export function details(json: string): string {
  try {
    const noted: unknown = JSON.parse(json);
    if (typeof noted !== "object" || noted === null) return json;
    const said = Object.entries(noted).map(([name, value]) => {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      return `${name.replaceAll("_", " ")}: ${text}`;
    });
    return said.join(" · ");
  } catch {
    return json;
  }
}

/** "Complete: 3 nodes obeyed", "2 of 3 nodes obeyed" */
export function purgeText({ is_complete, obeyed, awaited }: Purge): string {
  const nodes = (count: number) => (count === 1 ? "1 node" : `${count} nodes`);
  if (!is_complete) return `${obeyed} of ${nodes(obeyed + awaited)} obeyed`;
  return obeyed === 0 ? "Complete" : `Complete: ${nodes(obeyed)} obeyed`;
}

/** What is to be prewarmed, of what is filled in. */
export function wishOf(kind: string, said: string, depth: string): PrewarmWish {
  const segments = depth === "" || kind === "urls" ? {} : { depth: Number(depth) };
  switch (kind) {
    case "video":
      return { video: said.trim(), ...segments };
    case "playlist":
      return { playlist: said.trim(), ...segments };
    default: {
      const lines = said.split("\n").map((line) => line.trim());
      return { urls: lines.filter((line) => line !== "") };
    }
  }
}

/** How long a stretch of a time of so many hours is, in seconds: some dozens of them are read well. */
export function stretchOf(hours: number): number {
  if (hours <= 1) return 60;
  return hours <= 24 ? HOUR : 24 * HOUR;
}

/** "87 %" of requests, or "–" of none. */
export function shareLabel(part: number, whole: number): string {
  return whole === 0 ? "–" : `${Math.floor((100 * part) / whole)} %`;
}
