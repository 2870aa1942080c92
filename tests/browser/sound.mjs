// A recording that a browser plays by itself, as Safari does: a sound, dated from START on.

export const START = Date.parse("2027-01-15T08:00:00Z");
export const SECONDS = 300;
/** Where it is. */
export const SOUND = "/vod/x/sound.wav";

/** Nothing to be heard, as a WAV file. */
function silence(seconds) {
  const rate = 4_000;
  const wav = Buffer.alloc(44 + rate * seconds, 128);
  wav.write("RIFF");
  wav.writeUInt32LE(wav.length - 8, 4);
  wav.write("WAVEfmt ", 8);
  wav.writeUInt32LE(16, 16);
  // PCM of one channel, 8 bits a sample.
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(1, 22);
  wav.writeUInt32LE(rate, 24);
  wav.writeUInt32LE(rate, 28);
  wav.writeUInt16LE(1, 32);
  wav.writeUInt16LE(8, 34);
  wav.write("data", 36);
  wav.writeUInt32LE(wav.length - 44, 40);
  return wav;
}

const WAV = silence(SECONDS);

function sound(route) {
  const [, first, last] = /bytes=(\d+)-(\d*)/.exec(route.request().headers().range ?? "") ?? [];
  const headers = { "Content-Type": "audio/wav", "Accept-Ranges": "bytes" };
  if (first === undefined) return route.fulfill({ headers, body: WAV });
  const end = last === "" ? WAV.length - 1 : Math.min(Number(last), WAV.length - 1);
  const range = `bytes ${first}-${end}/${WAV.length}`;
  const body = WAV.subarray(Number(first), end + 1);
  return route.fulfill({ status: 206, headers: { ...headers, "Content-Range": range }, body });
}

/** Brings it to a page, which is to be opened after that, and leaves the browser nothing else to play with. */
export async function bringSound(page) {
  await page.route(`**${SOUND}`, sound);
  await page.addInitScript((start) => {
    for (const name of ["MediaSource", "ManagedMediaSource", "WebKitMediaSource"]) {
      Object.defineProperty(window, name, { value: undefined });
    }
    HTMLMediaElement.prototype.getStartDate = function startDate() {
      return new Date(this.readyState > 0 ? start : Number.NaN);
    };
  }, START);
}

/** Begins to play, and stands still. */
export const begin = (page) =>
  page.evaluate(async () => {
    const video = document.querySelector("video");
    video.muted = true;
    await video.play();
    video.pause();
  });

/** Goes to this second, and is there. */
export const seek = (page, seconds) =>
  page.evaluate(async (to) => {
    const video = document.querySelector("video");
    const there = new Promise((done) => video.addEventListener("seeked", done, { once: true }));
    video.currentTime = to;
    await there;
  }, seconds);
