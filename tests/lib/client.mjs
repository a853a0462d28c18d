// HTTP as a client of the broker sees it: node's own client for ordinary requests, raw TLS for everything that a
// well-behaved client would never send.
import https from 'node:https';
import tls from 'node:tls';

/**
 * One request. options: key (sent as Bearer), headers, body, agent. Returns {status, headers, text, json()}.
 */
export function request(broker, method, path, { key, headers = {}, body, agent = false, onResponse } = {}) {
  return new Promise((resolve, reject) => {
    const req = https.request({
      host: '127.0.0.1', port: broker.proxy, ca: broker.ca, method, path, agent,
      headers: { ...(key ? { authorization: `Bearer ${key}` } : {}), ...headers },
    }, (res) => {
      onResponse?.(res);
      const parts = [];
      res.on('data', (d) => parts.push(d));
      res.on('error', reject);
      res.on('aborted', () => reject(new Error('response aborted')));
      res.on('end', () => {
        const text = Buffer.concat(parts).toString();
        resolve({ status: res.statusCode, headers: res.headers, text, json: () => JSON.parse(text) });
      });
    });
    req.on('error', reject);
    if (body !== undefined) req.end(body);
    else req.end();
  });
}

/** Opens TLS to the proxy; resolves when the handshake is done. */
export function connect(broker) {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: '127.0.0.1', port: broker.proxy, ca: broker.ca, servername: 'localhost' });
    socket.once('secureConnect', () => resolve(socket));
    socket.once('error', reject);
  });
}

/**
 * Sends bytes as they stand and returns all that comes back until the broker closes, `ms` pass without a byte, or
 * `enough` says so of what has come.
 */
export async function raw(broker, bytes, { ms = 1500, enough = () => false } = {}) {
  const socket = await connect(broker);
  return new Promise((resolve) => {
    let got = '';
    const done = () => { clearTimeout(timer); socket.destroy(); resolve(got); };
    let timer = setTimeout(done, ms);
    socket.on('data', (d) => {
      got += d.toString('latin1');
      clearTimeout(timer);
      if (enough(got)) done();
      else timer = setTimeout(done, ms);
    });
    socket.on('end', done);
    socket.on('error', done);
    socket.write(bytes);
  });
}

/** Whether `text` ends with a whole final response (not one to HEAD). */
export function isWhole(text) {
  const at = text.search(/HTTP\/1\.1 [2-5]\d\d/);
  const end = text.indexOf('\r\n\r\n', at) + 4;
  if (at < 0 || end < 4) return false;
  const head = text.slice(at, end);
  const length = /\r\ncontent-length: (\d+)/i.exec(head);
  if (length) return text.length >= end + Number(length[1]);
  return /\r\ntransfer-encoding: chunked/i.test(head) ? text.endsWith('\r\n0\r\n\r\n') || text.slice(end) === '0\r\n\r\n' : /^HTTP\/1\.1 (204|304)/.test(head);
}

/** Status code of a raw answer, or 0. */
export function statusOf(text) {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0);
}
