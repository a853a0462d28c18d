// A WebSocket through the whole broker: authorised and audited like any request, then a tunnel until somebody ends it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker, sleep, until } from '../lib/broker.mjs';
import { connect } from '../lib/client.mjs';
import { BINARY, CLOSE, PING, PONG, Socket, TEXT, acceptFor, open } from '../lib/websocket.mjs';
import { makeCertificates } from '../mock/certs.mjs';

const REAL_KEY = 'sk-real-90b2ce1f74da5863-upstream-only';
let dir, upstream, broker, key;

/** An upstream that takes every WebSocket: echoes messages, answers pings and Close; /pipe returns the bytes as they are. */
async function startEcho() {
  const certs = makeCertificates(dir, 'echo');
  const state = { key: REAL_KEY, caFile: certs.caFile, handshakes: [], sockets: [], received: 0 };
  const server = https.createServer({ cert: certs.cert, key: certs.key }, (req, res) => {
    req.resume();
    res.end('plain');
  });
  server.on('upgrade', (req, socket, head) => {
    state.handshakes.push(req);
    socket.on('error', () => {});
    if (req.headers.authorization !== `Bearer ${REAL_KEY}` || req.url.startsWith('/v1/no')) {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
      return;
    }
    const protocol = req.headers['sec-websocket-protocol']?.split(',')[0].trim();
    socket.write(['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket',
      `Sec-WebSocket-Accept: ${acceptFor(req.headers['sec-websocket-key'])}`,
      ...(protocol ? [`Sec-WebSocket-Protocol: ${protocol}`] : []), '', ''].join('\r\n'));
    if (req.url === '/v1/pipe') {
      socket.on('data', (d) => { state.received += d.length; });
      socket.pipe(socket);
      state.sockets.push({ socket });
      return;
    }
    const ws = new Socket(socket, false, head);
    state.sockets.push(ws);
    ws.on('message', (opcode, payload) => {
      if (opcode === CLOSE) {
        ws.send(CLOSE, payload);
        socket.end();
      } else if (payload.toString() === 'please end') {
        ws.send(CLOSE, Buffer.from([3, 232]));
      } else {
        ws.send(opcode === PING ? PONG : opcode, payload);
      }
    });
    ws.on('end', () => socket.end());
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  state.baseUrl = `https://127.0.0.1:${server.address().port}`;
  state.stop = () => new Promise((done) => { server.close(done); server.closeAllConnections(); state.sockets.forEach((s) => s.socket.destroy()); });
  return state;
}

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'relaykey-websocket-'));
  upstream = await startEcho();
  broker = await Broker.start();
  await broker.addConnection('live', upstream);
  key = (await broker.issueKey('live')).key;
});

after(async () => {
  await broker?.end();
  await upstream?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const message = async (ws) => (ws.messages.length ? ws.messages.shift() : (await once(ws, 'message'), ws.messages.shift()));

/** Opens one and fails unless it is a 101; `end` is the upstream's end of it. */
async function opened(path, options = { key }) {
  const from = upstream.sockets.length;
  const got = await open(broker, path, options);
  assert.ok(got.ws, `status ${got.status}: ${got.text}`);
  return { ...got, end: upstream.sockets[from] };
}

/** The rows of a request as the journal has them, in order. */
async function rowsOf(id, count) {
  return until(async () => {
    const exported = (await broker.cli(['audit', 'export', '--format', 'jsonl'])).stdout.split('\n').filter(Boolean);
    const rows = exported.map((l) => JSON.parse(l)).filter((r) => r.request_id === id);
    return rows.length >= count && rows;
  }, `${count} audit rows of ${id}`);
}

test('messages go both ways, and the upstream sees the real key alone', async () => {
  const { ws, res } = await opened('/live/realtime?model=m');
  assert.equal(res.headers['x-relaykey-decision'], 'allowed');
  assert.match(res.headers['x-relaykey-request-id'], /^req_/);
  const seen = upstream.handshakes.at(-1);
  assert.equal(seen.url, '/v1/realtime?model=m');
  assert.equal(seen.method, 'GET');
  assert.equal(seen.headers.authorization, `Bearer ${REAL_KEY}`);
  assert.ok(!JSON.stringify(seen.rawHeaders).includes('rk_'));
  ws.send(TEXT, 'hello');
  assert.deepEqual(await message(ws), [TEXT, Buffer.from('hello')]);
  ws.send(PING, 'p');
  assert.deepEqual(await message(ws), [PONG, Buffer.from('p')]);
  upstream.sockets.at(-1).send(TEXT, 'unasked');
  assert.deepEqual(await message(ws), [TEXT, Buffer.from('unasked')]);
  ws.socket.destroy();
});

test('a message of 1 MB comes back whole', async () => {
  const { ws } = await opened('/live/realtime');
  const data = randomBytes(1 << 20);
  ws.send(BINARY, data);
  const [opcode, back] = await message(ws);
  assert.equal(opcode, BINARY);
  assert.ok(back.equals(data));
  ws.socket.destroy();
});

test('the close handshake passes and both connections end properly', async () => {
  for (const first of ['client', 'upstream']) {
    const { ws, end, res } = await opened('/live/realtime');
    if (first === 'client') ws.send(CLOSE, Buffer.from([3, 232]));
    else ws.send(TEXT, 'please end');
    assert.deepEqual(await message(ws), [CLOSE, Buffer.from([3, 232])]);
    if (first === 'upstream') ws.send(CLOSE, Buffer.from([3, 232]));
    ws.on('end', () => ws.socket.end());
    await once(ws, 'gone');
    await until(() => end.closed, 'the upstream to see the end');
    assert.equal(ws.error, undefined);
    assert.equal(end.error, undefined);
    const [, response] = await rowsOf(res.headers['x-relaykey-request-id'], 2);
    assert.equal(response.outcome, 'complete');
  }
});

test('the audit log has the decision before, and the bytes after', async () => {
  const { ws, res } = await opened('/live/realtime?secret=hunter2');
  const id = res.headers['x-relaykey-request-id'];
  const [request] = await rowsOf(id, 1);
  assert.equal(request.type, 'request');
  assert.equal(request.decision, 'allowed');
  assert.equal(request.method, 'GET');
  assert.equal(request.path, '/v1/realtime');
  assert.ok(!JSON.stringify(request).includes('hunter2'));
  ws.send(TEXT, 'x'.repeat(1000));
  await message(ws);
  ws.socket.end();
  const rows = await rowsOf(id, 2);
  assert.equal(rows.length, 2);
  assert.equal(rows[1].type, 'response');
  assert.equal(rows[1].status, 101);
  assert.equal(rows[1].bytes_in, 1008); // two bytes, a length of two, a mask of four
  assert.equal(rows[1].bytes_out, 1004);
  assert.equal(rows[1].outcome, 'complete');
});

test('a side that is gone ends the other, and the row says which', async () => {
  const one = await opened('/live/realtime');
  one.ws.socket.destroy();
  await until(() => one.end.closed, 'the upstream to see it');
  const two = await opened('/live/realtime');
  two.end.socket.destroy();
  two.ws.on('end', () => two.ws.socket.end());
  await once(two.ws, 'gone');
  const outcome = async (res) => (await rowsOf(res.headers['x-relaykey-request-id'], 2))[1].outcome;
  assert.equal(await outcome(one.res), 'client_gone');
  assert.equal(await outcome(two.res), 'upstream_gone');
});

test('revoking the key cuts both sides within 100 ms', async () => {
  const issued = await broker.issueKey('live', { holder: 'agent:leaky' });
  const { ws, end, res } = await opened('/live/realtime', { key: issued.key });
  const other = await opened('/live/realtime');
  ws.send(TEXT, 'still there');
  await message(ws);
  assert.equal((await broker.cli(['key', 'revoke', issued.id])).status, 0);
  const at = Date.now();
  await until(() => ws.closed && end.closed, 'both ends to be gone', 2000);
  assert.ok(ws.closed - at < 100, `client after ${ws.closed - at} ms`);
  assert.ok(end.closed - at < 100, `upstream after ${end.closed - at} ms`);
  const rows = await rowsOf(res.headers['x-relaykey-request-id'], 2);
  assert.equal(rows[1].outcome, 'cut');
  other.ws.send(TEXT, 'unharmed');
  assert.deepEqual(await message(other.ws), [TEXT, Buffer.from('unharmed')]);
  other.ws.socket.destroy();
});

test('a path outside the grant is 403 and never reaches the upstream; its twin does', async () => {
  const { key: scoped } = await broker.issueKey('live', { holder: 'app:scoped', extra: ['--method', 'GET', '--path', '/v1/realtime'] });
  const seen = upstream.handshakes.length;
  const denied = await open(broker, '/live/other', { key: scoped });
  assert.equal(denied.status, 403);
  assert.equal((await open(broker, '/live/realtime', { key: `${scoped}x` })).status, 401);
  assert.equal((await open(broker, '/live/realtime')).status, 401);
  assert.equal(upstream.handshakes.length, seen);
  const rows = await rowsOf(denied.headers['x-relaykey-request-id'], 1);
  assert.deepEqual([rows.length, rows[0].decision, rows[0].status], [1, 'denied', 403]);
  (await opened('/live/realtime', { key: scoped })).ws.socket.destroy();
});

test('the key is found among the subprotocols, as browsers send it, and taken out', async () => {
  const protocols = (k) => ({ 'Sec-WebSocket-Protocol': `realtime, openai-insecure-api-key.${k}, openai-beta.realtime-v1` });
  const { ws, res } = await opened('/live/realtime', { headers: protocols(key) });
  assert.equal(res.headers['sec-websocket-protocol'], 'realtime');
  const { headers } = upstream.handshakes.at(-1);
  assert.deepEqual(headers['sec-websocket-protocol'].split(/,\s*/), ['realtime', 'openai-beta.realtime-v1']);
  assert.equal(headers.authorization, `Bearer ${REAL_KEY}`);
  ws.socket.destroy();
  const { key: another } = await broker.issueKey('live', { holder: 'app:another' });
  assert.equal((await open(broker, '/live/realtime', { key: another, headers: protocols(key) })).status, 401);
  (await opened('/live/realtime', { key, headers: protocols(key) })).ws.socket.destroy();
});

test('an answer other than 101 is an ordinary response', async () => {
  const got = await open(broker, '/live/no', { key });
  assert.deepEqual([got.status, got.text], [403, 'no']);
  assert.equal(got.headers['x-relaykey-decision'], 'allowed');
});

test('who does not read makes the other side wait, and loses nothing', async () => {
  const SIZE = 48 << 20;
  const socket = await connect(broker);
  let head = '';
  socket.write(`GET /live/pipe HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
    + 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n');
  await new Promise((done) => {
    socket.on('data', function more(d) {
      head += d.toString('latin1');
      if (head.endsWith('\r\n\r\n')) { socket.off('data', more); done(); }
    });
  });
  assert.match(head, /^HTTP\/1\.1 101 /);
  socket.pause();
  upstream.received = 0;
  const piece = randomBytes(1 << 20);
  for (let n = 0; n < SIZE; n += piece.length) socket.write(piece);
  let last = -1;
  while (last !== upstream.received) {
    last = upstream.received;
    await sleep(300);
  }
  assert.ok(last < SIZE, 'all of it was taken although nothing was read');
  let back = 0, wrong = 0;
  socket.on('data', (d) => {
    if (d[0] !== piece[back % piece.length] || d.at(-1) !== piece[(back + d.length - 1) % piece.length]) wrong++;
    back += d.length;
  });
  socket.resume();
  await until(() => back === SIZE, 'all of it to come back', 20000);
  assert.equal(wrong, 0);
  socket.destroy();
});
