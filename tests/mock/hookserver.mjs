// A receiver of webhooks that checks signatures as the documentation says, and answers as it is told.
import { createHmac, timingSafeEqual } from 'node:crypto';
import https from 'node:https';
import { makeCertificates } from './certs.mjs';

/** Whether a signature header is of `body` under `secret`, and not older than `tolerance` seconds. */
export function signatureHolds(header, secret, body, { tolerance = 300, now = Date.now() / 1000 } = {}) {
  const m = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(header ?? '');
  if (!m || Math.abs(now - Number(m[1])) > tolerance) return false;
  const want = createHmac('sha256', secret).update(`${m[1]}.`).update(body).digest();
  return timingSafeEqual(want, Buffer.from(m[2], 'hex'));
}

/** `received` lists {headers, body, json, path}. `answer` is a status, [status, headers], 'hang', or a function giving one. */
export async function startHookServer({ dir, name = 'mock', certs } = {}) {
  const own = makeCertificates(dir, name);
  const received = [];
  const waiting = new Set();
  const state = { answer: 200 };
  const server = https.createServer({ cert: (certs ?? own).cert, key: (certs ?? own).key }, (req, res) => {
    const parts = [];
    req.on('data', (d) => parts.push(d));
    req.on('end', () => {
      const body = Buffer.concat(parts).toString();
      const seen = { headers: req.headers, body, json: JSON.parse(body), path: req.url, method: req.method, at: Date.now() };
      received.push(seen);
      const told = typeof state.answer === 'function' ? state.answer(received.length, seen) : state.answer;
      if (told === 'hang') return waiting.add(res);
      const [status, headers, text] = Array.isArray(told) ? told : [told];
      res.writeHead(status, headers ?? {});
      return res.end(text ?? 'thanks');
    });
  });
  server.on('tlsClientError', () => {});
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address();
  return {
    received, port, caFile: own.caFile, url: `https://127.0.0.1:${port}/hook`,
    set answer(a) { state.answer = a; },
    release() { for (const res of waiting) res.end(); waiting.clear(); },
    stop: () => new Promise((done) => { server.close(done); server.closeAllConnections(); }),
  };
}
