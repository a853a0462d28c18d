// A client of the management interface for measuring: connections that stay open, one request after another on each.
import https from 'node:https';

/** A management key, and requests with it. */
export async function apiClient(broker, role = 'admin') {
  const { key } = await broker.json(['mgmt', 'issue', '--role', role, '--name', 'bench']);
  const agent = new https.Agent({ keepAlive: true });
  const ask = (method, path, body) => new Promise((resolve, reject) => {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const headers = { authorization: `Bearer ${key}`, ...(payload ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) } : {}) };
    const req = https.request({ host: '127.0.0.1', port: broker.ports.console, ca: broker.ca, agent, method, path, headers }, (res) => {
      const parts = [];
      res.on('data', (d) => parts.push(d));
      res.on('error', reject);
      res.on('end', () => {
        const text = Buffer.concat(parts).toString();
        if (res.statusCode >= 300) reject(new Error(`${method} ${path}: ${res.statusCode} ${text}`));
        else resolve(text ? JSON.parse(text) : null);
      });
    });
    req.on('error', reject);
    req.end(payload);
  });
  return { ask, close: () => agent.destroy() };
}

/** `clients` that do `work(n)` one after another for some seconds; [{us}] of each, and how long it took. */
export async function repeat(clients, seconds, work) {
  const began = performance.now();
  const took = [];
  let n = 0;
  await Promise.all(Array.from({ length: clients }, async () => {
    while (performance.now() - began < seconds * 1000) {
      const from = performance.now();
      await work(n++);
      took.push((performance.now() - from) * 1000);
    }
  }));
  return summary(took, (performance.now() - began) / 1000);
}

export function summary(took, seconds) {
  const sorted = [...took].sort((a, b) => a - b);
  const at = (q) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
  return { n: took.length, seconds, p50: at(0.5), p99: at(0.99) };
}

/** All pages of a list; {entries, seconds, p50, p99} of the pages. */
export async function allPages(client, path) {
  const took = [];
  const began = performance.now();
  let entries = 0;
  for (let cursor = ''; cursor !== null;) {
    const from = performance.now();
    const page = await client.ask('GET', `${path}${path.includes('?') ? '&' : '?'}limit=200${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    took.push((performance.now() - from) * 1000);
    entries += page.data.length;
    cursor = page.next_cursor;
  }
  return { entries, ...summary(took, (performance.now() - began) / 1000) };
}
