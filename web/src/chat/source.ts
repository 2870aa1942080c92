import { api } from "../browser";
import type { Socket } from "../notifications/news";
import type { ChatSource } from "./connection";

/** What a chat needs of a browser. */
export function browserSource(path: string): ChatSource {
  return {
    connect: () => {
      const url = new URL(path, location.href);
      url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
      return new WebSocket(url) as Socket;
    },
    accessToken: () => api.session.accessToken(),
    refused: (token) => api.session.refused(token),
    setTimeout: (run, ms) => window.setTimeout(run, ms),
    clearTimeout: (id) => window.clearTimeout(id),
    random: Math.random,
  };
}
