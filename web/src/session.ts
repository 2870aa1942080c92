import { Problem, readProblem, Unreachable } from "./problem";
import type { Grant, User } from "./resources";

/** Who is logged in, as far as a page can tell without asking. */
export type Known = Pick<User, "name" | "display_name" | "avatar_url" | "role">;

/** What a session needs of a browser. */
export interface Surroundings {
  fetch(url: string, init: RequestInit): Promise<Response>;
  readonly storage: Pick<Storage, "getItem" | "setItem" | "removeItem">;
  /** Missing where the page did not come by https. */
  readonly locks: Pick<LockManager, "request"> | undefined;
  /** Milliseconds since 1970. */
  now(): number;
}

/** Under this key every tab finds who is logged in. Whoever holds it holds nothing. */
export const KNOWN_KEY = "nova.session";
const LOCK = "nova.session";
/** A token this close to its end may not arrive in time. */
const MARGIN_MS = 15_000;
const REQUEST_LIMIT_MS = 15_000;

/**
 * The login of this browser. The refresh token is a cookie that no script sees, shared by all
 * tabs; the access token is in this page's memory and nowhere else.
 */
export class Session {
  private token: { readonly text: string; readonly goodUntil: number } | null = null;
  private refreshing: Promise<string | null> | null = null;

  constructor(private readonly browser: Surroundings) {}

  /** Who is logged in, by what this browser was told last. */
  get known(): Known | null {
    try {
      const stored = this.browser.storage.getItem(KNOWN_KEY) ?? "null";
      const known = JSON.parse(stored) as Partial<Known> | null;
      if (typeof known?.name !== "string") return null;
      const { name, display_name = "", avatar_url = null, role = "user" } = known;
      return { name, display_name, avatar_url, role };
    } catch {
      return null;
    }
  }

  /** Shows every tab what has changed of who is logged in. */
  remember({ name, display_name, avatar_url, role }: Known): void {
    const known = JSON.stringify({ name, display_name, avatar_url, role });
    this.browser.storage.setItem(KNOWN_KEY, known);
  }

  /** Nobody is logged in any more. */
  forget(): void {
    this.token = null;
    this.browser.storage.removeItem(KNOWN_KEY);
  }

  /** A good access token; `null` when nobody is logged in. */
  async accessToken(): Promise<string | null> {
    if (this.token !== null && this.browser.now() < this.token.goodUntil) return this.token.text;
    this.refreshing ??= this.refresh().finally(() => (this.refreshing = null));
    return this.refreshing;
  }

  /** The server does not take `token`; the next is another one. */
  refused(token: string): void {
    if (this.token?.text === token) this.token = null;
  }

  async logIn(login: string, password: string): Promise<User> {
    const grant = await this.inTurn(async () => {
      const body = { login, password, session: "cookie" };
      const answer = (await (await this.ask("POST", "/api/v1/session", body)).json()) as Grant;
      this.keep(answer);
      return answer;
    });
    return grant.user;
  }

  async logOut(): Promise<void> {
    await this.inTurn(async () => {
      try {
        await this.ask("DELETE", "/api/v1/session", {});
      } catch (error) {
        // It has ended already.
        if (!isRefusal(error)) throw error;
      }
      this.forget();
    });
  }

  private async refresh(): Promise<string | null> {
    return this.inTurn(async () => {
      // Also when another tab logged out before it was this one's turn.
      if (this.known === null) {
        this.token = null;
        return null;
      }
      try {
        const response = await this.ask("POST", "/api/v1/session/refresh", {});
        const grant = (await response.json()) as Grant;
        this.keep(grant);
        return grant.access_token;
      } catch (error) {
        if (!isRefusal(error)) throw error;
        this.forget();
        return null;
      }
    });
  }

  private keep(grant: Grant): void {
    const goodUntil = this.browser.now() + grant.expires_in * 1000 - MARGIN_MS;
    this.token = { text: grant.access_token, goodUntil };
    this.remember(grant.user);
  }

  /** Whoever changes the cookie does so alone, among all tabs. */
  private async inTurn<T>(change: () => Promise<T>): Promise<T> {
    const { locks } = this.browser;
    return locks === undefined ? change() : locks.request(LOCK, change);
  }

  private async ask(method: string, url: string, body: object): Promise<Response> {
    let response;
    try {
      response = await this.browser.fetch(url, {
        method,
        cache: "no-store",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(REQUEST_LIMIT_MS),
      });
    } catch (error) {
      throw new Unreachable(error);
    }
    if (!response.ok) throw await readProblem(response, this.browser.now());
    return response;
  }
}

/** Whether the server has decided. All else may be better in a while, and ends no session. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof Problem)) return false;
  const { status } = error;
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}
