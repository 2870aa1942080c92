// As much of a browser as the player and hls.js need to ask for playlists, with a clock that
// goes as fast as a test wants. To be imported before them.

interface Timer {
  readonly run: () => void;
  readonly everyMs: number | null;
  at: number;
}

let now = 0;
let lastId = 0;
const timers = new Map<number, Timer>();

function start(run: () => void, ms: number | undefined, repeats: boolean): number {
  const delay = Math.max(1, ms ?? 0);
  timers.set(++lastId, { run, everyMs: repeats ? delay : null, at: now + delay });
  return lastId;
}

/** Lets time pass, and everything happen that is due then. */
export async function pass(ms: number): Promise<void> {
  const until = now + ms;
  for (;;) {
    // What was promised comes before what is due.
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
    let next: readonly [number, Timer] | null = null;
    for (const entry of timers) if (next === null || entry[1].at < next[1].at) next = entry;
    if (next === null || next[1].at > until) break;
    const [id, timer] = next;
    now = timer.at;
    if (timer.everyMs === null) timers.delete(id);
    else timer.at += timer.everyMs;
    timer.run();
  }
  now = until;
}

/** What is answered with a text; all else is refused at once. */
export const answers = new Map<string, string>();
/** What was asked for, and when. */
export const asked: { readonly url: string; readonly at: number }[] = [];

class Request {
  readyState = 0;
  status = 0;
  statusText = "";
  responseType = "";
  responseText = "";
  responseURL = "";
  onreadystatechange: (() => void) | null = null;
  private aborted = false;

  open(_method: string, url: string): void {
    this.readyState = 1;
    this.responseURL = url;
  }

  send(): void {
    asked.push({ url: this.responseURL, at: now });
    start(() => this.end(), 1, false);
  }

  private end(): void {
    if (this.aborted) return;
    const text = answers.get(this.responseURL.replace(/\?.*/, ""));
    this.readyState = 4;
    if (text !== undefined) {
      this.status = 200;
      this.responseText = text;
    }
    this.onreadystatechange?.();
  }

  abort(): void {
    this.aborted = true;
  }

  setRequestHeader(): void {}
  getAllResponseHeaders(): string {
    return "";
  }
}

class Media extends EventTarget {
  static isTypeSupported(): boolean {
    return true;
  }
  readonly readyState = "closed";
}

/** A video element that has nothing to play. */
export function video(): HTMLVideoElement {
  const element = Object.assign(new EventTarget(), {
    currentTime: 0,
    paused: false,
    ended: false,
    seeking: false,
    playbackRate: 1,
    buffered: { length: 0 },
    seekable: { length: 0 },
    poster: "",
    src: "",
    removeAttribute() {},
    load() {},
    play: () => Promise.resolve(),
    canPlayType: () => "probably",
    querySelectorAll: () => [],
    appendChild() {},
    textTracks: new EventTarget(),
  });
  return element as unknown as HTMLVideoElement;
}

const window = {
  setTimeout: (run: () => void, ms?: number) => start(run, ms, false),
  setInterval: (run: () => void, ms?: number) => start(run, ms, true),
  clearTimeout: (id?: number) => timers.delete(id ?? 0),
  clearInterval: (id?: number) => timers.delete(id ?? 0),
  performance: { now: () => now },
  location: { href: "http://edge.example/watch/demo", protocol: "http:" },
  navigator: { onLine: true, userAgent: "test", language: "en" },
  XMLHttpRequest: Request,
  MediaSource: Media,
  URL: Object.assign(URL, { createObjectURL: () => "blob:test", revokeObjectURL: () => {} }),
  console,
};
for (const [name, value] of Object.entries({ ...window, self: window, window })) {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}
