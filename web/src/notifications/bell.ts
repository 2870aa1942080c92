import { api } from "../browser";
import { part } from "../dom";
import { type News, NewsFeed, type Socket } from "./news";
import { unreadLabel } from "./sentence";

const PROTOCOL = "graphql-transport-ws";

const listeners = new Set<(news: News) => void>();

/** Calls `told` with all news that this page gets. */
export function onNews(told: (news: News) => void): void {
  listeners.add(told);
}

/** Shows how many notifications are unread, for as long as the page is open. */
export function showUnread(): void {
  const bell = part(document, "bell", HTMLAnchorElement);
  const count = part(bell, "unread", HTMLElement);
  const status = part(bell, "unread-status", HTMLElement);
  onNews(({ unread }) => {
    const label = unreadLabel(unread);
    count.textContent = label;
    count.hidden = label === "";
    status.textContent = label === "" ? "" : `${label} unread`;
  });
  if (api.session.known === null) return;
  let feed = begin();
  // A page that is kept for the way back holds no socket open.
  window.addEventListener("pagehide", () => feed.stop());
  window.addEventListener("pageshow", ({ persisted }) => {
    if (persisted) feed = begin();
  });
}

function begin(): NewsFeed {
  const feed = new NewsFeed(
    {
      connect,
      accessToken: () => api.session.accessToken(),
      ask: () => api.unreadNotifications(),
      setTimeout: (run, ms) => window.setTimeout(run, ms),
      clearTimeout: (id) => window.clearTimeout(id),
    },
    (news) => {
      for (const told of listeners) told(news);
    },
  );
  feed.start();
  return feed;
}

function connect(): Socket {
  const url = new URL("/graphql/ws", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return new WebSocket(url, PROTOCOL) as Socket;
}
