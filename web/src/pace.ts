/** Where a player is in a live stream. Seconds of media. */
export interface Place {
  /** Behind where it should be. */
  readonly behind: number;
  /** What can be played from here on without waiting. */
  readonly ahead: number;
  /** The same from where it should be. */
  readonly there: number;
  /** The playlist's target duration. */
  readonly targetDuration: number;
  /** Whether it fell behind because it had to wait, and not because its viewer paused it. */
  readonly waited: boolean;
}

/** What brings it back. */
export type Pace = { readonly act: "jump" } | { readonly act: "play"; readonly rate: number };

/** Below this nobody is behind; who is catching up does so to the end. */
const ON_TIME_S = 0.15;
/** Faster play may not use up more than what is beyond this. */
const RESERVE_S = 1;
/** Whoever is further behind than this will be heard to hurry. */
const HURRY_S = 1;
const UNNOTICED = 1.05;
const HURRIED = 1.1;
/**
 * Whoever is further behind than this many target durations would hurry for a minute, and
 * jumps; but a viewer who paused may have wanted just that, and has a button.
 */
const FAR_TARGET_DURATIONS = 3;
/** Who lands with less than this would wait again. */
const LANDING_S = 0.5;

/**
 * Finds the way back to the live edge for whoever fell behind it: a little faster, or with a
 * jump over what is too much for that, once there is something to play where it lands.
 */
export class Pacer {
  private catchingUp = false;

  /** To be asked several times a second. */
  look({ behind, ahead, there, targetDuration, waited }: Place): Pace {
    const far = behind > FAR_TARGET_DURATIONS * targetDuration;
    if (far && waited && there >= LANDING_S) return { act: "jump" };
    if (far && !waited) {
      this.catchingUp = false;
      return { act: "play", rate: 1 };
    }
    this.catchingUp = behind > (this.catchingUp ? 0 : ON_TIME_S) && ahead > RESERVE_S;
    if (!this.catchingUp) return { act: "play", rate: 1 };
    return { act: "play", rate: behind > HURRY_S ? HURRIED : UNNOTICED };
  }
}
