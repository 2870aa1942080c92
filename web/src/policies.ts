import type { HlsConfig, LoaderConfig, RetryConfig } from "hls.js";

/**
 * What has not begun to come by now is asked for again, on a connection of its own: one that
 * was cut sends again at longer and longer intervals, so that a new one is there sooner. The
 * server loses nothing by it, since what is asked for twice is fetched once.
 */
const FIRST_BYTE_MS = 4_000;

/** hls.js counts the failures of all playlists, and of all media, together. */
const TRIES = 12;

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

const AFTER_TIMEOUT: RetryConfig = { maxNumRetry: TRIES, retryDelayMs: 0, maxRetryDelayMs: 0 };
const AFTER_ERROR: RetryConfig = {
  maxNumRetry: TRIES,
  retryDelayMs: 500,
  maxRetryDelayMs: 2_000,
  shouldRetry,
};

function patient(maxLoadTimeMs: number): LoaderConfig {
  return {
    maxTimeToFirstByteMs: FIRST_BYTE_MS,
    maxLoadTimeMs,
    timeoutRetry: AFTER_TIMEOUT,
    errorRetry: AFTER_ERROR,
  };
}

/**
 * How long hls.js waits, and how often it tries again: some twenty seconds, in which a network
 * that is cut for ten comes back without anything having failed. Then its error is fatal, and
 * `Recovery` goes on. A multivariant playlist is not waited for so long, because nothing is on
 * the page without it.
 */
export const LOAD_POLICIES: Partial<HlsConfig> = {
  manifestLoadPolicy: {
    default: {
      ...patient(10_000),
      timeoutRetry: { ...AFTER_TIMEOUT, maxNumRetry: 1 },
      errorRetry: { ...AFTER_ERROR, maxNumRetry: 2 },
    },
  },
  playlistLoadPolicy: { default: patient(10_000) },
  fragLoadPolicy: { default: patient(60_000) },
};
