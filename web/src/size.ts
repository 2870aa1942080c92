/** "1.3 GB", as disks are sold. */
export function sizeLabel(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  const at = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** at;
  return `${at === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}
