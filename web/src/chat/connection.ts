// The socket of a chat (docs/CHAT.md), without a page: it joins, hears, says, and comes back.
import type { Socket } from "../notifications/news";
import { Problem, Unreachable } from "../problem";
import type { ChatMessage, ChatRoom } from "../resources";

const VERSION = 1;
/** Until the server has welcomed a client, and until it answers a ping. */
const ANSWER_MS = 10_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** What waits for an answer at once. */
const WAITING_AT_MOST = 8;
/** How often the same thing is sent, over one socket after the other. */
const TRIES = 5;

/** The token that was shown is good no more. */
const TOKEN_ENDED = 4401;
const NO_SUCH_VERSION = 4406;
/** The server has too much to do, or heard too much. */
const LATER: readonly number[] = [1013, 4429];

/** How it stands with the room. */
export type ChatState =
  | "connecting"
  | "joined"
  /** It was joined, and will be again. */
  | "lost"
  /** There is no such room for whoever asks. */
  | "barred"
  /** The server speaks another version. */
  | "outdated";

export interface ChatHearer {
  state(state: ChatState): void;
  /** Who the server takes the client for: an account's id; `null`: somebody who only reads. */
  welcomed(user: string | null): void;
  /** @param keeps whether what was heard before goes on; else the history has to be read. */
  joined(room: ChatRoom, keeps: boolean): void;
  said(message: ChatMessage): void;
  deleted(id: string): void;
  changed(run: Pick<ChatRoom, "slow_mode_seconds" | "followers_only">): void;
  presence(viewers: number): void;
}

export interface ChatSource {
  connect(): Socket;
  /** `null` when nobody is logged in. */
  accessToken(): Promise<string | null>;
  /** The server does not take this token. */
  refused(token: string): void;
  setTimeout(run: () => void, ms: number): number;
  clearTimeout(id: number | undefined): void;
  /** In [0, 1): those whom one node loses do not come back in step. */
  random(): number;
}

/** Something to be said. */
export interface ChatWish {
  readonly text: string;
  readonly reply_to: string | null;
  /** What its author sees, in milliseconds since 1970; `null`: nothing. */
  readonly media_time: number | null;
  /** Under the same key it is said once. */
  readonly key: string;
}

interface Waiting {
  readonly frame: unknown;
  tries: number;
  done(): void;
  failed(error: unknown): void;
}

type Message = Readonly<Record<string, unknown>>;

/** One client in one room, for as long as its page is open. */
export class ChatConnection {
  private socket: Socket | null = null;
  private token: string | null = null;
  /** The last event that was heard; `null`: the room was never joined. */
  private lastEvent: number | null = null;
  private readonly waiting = new Map<string, Waiting>();
  private lastId = 0;
  private joinId = "";
  private pingId = "";
  private isJoined = false;
  private pauseMs = FIRST_PAUSE_MS;
  /** Of the attempts to open a socket: what an older one brings comes too late. */
  private turn = 0;
  private isOn = false;
  private opening: number | undefined;
  private deadline: number | undefined;
  private silence: number | undefined;
  private beat: number | undefined;
  private joining: number | undefined;

  constructor(
    private readonly room: string,
    private readonly source: ChatSource,
    private readonly hearer: ChatHearer,
  ) {}

  start(): void {
    if (this.isOn) return;
    this.isOn = true;
    this.hearer.state(this.lastEvent === null ? "connecting" : "lost");
    void this.open();
  }

  /** Until it is started again; what it has heard it remembers. */
  stop(): void {
    this.isOn = false;
    this.letGo();
    this.source.clearTimeout(this.opening);
    this.giveUp(new Unreachable("the chat was left"));
  }

  /** Asks again to be let in, or comes back at once: something has changed. */
  renew(): void {
    if (!this.isOn) return;
    this.letGo();
    this.source.clearTimeout(this.opening);
    this.pauseMs = FIRST_PAUSE_MS;
    void this.open();
  }

  /** Says something; resolves once the server has it. While the socket is lost, it waits. */
  say({ text, reply_to, media_time, key }: ChatWish): Promise<void> {
    if (!this.isOn || this.waiting.size >= WAITING_AT_MOST) {
      return Promise.reject(new Unreachable("the chat is not connected"));
    }
    const id = this.newId();
    const frame = {
      type: "send",
      id,
      text,
      key,
      ...(reply_to !== null && { reply_to }),
      ...(media_time !== null && { media_time }),
    };
    return new Promise((done, failed) => {
      const waiting = { frame, tries: 0, done, failed };
      this.waiting.set(id, waiting);
      if (this.isJoined) this.send(id, waiting);
    });
  }

  /** What waits for an answer gets none. */
  private giveUp(error: unknown): void {
    for (const { failed } of this.waiting.values()) failed(error);
    this.waiting.clear();
  }

  private async open(): Promise<void> {
    this.turn += 1;
    const { turn } = this;
    let token: string | null;
    try {
      token = await this.source.accessToken();
    } catch (error) {
      console.info("chat:", error);
      if (turn === this.turn && this.isOn) this.closed(0);
      return;
    }
    if (turn !== this.turn || !this.isOn) return;
    this.token = token;
    const socket = this.source.connect();
    this.socket = socket;
    this.deadline = this.expect();
    socket.onopen = () => {
      const authorization = token === null ? {} : { authorization: `Bearer ${token}` };
      this.tell({ type: "hello", version: VERSION, ...authorization });
    };
    socket.onmessage = ({ data }) => {
      if (this.socket === socket) this.hear(data);
    };
    socket.onclose = ({ code }) => {
      if (this.socket === socket) this.closed(code);
    };
  }

  private tell(message: unknown): void {
    this.socket?.send(JSON.stringify(message));
  }

  private newId(): string {
    this.lastId += 1;
    return String(this.lastId);
  }

  /** Takes the socket for lost unless there is an answer: unless the timer is cleared. */
  private expect(): number {
    return this.source.setTimeout(() => {
      this.letGo();
      this.closed(0);
    }, ANSWER_MS);
  }

  private letGo(): void {
    const { socket } = this;
    this.turn += 1;
    this.socket = null;
    this.quiet();
    socket?.close();
  }

  private quiet(): void {
    this.isJoined = false;
    const { deadline, silence, beat, joining } = this;
    for (const timer of [deadline, silence, beat, joining]) this.source.clearTimeout(timer);
  }

  private closed(code: number): void {
    this.socket = null;
    this.quiet();
    if (code === NO_SUCH_VERSION) {
      this.hearer.state("outdated");
      this.giveUp(new Unreachable("the server speaks another version"));
      return;
    }
    if (code === TOKEN_ENDED && this.token !== null) this.source.refused(this.token);
    this.hearer.state(this.lastEvent === null ? "connecting" : "lost");
    if (LATER.includes(code)) this.pauseMs = Math.max(this.pauseMs, 4 * FIRST_PAUSE_MS);
    this.source.clearTimeout(this.opening);
    this.opening = this.source.setTimeout(() => void this.open(), this.nextPause());
  }

  private nextPause(): number {
    const pause = this.pauseMs * (0.5 + this.source.random());
    this.pauseMs = Math.min(2 * this.pauseMs, LONGEST_PAUSE_MS);
    return pause;
  }

  private join(): void {
    this.joinId = this.newId();
    const after = this.lastEvent === null ? {} : { after: this.lastEvent };
    this.tell({ type: "join", id: this.joinId, room: this.room, ...after });
    this.source.clearTimeout(this.deadline);
    this.deadline = this.expect();
  }

  private hear(data: unknown): void {
    const message = parse(data);
    switch (message["type"]) {
      case "welcome":
        this.hearer.welcomed(textOf(message["user"]));
        this.keepBeating(Number(message["heartbeat_seconds"]) || 30);
        this.join();
        break;
      case "joined":
        if (message["id"] === this.joinId) this.onJoined(message);
        break;
      case "left":
        this.isJoined = false;
        this.join();
        break;
      case "sent":
        this.answered(message)?.done();
        break;
      case "pong":
        if (message["id"] === this.pingId) this.source.clearTimeout(this.silence);
        break;
      case "error":
        this.onError(message);
        break;
      case "presence":
        this.hearer.presence(Number(message["viewers"]) || 0);
        break;
      case "message":
      case "deleted":
      case "changed":
        this.onEvent(message);
        break;
      default:
    }
  }

  private onJoined(message: Message): void {
    const room = message["room"] as ChatRoom;
    const keeps = this.lastEvent !== null && message["is_complete"] === true;
    if (!keeps) this.lastEvent = room.last_event;
    this.source.clearTimeout(this.deadline);
    this.pauseMs = FIRST_PAUSE_MS;
    this.isJoined = true;
    this.hearer.state("joined");
    this.hearer.joined(room, keeps);
    for (const [id, waiting] of [...this.waiting]) this.send(id, waiting);
  }

  private onEvent(message: Message): void {
    const event = Number(message["event"]);
    // Each comes once; what was said before a backup was restored has a number that comes again.
    if (!(event > (this.lastEvent ?? -1))) return;
    this.lastEvent = event;
    if (message["type"] === "message") this.hearer.said(message["message"] as ChatMessage);
    else if (message["type"] === "deleted") this.hearer.deleted(String(message["message"]));
    else {
      this.hearer.changed({
        slow_mode_seconds: Number(message["slow_mode_seconds"]) || 0,
        followers_only: message["followers_only"] === true,
      });
    }
  }

  private onError(message: Message): void {
    const problem = problemOf(message);
    if (message["id"] === this.joinId) {
      this.source.clearTimeout(this.deadline);
      if (problem.status === 404) {
        this.hearer.state("barred");
        this.giveUp(problem);
        return;
      }
      const pause = problem.retryAfter === null ? this.nextPause() : problem.retryAfter * 1_000;
      this.joining = this.source.setTimeout(() => this.join(), pause);
      return;
    }
    this.answered(message)?.failed(problem);
  }

  private answered(message: Message): Waiting | undefined {
    const id = textOf(message["id"]) ?? "";
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    return waiting;
  }

  /** Once more, where no answer came over the socket before. */
  private send(id: string, waiting: Waiting): void {
    waiting.tries += 1;
    if (waiting.tries > TRIES) {
      this.waiting.delete(id);
      waiting.failed(new Unreachable("no answer"));
      return;
    }
    this.tell(waiting.frame);
  }

  /** A script sees no pings of the server: it asks itself, and takes no answer for the end. */
  private keepBeating(seconds: number): void {
    this.source.clearTimeout(this.beat);
    this.beat = this.source.setTimeout(() => {
      this.pingId = this.newId();
      this.tell({ type: "ping", id: this.pingId });
      this.source.clearTimeout(this.silence);
      this.silence = this.expect();
      void this.showToken();
      this.keepBeating(seconds);
    }, seconds * 1_000);
  }

  /** The token that the socket was opened with ends before the socket does. */
  private async showToken(): Promise<void> {
    const { socket, turn } = this;
    try {
      const token = await this.source.accessToken();
      if (turn !== this.turn || socket === null || token === this.token || token === null) return;
      this.token = token;
      this.tell({ type: "authenticate", authorization: `Bearer ${token}` });
    } catch (error) {
      // Without another one the server ends the socket, and the next try brings it.
      console.info("chat:", error);
    }
  }
}

function problemOf(message: Message): Problem {
  const code = textOf(message["code"]) ?? "";
  const after = message["retry_after_seconds"];
  const retryAfter = typeof after === "number" ? after : null;
  return new Problem(STATUS.get(code) ?? 400, code, sentence(textOf(message["message"])), [], retryAfter);
}

/** As REST answers. */
const STATUS: ReadonlyMap<string, number> = new Map([
  ["unauthenticated", 401],
  ["chat-timed-out", 403],
  ["chat-banned", 403],
  ["followers-only", 403],
  ["not-found", 404],
  ["slow-mode", 429],
  ["rate-limited", 429],
  ["internal", 500],
  ["busy", 503],
]);

function sentence(text: string | null): string {
  if (text === null || text === "") return "That did not work.";
  const whole = /[.!?]$/.test(text) ? text : `${text}.`;
  return whole.charAt(0).toUpperCase() + whole.slice(1);
}

function parse(data: unknown): Message {
  try {
    const message: unknown = JSON.parse(String(data));
    if (typeof message === "object" && message !== null) return message as Message;
  } catch (error) {
    console.info("chat:", error);
  }
  return {};
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
