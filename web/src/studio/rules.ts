/** "3 h 20 min", "45 s" */
export function spanLabel(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** What the select of the slow mode has. */
const SLOW_MODES = [0, 5, 10, 30, 60, 300, 900, 3600];

/** Those that can be chosen, with what is set now. */
export function slowModes(now: number): number[] {
  return [...new Set([...SLOW_MODES, now])].sort((a, b) => a - b);
}

/** "Off", "30 seconds", "5 minutes" */
export function slowModeLabel(seconds: number): string {
  if (seconds === 0) return "Off";
  const [count, unit] = seconds % 60 === 0 && seconds > 60 ? [seconds / 60, "minute"] : [seconds, "second"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
