// What is dated by EXT-X-PROGRAM-DATE-TIME: media time, which is the time of the day.
import type Hls from "hls.js";

/** What plays something. */
export interface Playing {
  /** `null`: the browser plays it by itself. */
  readonly hls: Hls | null;
  readonly video: HTMLVideoElement;
}

/** Of what is seen. */
export function playingDate({ hls, video }: Playing): Date | null {
  return hls === null ? nativeDate(video, video.currentTime) : hls.playingDate;
}

/** Of the first that there is to be seen. */
export function beginningDate({ hls, video }: Playing): Date | null {
  if (hls === null) return nativeDate(video, 0);
  const first = hls.latestLevelDetails?.fragments[0]?.programDateTime ?? null;
  return first === null ? null : new Date(first);
}

/** Safari's own player tells the date of its time zero: behind a pause this is too early by that pause. */
function nativeDate(video: HTMLVideoElement & { getStartDate?(): Date }, seconds: number): Date | null {
  const start = video.getStartDate?.().getTime() ?? Number.NaN;
  return Number.isNaN(start) ? null : new Date(start + seconds * 1_000);
}
