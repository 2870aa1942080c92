import { goToLogin } from "../places";
import { LoginNeeded, Problem } from "../problem";

const LOOK_EVERY_MS = 1_000;
const AFTER_FAILURE_MS = 5_000;

/** Asks how something goes on, and tells it, until it has ended. */
export async function follow<T>(
  first: T,
  hasEnded: (state: T) => boolean,
  look: () => Promise<T>,
  tell: (state: T) => void,
): Promise<void> {
  let state = first;
  let pause = LOOK_EVERY_MS;
  tell(state);
  while (!hasEnded(state)) {
    await new Promise((resolve) => window.setTimeout(resolve, pause));
    try {
      state = await look();
      pause = LOOK_EVERY_MS;
      tell(state);
    } catch (error) {
      if (error instanceof LoginNeeded) {
        goToLogin();
        return;
      }
      // Nothing is known of it any more.
      if (error instanceof Problem && error.status === 404) return;
      // It goes on all the same; the next look tells.
      console.info("status:", error);
      pause = AFTER_FAILURE_MS;
    }
  }
}
