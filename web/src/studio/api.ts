import { type Api, page, person, stream } from "../api";
import { api } from "../browser";
import type { Page } from "../resources";
import type {
  Analytics,
  CreatedStream,
  CreatedStreamKey,
  Recording,
  StreamChange,
  StreamKey,
  StreamStatus,
  StreamWish,
  StudioStream,
} from "./resources";

/** So often what was measured is asked for: an answer that is late is worth no wait. */
const STATUS_LIMIT_MS = 5_000;

/** The operations on one's streams. */
export class StudioApi {
  constructor(private readonly api: Pick<Api, "ask">) {}

  streams(owner: string, after: string | null): Promise<Page<StudioStream>> {
    return this.api.ask("GET", page(`${person(owner)}/streams`, after));
  }

  stream(name: string): Promise<StudioStream> {
    return this.api.ask("GET", stream(name));
  }

  createStream(wish: StreamWish, key: string): Promise<CreatedStream> {
    return this.api.ask("POST", "streams", { json: wish, key });
  }

  updateStream(name: string, change: StreamChange): Promise<StudioStream> {
    return this.api.ask("PATCH", stream(name), { json: change });
  }

  deleteStream(name: string): Promise<void> {
    return this.api.ask("DELETE", stream(name));
  }

  startStream(name: string): Promise<StudioStream> {
    return this.api.ask("PUT", `${stream(name)}/start`);
  }

  stopStream(name: string): Promise<StudioStream> {
    return this.api.ask("PUT", `${stream(name)}/stop`);
  }

  // Keys

  async keys(name: string): Promise<Page<StreamKey>> {
    const { keys } = await this.api.ask<{ keys: StreamKey[] }>("GET", `${stream(name)}/keys`);
    return { items: keys, next: null };
  }

  createKey(name: string, called: string, key: string): Promise<CreatedStreamKey> {
    return this.api.ask("POST", `${stream(name)}/keys`, { json: { name: called }, key });
  }

  rotateKey(name: string, id: string, graceSeconds: number, key: string): Promise<CreatedStreamKey> {
    const json = { grace_seconds: graceSeconds };
    return this.api.ask("POST", `${keyPath(name, id)}/rotate`, { json, key });
  }

  revokeKey(name: string, id: string): Promise<void> {
    return this.api.ask("DELETE", keyPath(name, id));
  }

  // What is measured, and kept

  status(name: string): Promise<StreamStatus> {
    return this.api.ask("GET", `${stream(name)}/status`, { limitMs: STATUS_LIMIT_MS });
  }

  recordings(name: string, after: string | null): Promise<Page<Recording>> {
    return this.api.ask("GET", page(`${stream(name)}/recordings`, after));
  }

  analytics(name: string, from: Date, to: Date): Promise<Analytics> {
    const range = new URLSearchParams({ from: from.toISOString(), to: to.toISOString() });
    return this.api.ask("GET", `${stream(name)}/analytics?${range}`);
  }
}

export const studio = new StudioApi(api);

function keyPath(name: string, id: string): string {
  return `${stream(name)}/keys/${encodeURIComponent(id)}`;
}
