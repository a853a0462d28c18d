// A strict upstream over TLS: it answers only to the real key, notes every request, and reports anything that a
// broker must never let through (a relay key, an x-relaykey header, a second credential).
//
// As a program: node upstream.mjs --dir DIR [--port N] [--key-file FILE]; prints "mock ready port=N ca=FILE".
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import https from 'node:https';
import { pathToFileURL } from 'node:url';
import { makeCertificates } from './certs.mjs';
import { answerProvider, json } from './providers.mjs';

const CREDENTIAL_HEADERS = ['authorization', 'x-api-key', 'api-key', 'xi-api-key', 'x-goog-api-key', 'x-custom-key'];
const CREDENTIAL_PARAMS = ['key', 'api_key', 'access_token'];

/** The credentials of a request as [place, value], with Bearer and Basic taken apart. */
function credentials(req, url) {
  const found = [];
  for (const name of CREDENTIAL_HEADERS) {
    const value = req.headers[name];
    if (value === undefined) continue;
    const basic = /^Basic (.+)$/.exec(value);
    const text = basic ? Buffer.from(basic[1], 'base64').toString() : value.replace(/^(Bearer|Token) /, '');
    found.push([name, basic ? text.slice(text.indexOf(':') + 1) : text]);
  }
  for (const name of CREDENTIAL_PARAMS) {
    if (url.searchParams.has(name)) found.push([name, url.searchParams.get(name)]);
  }
  return found;
}

function leaks(req, found, key) {
  const all = [req.url, ...req.rawHeaders];
  if (all.some((text) => /rk_(app|agent|person|vendor|mgmt)_/.test(text))) return 'a relay key reached the upstream';
  if (req.rawHeaders.some((text) => /^x-relaykey/i.test(text))) return 'an x-relaykey header reached the upstream';
  if (found.some(([, value]) => value !== key) && found.some(([, value]) => value === key)) return 'a second credential came with the real one';
  return null;
}

function readBody(req) {
  return new Promise((resolve, reject) => {
    const parts = [];
    req.on('data', (d) => parts.push(d));
    req.on('end', () => resolve(Buffer.concat(parts)));
    req.on('error', reject);
    req.on('aborted', () => reject(new Error('aborted')));
  });
}

async function digestBody(req) {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const part of req) {
    hash.update(part);
    bytes += part.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}

const BLOCK = Buffer.alloc(65536, 'relaykey ');

async function sendBytes(res, total, chunked) {
  res.writeHead(200, { 'content-type': 'application/octet-stream', ...(chunked ? {} : { 'content-length': total }) });
  for (let left = total; left > 0 && !res.destroyed; left -= BLOCK.length) {
    const more = res.write(left >= BLOCK.length ? BLOCK : BLOCK.subarray(0, left));
    if (!more && !res.destroyed) await new Promise((done) => { res.once('drain', done); res.once('close', done); });
  }
  res.end();
}

async function sendEvents(res, url) {
  const count = Number(url.searchParams.get('n') ?? 10);
  const pause = Number(url.searchParams.get('ms') ?? 100);
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  for (let i = 0; i < count && !res.destroyed; i++) {
    res.write(`data: {"i":${i},"sent":${Date.now()}}\n\n`);
    await new Promise((done) => setTimeout(done, pause));
  }
  res.end();
}

async function answer(req, res, url) {
  const path = url.pathname;
  if (path === '/v1/upload') return json(res, 200, await digestBody(req));
  if (path === '/v1/early') return json(res, 413, { early: true }, { connection: 'close' });
  const body = await readBody(req);
  if (path === '/v1/bytes') return sendBytes(res, Number(url.searchParams.get('n')), url.searchParams.has('chunked'));
  if (path === '/v1/sse') return sendEvents(res, url);
  if (path === '/v1/slow') {
    await new Promise((done) => setTimeout(done, Number(url.searchParams.get('ms') ?? 100)));
    return json(res, 200, { slow: true });
  }
  if (path.startsWith('/v1/status/')) {
    const status = Number(path.slice(11));
    if (status === 204 || status === 304) return res.writeHead(status).end();
    return json(res, status, { status });
  }
  if (path === '/v1/close') return req.socket.destroy();
  if (path === '/v1/truncate') {
    res.writeHead(200, { 'content-length': 1000 });
    res.write('only this');
    return setTimeout(() => req.socket.destroy(), 50);
  }
  if (path === '/v1/limited') return json(res, 429, {}, { 'x-ratelimit-remaining-requests': '7', 'retry-after': '13' });
  if (path === '/v1/cookie') return json(res, 200, {}, { 'set-cookie': 'session=upstream' });
  if (await answerProvider(req, res, path, body.toString())) return undefined;
  return json(res, 200, { method: req.method, url: req.url, headers: req.headers, raw: req.rawHeaders,
    bytes: body.length, sha256: createHash('sha256').update(body).digest('hex') });
}

/**
 * Starts it on 127.0.0.1. `seen` lists the requests ({method, path, authorized}), `last` is the newest as it came,
 * `complaints` what should never have arrived. `key` may be changed while it runs.
 */
export async function startUpstream({ dir, key, port = 0, keep = true }) {
  const certs = makeCertificates(dir);
  const state = { key, seen: [], complaints: [], count: 0, connections: 0 };
  const server = https.createServer({ cert: certs.cert, key: certs.key, keepAliveTimeout: 60000 }, (req, res) => {
    const url = new URL(req.url, 'https://localhost');
    const found = credentials(req, url);
    const authorized = found.length > 0 && found.every(([, value]) => value === state.key);
    const leak = leaks(req, found, state.key);
    state.count++;
    if (leak) state.complaints.push(`${leak}: ${req.method} ${url.pathname}`);
    state.last = { url: req.url, headers: req.headers };
    if (keep) state.seen.push({ method: req.method, path: url.pathname, authorized, at: Date.now() });
    res.on('error', () => {});
    if (!authorized) {
      req.resume();
      return json(res, 401, { error: { message: 'wrong upstream key', type: 'invalid_request_error' } });
    }
    return answer(req, res, url).catch(() => res.destroy());
  });
  server.on('connection', () => { state.connections++; });
  server.on('clientError', (_err, socket) => socket.destroy());
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return Object.assign(state, {
    port: server.address().port,
    caFile: certs.caFile,
    baseUrl: `https://127.0.0.1:${server.address().port}`,
    stop: () => new Promise((done) => { server.close(done); server.closeAllConnections(); }),
  });
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const option = (name, fallback) => {
    const i = process.argv.indexOf(name);
    return i < 0 ? fallback : process.argv[i + 1];
  };
  const dir = option('--dir', '.');
  const keyFile = option('--key-file', null);
  mkdirSync(dir, { recursive: true });
  const upstream = await startUpstream({
    dir,
    port: Number(option('--port', '0')),
    key: keyFile ? readFileSync(keyFile, 'utf8').trim() : 'sk-play-upstream-key',
    keep: false,
  });
  console.log(`mock ready port=${upstream.port} ca=${upstream.caFile}`);
  process.on('SIGTERM', () => upstream.stop().then(() => process.exit(0)));
  process.on('SIGINT', () => upstream.stop().then(() => process.exit(0)));
}
