import type { HlsConfig, LoaderConfig, RetryConfig } from "hls.js";

/**
 * A playlist that has not begun to come by now is asked for again, over HTTP/1.1 on a connection
 * of its own: one that was cut sends again at longer and longer intervals, so that a new one is
 * there sooner. The server loses nothing by it, since what is asked for twice is fetched once.
 */
const PLAYLIST_FIRST_BYTE_MS = 4_000;

/** Media come by the same connections, and are larger: one that is slow is no failure. */
const MEDIA_FIRST_BYTE_MS = 10_000;

/**
 * hls.js counts the failures of all playlists, and of all media, together: what is refused at
 * once is given up after 29 s, and after 14 s where picture and sound are apart. Then another
 * rendition is tried; where there is none `Recovery` goes on, or `Outage` ends it.
 */
const TRIES = 16;

/**
 * Whether a request that failed is made again: as hls.js has it, and when its connection broke
 * or was refused, as it is while a server starts anew.
 */
export const shouldRetry: NonNullable<RetryConfig["shouldRetry"]> = (
  policy,
  count,
  _isTimeout,
  response,
  usually,
) => usually || (response?.code === 0 && count < (policy?.maxNumRetry ?? 0));

const AFTER_ERROR: RetryConfig = {
  maxNumRetry: TRIES,
  retryDelayMs: 500,
  maxRetryDelayMs: 2_000,
  shouldRetry,
};
const AT_ONCE: RetryConfig = { maxNumRetry: TRIES, retryDelayMs: 0, maxRetryDelayMs: 0 };

const PLAYLISTS: LoaderConfig = {
  maxTimeToFirstByteMs: PLAYLIST_FIRST_BYTE_MS,
  maxLoadTimeMs: 10_000,
  timeoutRetry: AT_ONCE,
  errorRetry: AFTER_ERROR,
};

/**
 * How long hls.js waits, and how often it tries again: longer than a network that is cut for
 * ten seconds. A multivariant playlist is not waited for so long, because nothing is on the
 * page without it.
 */
export const LOAD_POLICIES: Partial<HlsConfig> = {
  manifestLoadPolicy: {
    default: {
      ...PLAYLISTS,
      timeoutRetry: { ...AT_ONCE, maxNumRetry: 1 },
      errorRetry: { ...AFTER_ERROR, maxNumRetry: 2 },
    },
  },
  playlistLoadPolicy: { default: PLAYLISTS },
  fragLoadPolicy: {
    default: {
      maxTimeToFirstByteMs: MEDIA_FIRST_BYTE_MS,
      maxLoadTimeMs: 60_000,
      timeoutRetry: AFTER_ERROR,
      errorRetry: AFTER_ERROR,
    },
  },
};
