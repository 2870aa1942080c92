import type { Me } from "../resources";

/** What a section is started with. */
export interface AdminContext {
  /** As they were when the page was opened. */
  readonly me: Me;
}
