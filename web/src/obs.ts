import { part } from "./dom";
import { wireCopy } from "./secret";

/** Where encoders publish to, as the page was told; `host` is where it came from. */
export function serverUrl(told: string, host: string): string {
  return `${told.replace("{host}", host)}/live`;
}

/** Shows what is typed into OBS Studio. */
export function showObs(root: HTMLElement): void {
  const told = document.querySelector<HTMLMetaElement>('meta[name="rtmp"]')?.content ?? "rtmp://{host}";
  const server = serverUrl(told, location.hostname);
  part(root, "server", HTMLElement).textContent = server;
  wireCopy(part(root, "copy-server", HTMLButtonElement), () => server);
}
