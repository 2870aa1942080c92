// The server's side of a WebSocket (RFC 6455), as much as pages need: text, and the end.
import { createHash } from "node:crypto";

const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** Answers the handshake. What it gives has `text(message)`, `ended()`, `say` and `close(code)`. */
export function acceptSocket(request, socket) {
  const { "sec-websocket-key": key, "sec-websocket-protocol": protocol } = request.headers;
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  socket.write(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Sec-WebSocket-Accept: ${accept}\r\n` +
      (protocol === undefined ? "\r\n" : `Sec-WebSocket-Protocol: ${protocol}\r\n\r\n`),
  );
  const taken = {
    text() {},
    ended() {},
    say: (message) => socket.write(frame(TEXT, Buffer.from(JSON.stringify(message)))),
    close(code) {
      const payload = Buffer.alloc(2);
      payload.writeUInt16BE(code);
      socket.end(frame(CLOSE, payload));
    },
    destroy: () => socket.destroy(),
  };
  let rest = Buffer.alloc(0);
  socket.on("data", (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    for (let read = readFrame(rest); read !== null; read = readFrame(rest)) {
      rest = rest.subarray(read.size);
      if (read.kind === TEXT) taken.text(JSON.parse(read.payload.toString()));
      else if (read.kind === PING) socket.write(frame(PONG, read.payload));
      else if (read.kind === CLOSE) socket.end(frame(CLOSE, read.payload));
    }
  });
  socket.on("close", () => taken.ended());
  return taken;
}

function frame(kind, payload) {
  const { length } = payload;
  const head = length < 126 ? Buffer.alloc(2) : Buffer.alloc(4);
  head[0] = 0x80 | kind;
  head[1] = length < 126 ? length : 126;
  if (length > 0xffff) throw new Error(`${length} bytes are too many for one frame here`);
  if (length >= 126) head.writeUInt16BE(length, 2);
  return Buffer.concat([head, payload]);
}

/** The first frame, which is masked and not in pieces; `null` while it has not all come. */
function readFrame(bytes) {
  if (bytes.length < 2) return null;
  const isLong = (bytes[1] & 0x7f) === 126;
  const at = isLong ? 4 : 2;
  if (bytes.length < at + 4) return null;
  const length = isLong ? bytes.readUInt16BE(2) : bytes[1] & 0x7f;
  const size = at + 4 + length;
  if (bytes.length < size) return null;
  const mask = bytes.subarray(at, at + 4);
  const payload = Buffer.from(bytes.subarray(at + 4, size)).map((byte, i) => byte ^ mask[i % 4]);
  return { kind: bytes[0] & 0x0f, payload, size };
}
