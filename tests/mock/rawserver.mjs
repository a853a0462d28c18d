// An upstream over TLS that answers with bytes written out by the test, well-formed or not, and notes what came.
import { createServer } from 'node:tls';
import { makeCertificates } from './certs.mjs';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood';

/** Where the body of a request begins in `text`, or -1. */
const bodyAt = (text) => {
  const end = text.indexOf('\r\n\r\n');
  return end < 0 ? -1 : end + 4;
};

/** Whether `text`, a head and what follows, holds the whole body too (told by its framing). */
function complete(text) {
  const at = bodyAt(text);
  if (at < 0) return false;
  const length = /\r\nContent-Length: (\d+)/i.exec(text.slice(0, at));
  if (length) return text.length >= at + Number(length[1]);
  return /\r\nTransfer-Encoding: chunked/i.test(text.slice(0, at)) ? text.endsWith('0\r\n\r\n') : true;
}

/**
 * Starts it. `answers` maps the last path segment of a request to `(socket, text) => void`, which is called once the
 * whole request is there, or to the bytes of the answer; what is not in it gets a good answer. `requests` lists
 * everything that came as {name, text, whole}. A socket has reset(): the end with a TCP reset.
 */
export async function startRawServer({ dir, key, answers = {} }) {
  const certs = makeCertificates(dir, 'raw');
  const state = { key, requests: [], answers };
  const sockets = new Set();
  const raw = new Map(); // the TCP socket under each TLS one
  const server = createServer({ cert: certs.cert, key: certs.key }, (socket) => {
    const under = raw.get(socket.remotePort);
    let now = null;
    // TLS has no reset of its own
    socket.reset = () => under.resetAndDestroy();
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    socket.on('data', (d) => {
      if (!now) {
        now = { name: '', text: '', whole: false };
        state.requests.push(now);
      }
      now.text += d.toString('latin1');
      now.name = /^\S+ \S*\/([^/? ]+)/.exec(now.text)?.[1] ?? '';
      if (!complete(now.text)) return;
      now.whole = true;
      const { text } = now;
      const answer = state.answers[now.name] ?? OK;
      now = null;
      if (typeof answer === 'function') answer(socket, text);
      else socket.write(Buffer.from(answer, 'latin1'));
    });
  });
  server.on('connection', (socket) => {
    const { remotePort } = socket;
    raw.set(remotePort, socket);
    socket.on('close', () => raw.delete(remotePort));
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return Object.assign(state, {
    port: server.address().port,
    caFile: certs.caFile,
    baseUrl: `https://127.0.0.1:${server.address().port}`,
    stop: () => new Promise((done) => { server.close(done); sockets.forEach((s) => s.destroy()); }),
  });
}
