// A mail server that takes every mail, and finds the links in them.
import { SMTPServer } from "smtp-server";

const PATIENCE_MS = 20_000;

export class Mailbox {
  mails = [];
  waiting = new Set();

  /** Listens on a free port of this machine. */
  async listen() {
    this.server = new SMTPServer({
      authOptional: true,
      disabledCommands: ["STARTTLS", "AUTH"],
      logger: false,
      onData: (stream, { envelope }, done) => {
        const chunks = [];
        stream.on("data", (chunk) => chunks.push(chunk));
        stream.on("end", () => {
          const text = readable(Buffer.concat(chunks).toString());
          for (const { address } of envelope.rcptTo) this.mails.push({ to: address, text });
          for (const wake of this.waiting) wake();
          done();
        });
      },
    });
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return this.server.server.address().port;
  }

  close() {
    return new Promise((resolve) => this.server.close(resolve));
  }

  /** The link to `path` in a mail to `to` that nobody has taken; waits for one. */
  async takeLink(to, path) {
    const link = new RegExp(`https?://[^\\s]+${path}#token=[\\w-]+`);
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const at = this.mails.findIndex((mail) => mail.to === to && link.test(mail.text));
      if (at >= 0) return link.exec(this.mails.splice(at, 1)[0].text)[0];
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`no mail to ${to} with a link to ${path}`);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        const wake = () => {
          clearTimeout(timer);
          this.waiting.delete(wake);
          resolve();
        };
        this.waiting.add(wake);
      });
    }
  }
}

/** The text of a mail in one part: RFC 2045 6.7 and 6.8, as far as ASCII needs them. */
function readable(mail) {
  const end = mail.indexOf("\r\n\r\n");
  const head = mail.slice(0, end);
  const body = mail.slice(end + 4);
  if (/^content-transfer-encoding: base64/im.test(head)) return Buffer.from(body, "base64").toString();
  if (!/^content-transfer-encoding: quoted-printable/im.test(head)) return body;
  const whole = body.replace(/=\r\n/g, "");
  return whole.replace(/=([0-9A-F]{2})/g, (_, code) => String.fromCharCode(parseInt(code, 16)));
}
