/** What the player is doing. */
export type PlayerStatus =
  /** Nothing to play was given to it. */
  | "idle"
  /** Loading, no picture yet. */
  | "starting"
  | "playing"
  /** The viewer, or the browser, holds it. */
  | "paused"
  /** The buffer ran dry and nothing new comes. */
  | "stalled"
  /** The buffer ran dry, and the server does not answer. */
  | "unanswered"
  /** A fatal error is being recovered from. */
  | "recovering"
  /** It played to the end of a playlist that has one. */
  | "ended";

/** What the page shows. */
export type Phase =
  | "waiting"
  | "starting"
  | "live"
  | "paused"
  | "interrupted"
  | "lost"
  | "ended"
  /** There is no such stream for whoever asks. */
  | "barred";

/** The sentence for every phase. */
export const PHASE_TEXT: Readonly<Record<Phase, string>> = {
  waiting: "Waiting for the broadcaster…",
  starting: "Starting…",
  live: "Live",
  paused: "Paused",
  interrupted: "Waiting for the broadcaster…",
  lost: "Connection lost, trying again…",
  ended: "The stream has ended",
  barred: "Nothing to see here",
};

/**
 * What to show, from what the player does and what the server last said.
 *
 * @param listed whether the stream is live; `null` while the server does not answer.
 * @param finished whether a broadcast was played to its end on this page.
 */
export function phaseOf(status: PlayerStatus, listed: boolean | null, finished: boolean): Phase {
  switch (status) {
    case "playing":
      return "live";
    case "paused":
      return "paused";
    case "starting":
      return "starting";
    case "ended":
      return "ended";
    case "stalled":
      return listed === null ? "lost" : "interrupted";
    case "unanswered":
    case "recovering":
      return listed === false ? "interrupted" : "lost";
    case "idle":
      if (finished) return "ended";
      return listed === null ? "lost" : "waiting";
  }
}
