// A server of sessions and the browser in front of it, as much as `Session` and `Api` ask for.
import type { Surroundings } from "../src/session";

const LIFE_S = 600;

/** Where a request goes and what it brings. */
export interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** Answers a request; `null` for the answer that every request has. */
export type Answer = (request: Request) => Response | null;

/** A cookie, and what all tabs of a browser share. */
export class FakeBrowser {
  readonly asked: Request[] = [];
  /** Generation of the refresh token; `null` when there is no session. */
  cookie: number | null = null;
  now = 1_700_000_000_000;
  answer: Answer = () => null;
  private generation = 0;
  private readonly stored = new Map<string, string>();
  private turn: Promise<unknown> = Promise.resolve();

  /** One more tab. */
  tab(hasLocks = true): Surroundings {
    const request = (_name: string, run: () => Promise<unknown>) => {
      const done = this.turn.then(run);
      this.turn = done.catch(() => {});
      return done;
    };
    return {
      fetch: (url, init) => this.fetch(url, init),
      storage: {
        getItem: (key) => this.stored.get(key) ?? null,
        setItem: (key, value) => void this.stored.set(key, value),
        removeItem: (key) => void this.stored.delete(key),
      },
      locks: hasLocks ? ({ request } as unknown as LockManager) : undefined,
      now: () => this.now,
    };
  }

  count(path: string): number {
    return this.asked.filter((request) => request.path === path).length;
  }

  private async fetch(url: string, init: RequestInit): Promise<Response> {
    const { method = "GET", body } = init;
    const request = {
      method,
      path: url.replace("/api/v1/", ""),
      headers: init.headers as Record<string, string>,
      body: typeof body === "string" ? (JSON.parse(body) as unknown) : body,
    };
    this.asked.push(request);
    const brought = this.cookie;
    // A request is on its way for a while.
    for (let hop = 0; hop < 5; hop += 1) await Promise.resolve();
    return this.answer(request) ?? this.usual(request, brought);
  }

  private usual({ method, path }: Request, brought: number | null): Response {
    if (method === "DELETE" && path === "session") {
      this.cookie = null;
      return new Response(null, { status: 204 });
    }
    if (path === "session/refresh") {
      // A token that was replaced meanwhile ends the session.
      if (brought === null || brought !== this.generation) {
        this.cookie = null;
        return problem(401, "refresh-failed");
      }
      return this.grant();
    }
    if (path === "session") return this.grant();
    return json({ path });
  }

  private grant(): Response {
    this.generation += 1;
    this.cookie = this.generation;
    const user = { name: "ada", display_name: "Ada", avatar_url: null };
    return json({ access_token: `access-${this.generation}`, expires_in: LIFE_S, user });
  }
}

export function json(body: unknown, status = 200): Response {
  return new Response(JSON.stringify(body), { status });
}

export function problem(
  status: number,
  code: string,
  more: Readonly<Record<string, unknown>> = {},
  headers: Readonly<Record<string, string>> = {},
): Response {
  const body = { type: `/problems/${code}`, status, detail: `${code}.`, ...more };
  return new Response(JSON.stringify(body), { status, headers });
}
