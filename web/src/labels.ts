/** The figures of a rendition that a label is made of. */
export interface RenditionFigures {
  /** Pixels; 0 for sound only. */
  readonly height: number;
  /** Bits per second. */
  readonly bitrate: number;
  /** Frames per second; 0 when the playlist does not tell. */
  readonly frameRate: number;
}

/** "720p", "1080p60", "Sound only". */
export function renditionLabel(rendition: RenditionFigures): string {
  if (rendition.height <= 0) return "Sound only";
  const rate = rendition.frameRate > 31 ? String(Math.round(rendition.frameRate)) : "";
  return `${rendition.height}p${rate}`;
}

/** "2.8 Mbit/s", "640 kbit/s". */
export function bitrateLabel(bitsPerSecond: number): string {
  if (bitsPerSecond >= 1_000_000) return `${(bitsPerSecond / 1_000_000).toFixed(1)} Mbit/s`;
  return `${Math.round(bitsPerSecond / 1_000)} kbit/s`;
}

/** "1.8 s", or "–" for what cannot be measured. */
export function secondsLabel(seconds: number | null): string {
  return seconds === null ? "–" : `${seconds.toFixed(1)} s`;
}

/** "0:07", "12:30", "1:02:03". */
export function durationLabel(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60];
  const two = (number: number) => String(number).padStart(2, "0");
  const begin = hours > 0 ? `${hours}:${two(minutes)}` : String(minutes);
  return `${begin}:${two(whole % 60)}`;
}

/** "Live for 3 min", or "" when the start is not known. */
export function sinceLabel(startedAt: string, now: Date): string {
  const minutes = Math.floor((now.getTime() - Date.parse(startedAt)) / 60_000);
  if (Number.isNaN(minutes)) return "";
  if (minutes < 1) return "Just started";
  if (minutes < 60) return `Live for ${minutes} min`;
  return `Live for ${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
