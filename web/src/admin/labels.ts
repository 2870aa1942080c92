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
