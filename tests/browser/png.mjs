// Pictures to send: PNG files that are made here.
import { deflateSync } from "node:zlib";

const CRCS = Uint32Array.from({ length: 256 }, (_, at) => {
  let crc = at;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  return crc;
});

function chunk(kind, data) {
  const checked = Buffer.concat([Buffer.from(kind), data]);
  let crc = 0xffffffff;
  for (const byte of checked) crc = (crc >>> 8) ^ CRCS[(crc ^ byte) & 0xff];
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length);
  frame.writeUInt32BE((crc ^ 0xffffffff) >>> 0, 4);
  return Buffer.concat([frame.subarray(0, 4), checked, frame.subarray(4)]);
}

/** A PNG of this size, from one colour above to the other below. */
export function png(width, height, above = [40, 90, 200], below = [240, 150, 60]) {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width);
  head.writeUInt32BE(height, 4);
  head.set([8, 2], 8);
  const rows = [];
  for (let y = 0; y < height; y += 1) {
    const row = Buffer.alloc(1 + 3 * width);
    for (let x = 0; x < width; x += 1) {
      const share = (y + x / 4) / (height + width / 4);
      above.forEach((from, at) => (row[1 + 3 * x + at] = from + (below[at] - from) * share));
    }
    rows.push(row);
  }
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const data = deflateSync(Buffer.concat(rows));
  return Buffer.concat([signature, chunk("IHDR", head), chunk("IDAT", data), chunk("IEND", Buffer.alloc(0))]);
}

/** A file for a field of files. */
export function pngFile(name, ...of) {
  return { name, mimeType: "image/png", buffer: png(...of) };
}
