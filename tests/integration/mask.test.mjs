// An upstream that sends back the secret it was sent: the client never sees it, and sees everything else as it was.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker, sleep, until } from '../lib/broker.mjs';
import { raw, request } from '../lib/client.mjs';
import { TEXT, acceptFor, open } from '../lib/websocket.mjs';
import { startRawServer } from '../mock/rawserver.mjs';
import { startUpstream } from '../mock/upstream.mjs';

const REAL_KEY = 'sk-real-5be07d21c94fa638-upstream-only';
const STARS = '*'.repeat(REAL_KEY.length);
const NEAR = `${REAL_KEY.slice(0, -1)}Y`;
const MB = 1 << 20;
let dir, wire, upstream, broker, key, keyId;

const whole = (body, head = '') => `HTTP/1.1 200 OK\r\n${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
const chunk = (text) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';

/** Writes parts with a pause between them. */
async function slowly(socket, parts, ms) {
  for (const part of parts) {
    socket.write(part);
    await sleep(ms);
  }
}

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'relaykey-mask-'));
  wire = await startRawServer({ dir, key: REAL_KEY });
  upstream = await startUpstream({ dir, key: REAL_KEY });
  broker = await Broker.start();
  await broker.addConnection('wire', wire);
  await broker.addConnection('mock', upstream);
  ({ key, id: keyId } = await broker.issueKey('wire'));
});

after(async () => {
  await broker?.end();
  await wire?.stop();
  await upstream?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** Asks the raw upstream, which answers `answer`; through the connection `name` with its key. */
async function ask(answer, { name = 'wire', with: using = key, ...options } = {}) {
  wire.answers.it = answer;
  return request(broker, options.method ?? 'GET', `/${name}/it`, { key: using, ...options });
}

/** The RESPONSE row's detail of the request that `res` answered. */
async function detailOf(res) {
  const id = res.headers['x-relaykey-request-id'];
  const row = await until(async () => (await broker.lines(['audit', 'list', '--limit', '20'])).find((r) => r.request_id === id && r.outcome), 'the row');
  return row.detail ?? '';
}

test('the secret is masked in a header and in a JSON body, its near miss is not', async () => {
  const body = JSON.stringify({ authorization: `Bearer ${REAL_KEY}`, near: NEAR, twice: REAL_KEY + REAL_KEY });
  const res = await ask(whole(body, `X-Echo: Bearer ${REAL_KEY}\r\nX-Near: ${NEAR}\r\nLocation: https://a.example/?key=${REAL_KEY}&n=1\r\n`));
  assert.equal(res.status, 200);
  assert.equal(res.headers['x-echo'], `Bearer ${STARS}`);
  assert.equal(res.headers['x-near'], NEAR);
  assert.equal(res.headers.location, `https://a.example/?key=${STARS}&n=1`);
  assert.equal(res.text, body.replaceAll(REAL_KEY, STARS));
  assert.equal(res.headers['content-length'], String(body.length));
  assert.equal(await detailOf(res), 'secret_masked');
});

test('a response without the secret passes byte for byte and leaves no mark', async () => {
  const res = await ask(whole(`{"near":"${NEAR}"}`));
  assert.equal(res.text, `{"near":"${NEAR}"}`);
  assert.equal(await detailOf(res), '');
});

test('an ordinary API that echoes the request is masked', async () => {
  const { key: k } = await broker.issueKey('mock');
  const res = await request(broker, 'GET', '/mock/things', { key: k });
  assert.equal(upstream.last.headers.authorization, `Bearer ${REAL_KEY}`);
  assert.equal(res.json().headers.authorization, `Bearer ${STARS}`);
  assert.ok(!res.text.includes(REAL_KEY));
});

test('in a body of known length it is found wherever it is cut', async () => {
  const body = `{"key":"${REAL_KEY}"}`;
  const parts = [];
  for (let cut = 1; cut < body.length; cut += 3) parts.push(cut);
  for (const cut of parts) {
    const res = await ask((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, cut)}`);
      setTimeout(() => socket.write(body.slice(cut)), 15);
    });
    assert.equal(res.text, `{"key":"${STARS}"}`, `cut at ${cut}`);
  }
});

test('until the end of the connection, and byte by byte', async () => {
  const text = `a ${REAL_KEY} b sk-real-5be07d`;
  const res = await ask(async (socket) => {
    await slowly(socket, ['HTTP/1.1 200 OK\r\n\r\n', ...text], 3);
    socket.end();
  });
  assert.equal(res.text, text.replace(REAL_KEY, STARS));
  assert.equal(await detailOf(res), 'secret_masked');
});

test('events before it are not delayed, and an event cut inside the secret is masked', async () => {
  const events = [1, 2, 3].map((i) => `data: {"i":${i},"at":"${NEAR}"}\n\n`);
  const parts = [...events, `data: ${REAL_KEY.slice(0, 9)}`, REAL_KEY.slice(9, 20), `${REAL_KEY.slice(20)}\n\n`];
  const sent = [];
  const came = [];
  const res = await ask(async (socket) => {
    socket.write(CHUNKED);
    for (const part of parts) {
      sent.push(Date.now());
      await slowly(socket, [chunk(part)], 200);
    }
    socket.write('0\r\n\r\n');
  }, { onResponse: (r) => r.on('data', (d) => came.push({ at: Date.now(), text: d.toString() })) });
  assert.deepEqual(came.map(({ text }) => text), [...events, 'data: ', `${STARS}\n\n`]);
  // each before the next one was even sent
  for (let i = 0; i < 4; i++) assert.ok(came[i].at < sent[i + 1], `event ${i}: ${came[i].at - sent[i]} ms`);
  assert.equal(res.text, `${events.join('')}data: ${STARS}\n\n`);
  assert.equal(await detailOf(res), 'secret_masked');
});

test('what only begins like the secret comes when it is known not to be it', async () => {
  const res = await ask(async (socket) => {
    await slowly(socket, [CHUNKED, chunk('sk-real-5be07d21'), chunk('c94f and more'), chunk('sk-real-5be'), '0\r\n\r\n'], 60);
  });
  assert.equal(res.text, 'sk-real-5be07d21c94f and moresk-real-5be');
  assert.equal(await detailOf(res), '');
});

test('interim responses are masked, trailers and extensions are dropped', async () => {
  wire.answers.it = `HTTP/1.1 103 Early Hints\r\nLink: </${REAL_KEY}>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n`
    + `2;a=${REAL_KEY}\r\nok\r\n0\r\nX-Echo: ${REAL_KEY}\r\n\r\n`;
  const got = await raw(broker, `GET /wire/it HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\nConnection: close\r\n\r\n`);
  assert.match(got, /^HTTP\/1\.1 103 /);
  assert.ok(got.includes(`Link: </${STARS}>`) && got.includes('2\r\nok\r\n0\r\n\r\n'), got);
  assert.ok(!got.includes(REAL_KEY));
});

test('responses without a body are masked too', async () => {
  for (const [method, answer] of [['HEAD', `HTTP/1.1 200 OK\r\nX-Echo: ${REAL_KEY}\r\nContent-Length: 77\r\n\r\n`],
    ['GET', `HTTP/1.1 204 No Content\r\nX-Echo: ${REAL_KEY}\r\n\r\n`], ['GET', `HTTP/1.1 304 Not Modified\r\nETag: "${REAL_KEY}"\r\n\r\n`]]) {
    const res = await ask(answer, { method });
    assert.equal(res.headers['x-echo'] ?? res.headers.etag.replaceAll('"', ''), STARS);
    assert.equal(res.text, '');
    assert.equal(await detailOf(res), 'secret_masked');
  }
});

test('Basic: the password and the encoded pair are masked, with padding or without, the user is not', async () => {
  for (const [name, auth, secret, pair] of [['basicuser', 'basic:service', 'pass-word-81724', 'service:pass-word-81724'],
    ['basicpair', 'basic', 'service:pass-word-81724', 'service:pass-word-81724']]) {
    await broker.addConnection(name, wire, { auth: [auth], secret });
    const { key: k } = await broker.issueKey(name);
    const encoded = Buffer.from(pair).toString('base64');
    assert.ok(encoded.endsWith('=') || encoded.length % 4 === 0);
    const bare = encoded.replace(/=+$/, '');
    const text = `user=service password=pass-word-81724 Basic ${encoded} Basic ${bare}, ${encoded.slice(0, 20)}`;
    const res = await ask(whole(text), { name, with: k });
    assert.match(wire.requests.at(-1).text, new RegExp(`Authorization: Basic ${encoded}\r\n`));
    assert.equal(res.text, text.replaceAll(bare, '*'.repeat(bare.length)).replaceAll('pass-word-81724', '*'.repeat(15)));
    assert.ok(res.text.includes('user=service'));
  }
});

test('a query parameter is masked as it was sent and as it is', async () => {
  const secret = 'k/8f+3a9==c0d1e2';
  await broker.addConnection('query', wire, { auth: ['query:api_key'], secret });
  const { key: k } = await broker.issueKey('query');
  const sent = encodeURIComponent(secret);
  const text = `{"url":"/v1/it?api_key=${sent}","args":{"api_key":"${secret}"}}`;
  const res = await ask(whole(text, `Link: </v1/it?api_key=${sent}&page=2>; rel="next"\r\n`), { name: 'query', with: k });
  assert.ok(wire.requests.at(-1).text.startsWith(`GET /v1/it?api_key=${sent} `));
  assert.equal(res.text, text.replace(sent, '*'.repeat(sent.length)).replace(secret, '*'.repeat(secret.length)));
  assert.ok(res.headers.link.startsWith(`</v1/it?api_key=${'*'.repeat(sent.length)}&page=2>`));
});

test('a secret of fewer than eight bytes is not looked for, one of eight is', async () => {
  for (const [secret, shown] of [['abc1234', 'abc1234'], ['abc12345', '********']]) {
    await broker.addConnection(`short${secret.length}`, wire, { secret });
    const { key: k } = await broker.issueKey(`short${secret.length}`);
    assert.equal((await ask(whole(`is ${secret}.`), { name: `short${secret.length}`, with: k })).text, `is ${shown}.`);
  }
});

test('a large body of near misses arrives unchanged, and the same with the secret in it only masked', async () => {
  const noise = Buffer.from(randomBytes(MB * 3 / 4).toString('base64'), 'latin1');
  for (let at = 0; at + 200 < noise.length; at += 997) noise.write([NEAR, `.${REAL_KEY.slice(1)}`, REAL_KEY.slice(0, 20), 'sk-'][at % 4], at);
  const planted = Buffer.from(noise);
  const places = [0, 16384 - 7, 16384 * 2 - 1, 300000, noise.length - REAL_KEY.length];
  for (const at of places) planted.write(REAL_KEY, at);
  const masked = Buffer.from(planted);
  for (const at of places) masked.write(STARS, at);
  const framings = {
    length: (socket, body) => { socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`); socket.write(body); },
    chunked: (socket, body) => {
      socket.write(CHUNKED);
      for (let at = 0; at < body.length; at += 7001) socket.write(chunk(body.subarray(at, at + 7001).toString('latin1')));
      socket.write('0\r\n\r\n');
    },
    close: (socket, body) => { socket.write('HTTP/1.1 200 OK\r\n\r\n'); socket.end(body); },
  };
  for (const [name, write] of Object.entries(framings)) {
    const plain = await ask((socket) => write(socket, noise));
    assert.ok(Buffer.from(plain.text, 'latin1').equals(noise), name);
    assert.equal(await detailOf(plain), '');
    const res = await ask((socket) => write(socket, planted));
    assert.ok(Buffer.from(res.text, 'latin1').equals(masked), name);
    assert.equal(await detailOf(res), 'secret_masked');
  }
});

test('a secret of thousands of bytes is found across records', async () => {
  const secret = randomBytes(4500).toString('base64url');
  await broker.addConnection('huge', wire, { secret });
  const { key: k } = await broker.issueKey('huge');
  const text = `${secret.slice(1)} ${secret} ${secret.slice(0, -1)} ${'x'.repeat(30000)}${secret}`;
  for (const [way, parts] of [['at once', [text.length]], ['cut', [2000, 9000, 12000, 17500, 49000, text.length]]]) {
    const res = await ask(async (socket) => {
      const pieces = parts.map((end, i) => text.slice(parts[i - 1] ?? 0, end));
      await slowly(socket, [CHUNKED + pieces.map(chunk)[0], ...pieces.slice(1).map(chunk), '0\r\n\r\n'], way === 'cut' ? 30 : 0);
    }, { name: 'huge', with: k });
    assert.ok(res.text === text.replaceAll(secret, '*'.repeat(secret.length)), way);
  }
});

test('a slow reader gets it masked too, and the upstream waits for the reader', async () => {
  const block = `${REAL_KEY}${NEAR}${'.'.repeat(939)}`;
  const total = 24 * MB;
  let sent = 0;
  wire.answers.it = async (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
    const text = block.repeat(64);
    for (; sent < total && !socket.destroyed; sent += text.length) {
      if (!socket.write(text.slice(0, total - sent))) await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
    }
  };
  const res = await new Promise((resolve, reject) => https.get({ host: '127.0.0.1', port: broker.proxy, ca: broker.ca, path: '/wire/it',
    headers: { authorization: `Bearer ${key}` }, agent: false }, resolve).on('error', reject));
  await sleep(700);
  assert.ok(sent < total, `${sent} bytes sent although nobody reads`);
  const wanted = block.replace(REAL_KEY, STARS);
  let at = 0;
  for await (const part of res) {
    const text = part.toString('latin1');
    for (let i = 0; i < text.length;) {
      const n = Math.min(text.length - i, wanted.length - at % wanted.length);
      assert.ok(text.slice(i, i + n) === wanted.slice(at % wanted.length, at % wanted.length + n), `at ${at}`);
      i += n;
      at += n;
    }
  }
  assert.equal(at, total);
  assert.equal(await detailOf(res), 'secret_masked');
});

test('the answer to a second try is masked as well', async () => {
  const used = new WeakSet();
  wire.answers.warm = (socket) => { used.add(socket); socket.write(whole('warm')); };
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  assert.equal((await request(broker, 'GET', '/wire/warm', { key, agent })).text, 'warm');
  const res = await ask((socket) => (used.has(socket) ? socket.destroy() : socket.write(whole(REAL_KEY))), { agent });
  agent.destroy();
  assert.equal(res.text, STARS);
  assert.equal(await detailOf(res), 'retried, secret_masked');
});

test('an upstream that breaks off after the secret is audited as both', async () => {
  const broken = await new Promise((resolve) => {
    wire.answers.it = (socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n${REAL_KEY} and ${REAL_KEY.slice(0, 12)}`);
      setTimeout(() => socket.destroy(), 60);
    };
    const req = https.get({ host: '127.0.0.1', port: broker.proxy, ca: broker.ca, path: '/wire/it', headers: { authorization: `Bearer ${key}` }, agent: false }, (res) => {
      let text = '';
      res.on('data', (d) => { text += d; });
      res.on('error', () => {});
      res.on('close', () => resolve({ headers: res.headers, text, complete: res.complete }));
    });
    req.on('error', () => {});
  });
  assert.equal(broken.complete, false);
  assert.equal(broken.text, `${STARS} and `); // what could have been the secret is not passed on
  assert.equal(await detailOf(broken), 'secret_masked, response_cut_off');
});

test('in a WebSocket the handshake and every message are masked, and no message waits for the next', async () => {
  wire.answers.ws = (socket, text) => {
    const send = (message) => socket.write(Buffer.concat([Buffer.from([0x81, message.length]), Buffer.from(message)]));
    const nonce = /\r\nSec-WebSocket-Key: (\S+)/i.exec(text)[1];
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${acceptFor(nonce)}\r\nX-Echo: ${REAL_KEY}\r\n\r\n`);
    send(`your key is ${REAL_KEY}`);
    send('it begins with sk-real-5be'); // nothing comes behind it
    wire.answers.ws.more = async () => {
      const frame = Buffer.concat([Buffer.from([0x81, REAL_KEY.length]), Buffer.from(REAL_KEY)]);
      for (const at of [0, 1, 9, 25]) {
        socket.write(frame.subarray(at, { 0: 1, 1: 9, 9: 25, 25: undefined }[at]));
        await sleep(30);
      }
    };
  };
  const { ws, res } = await open(broker, '/wire/ws', { key });
  const next = async () => (ws.messages.length ? ws.messages.shift() : (await once(ws, 'message'), ws.messages.shift()));
  assert.equal(res.headers['x-echo'], STARS);
  assert.deepEqual(await next(), [TEXT, Buffer.from(`your key is ${STARS}`)]);
  assert.deepEqual(await next(), [TEXT, Buffer.from('it begins with sk-real-5be')]);
  await wire.answers.ws.more();
  assert.deepEqual(await next(), [TEXT, Buffer.from(STARS)]);
  ws.socket.destroy();
  assert.match(await detailOf(res), /^secret_masked/);
});

test('after a rotation it is the new secret that is masked', async () => {
  await broker.addConnection('turned', wire, { secret: 'sk-old-0123456789abcdef-secret' });
  const { key: k } = await broker.issueKey('turned');
  const text = `old sk-old-0123456789abcdef-secret new ${REAL_KEY}`;
  const first = await ask(whole(text), { name: 'turned', with: k });
  assert.equal(first.text, text.replace('sk-old-0123456789abcdef-secret', '*'.repeat(30)));
  await broker.json(['conn', 'rotate', 'turned', '--secret-file', '-'], REAL_KEY);
  const second = await ask(whole(text), { name: 'turned', with: k });
  assert.equal(second.text, text.replace(REAL_KEY, STARS));
});

test('all rows of masked responses are of the key that asked, and the journal verifies', async () => {
  const rows = (await broker.lines(['audit', 'list', '--key', keyId])).filter((r) => /^secret_masked/.test(r.detail ?? ''));
  assert.ok(rows.length >= 10, String(rows.length));
  const exported = await broker.cli(['audit', 'export', '--format', 'jsonl']);
  assert.ok(!exported.stdout.includes(REAL_KEY) && !broker.log.includes(REAL_KEY));
  assert.equal((await broker.json(['audit', 'verify'])).ok, true);
});
