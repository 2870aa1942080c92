// The news of notifications: by a WebSocket, and by asking now and then while there is none.

/** How somebody's notifications stand. */
export interface News {
  readonly unread: number;
}

/** As much of a WebSocket as is needed. */
export interface Socket {
  onopen: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number }) => void) | null;
  send(text: string): void;
  close(): void;
}

export interface NewsSource {
  /** A socket that speaks `graphql-transport-ws`. */
  connect(): Socket;
  /** `null` when nobody is logged in. */
  accessToken(): Promise<string | null>;
  /** Asks how it stands. */
  ask(): Promise<News>;
  setTimeout(run: () => void, ms: number): number;
  clearTimeout(id: number | undefined): void;
}

/** While there is no socket. */
const ASK_EVERY_MS = 60_000;
/** The server closes who says nothing for three minutes. */
const PING_EVERY_MS = 60_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
/** The token that was shown is not good any more: another may be. */
const TOKEN_ENDED = 4401;

const QUERY = "subscription { notificationsChanged { unread notifications { id } } }";

/**
 * Tells of news until nobody is logged in any more. A socket that is lost is opened again after
 * longer and longer pauses; meanwhile the server is asked.
 */
export class NewsFeed {
  private socket: Socket | null = null;
  private isTold = false;
  private pauseMs = FIRST_PAUSE_MS;
  private asking: number | undefined;
  private pinging: number | undefined;
  private isStopped = false;

  constructor(
    private readonly source: NewsSource,
    private readonly onNews: (news: News) => void,
  ) {}

  start(): void {
    void this.open();
  }

  /** For good. */
  stop(): void {
    this.isStopped = true;
    this.source.clearTimeout(this.asking);
    this.source.clearTimeout(this.pinging);
    this.socket?.close();
  }

  private async open(): Promise<void> {
    let token: string | null = null;
    try {
      token = await this.source.accessToken();
    } catch (error) {
      console.info("notifications:", error);
      this.closed(0);
      return;
    }
    if (token === null || this.isStopped) return;
    const bearer = `Bearer ${token}`;
    const socket = this.source.connect();
    this.socket = socket;
    socket.onopen = () => {
      this.say({ type: "connection_init", payload: { Authorization: bearer } });
    };
    socket.onmessage = ({ data }) => this.hear(data);
    socket.onclose = ({ code }) => {
      if (this.socket === socket) this.closed(code);
    };
  }

  private say(message: unknown): void {
    this.socket?.send(JSON.stringify(message));
  }

  private hear(data: unknown): void {
    const message = parse(data);
    switch (message["type"]) {
      case "connection_ack":
        this.say({ id: "1", type: "subscribe", payload: { query: QUERY } });
        this.ping();
        break;
      case "ping":
        this.say({ type: "pong" });
        break;
      case "next": {
        const unread = unreadIn(message);
        if (unread === null) break;
        this.isTold = true;
        this.pauseMs = FIRST_PAUSE_MS;
        this.source.clearTimeout(this.asking);
        this.asking = undefined;
        this.onNews({ unread });
        break;
      }
      case "error":
      case "complete":
        // The server tells nothing more by this socket.
        this.socket?.close();
        break;
      default:
    }
  }

  private ping(): void {
    this.source.clearTimeout(this.pinging);
    this.pinging = this.source.setTimeout(() => {
      this.say({ type: "ping" });
      this.ping();
    }, PING_EVERY_MS);
  }

  private closed(code: number): void {
    this.socket = null;
    this.source.clearTimeout(this.pinging);
    if (this.isStopped) return;
    const wasTold = this.isTold;
    this.isTold = false;
    // What comes while there is no socket is asked for, and at once by those who never had one.
    if (this.asking === undefined) {
      this.asking = this.source.setTimeout(() => void this.ask(), wasTold ? ASK_EVERY_MS : 0);
    }
    const pauseMs = code === TOKEN_ENDED && wasTold ? 0 : this.pauseMs;
    this.pauseMs = Math.min(this.pauseMs * 2, LONGEST_PAUSE_MS);
    this.source.setTimeout(() => {
      if (!this.isStopped && this.socket === null) void this.open();
    }, pauseMs);
  }

  private async ask(): Promise<void> {
    try {
      const news = await this.source.ask();
      if (!this.isTold && !this.isStopped) this.onNews(news);
    } catch (error) {
      // Nobody asked for it.
      console.info("notifications:", error);
    }
    if (this.isTold || this.isStopped) return;
    this.asking = this.source.setTimeout(() => void this.ask(), ASK_EVERY_MS);
  }
}

function parse(data: unknown): Record<string, unknown> {
  try {
    const message: unknown = JSON.parse(String(data));
    if (isRecord(message)) return message;
  } catch (error) {
    console.info("notifications:", error);
  }
  return {};
}

function unreadIn(message: Record<string, unknown>): number | null {
  let value: unknown = message;
  for (const name of ["payload", "data", "notificationsChanged", "unread"]) {
    value = isRecord(value) ? value[name] : undefined;
  }
  return typeof value === "number" ? value : null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
