import type { Masthead } from "../masthead";
import type { Me } from "../resources";

/** What a section of the settings is started with. */
export interface Context {
  /** As they were when the page was opened. */
  readonly me: Me;
  readonly masthead: Masthead;
}
