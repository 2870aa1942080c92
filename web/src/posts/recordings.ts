import type { Page } from "../resources";
import type { StudioApi } from "../studio/api";
import type { Recording } from "../studio/resources";

/** So many streams of which nothing is kept are passed over for one page. */
const STREAMS_AT_ONCE = 10;

/** Where a page begins. */
interface Place {
  /** The page of streams, */
  readonly streams: string | null;
  /** which of them, */
  readonly at: number;
  /** and the page of its recordings. */
  readonly recordings: string | null;
}

/**
 * Reads somebody's recordings page by page, one stream after the other. There is no list of all of
 * somebody's videos: those that were imported are left out.
 */
export function recordingsOf(
  owner: string,
  source: Pick<StudioApi, "streams" | "recordings">,
): (after: string | null) => Promise<Page<Recording>> {
  return async (after) => {
    let place: Place | null =
      after === null ? { streams: null, at: 0, recordings: null } : (JSON.parse(after) as Place);
    let items: readonly Recording[] = [];
    for (let tries = 0; place !== null && items.length === 0 && tries < STREAMS_AT_ONCE; tries += 1) {
      const here: Place = place;
      const page = await source.streams(owner, here.streams);
      // Where nothing is to be kept, nothing is.
      const streams = page.items.filter(({ settings }) => settings?.recording === true);
      const stream = streams[here.at];
      const found = stream === undefined ? null : await source.recordings(stream.name, here.recordings);
      items = found?.items ?? [];
      place = behind(here, found?.next ?? null, streams.length, page.next);
    }
    return { items, next: place === null ? null : JSON.stringify(place) };
  };
}

/** What comes next: of the same stream, the next one, or the next page of streams. */
function behind(here: Place, recordings: string | null, streams: number, next: string | null): Place | null {
  if (recordings !== null) return { ...here, recordings };
  if (here.at + 1 < streams) return { ...here, at: here.at + 1, recordings: null };
  return next === null ? null : { streams: next, at: 0, recordings: null };
}
