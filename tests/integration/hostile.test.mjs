// Upstreams that are slow, broken or up to something. Whatever one does: the client is told or sees it, the audit log has
// the outcome, the next request is served, and nothing of it stays behind in the broker.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker, sleep, until } from '../lib/broker.mjs';
import { connect, raw, request, statusOf } from '../lib/client.mjs';
import { makeCertificates, misissue } from '../mock/certs.mjs';
import { startRawServer } from '../mock/rawserver.mjs';
import { eachRequest, secure, startTcp } from '../mock/tcpserver.mjs';

const REAL_KEY = 'sk-real-0b6e5d21f7a89c34-upstream-only';
const GOOD = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood';
const PLANTED = 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nplanted';
let dir, certs, wire, tcp, broker, key, pids, atRest;
const servers = [];

const roles = () => broker.processes().map((p) => `${p.role} ${p.pid}`).sort();
const memoryOf = (pid) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
/** No more than `kib` above what it was; AddressSanitizer keeps what the relay has freed. */
function assertLittleMore(pid, was, kib) {
  const more = memoryOf(pid) - was;
  const sanitized = readFileSync(`/proc/${broker.child.pid}/maps`, 'utf8').includes('libasan');
  assert.ok(more < kib || sanitized, `${more} KiB more`);
}
/** Open descriptors of a role; it is undumpable, so only root may look. */
const descriptorsOf = (pid) => (process.getuid() === 0 ? readdirSync(`/proc/${pid}/fd`).length : 0);

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'relaykey-hostile-'));
  certs = makeCertificates(dir, 'tcp');
  wire = await startRawServer({ dir, key: REAL_KEY });
  tcp = await startTcp(() => {}, { caFile: certs.caFile, key: REAL_KEY });
  servers.push(wire, tcp);
  broker = await Broker.start({ relays: 1 });
  await broker.addConnection('wire', wire);
  await broker.addConnection('tcp', tcp);
  const all = ['--method', '*', '--path', '/**'];
  key = (await broker.json(['key', 'issue', '--holder', 'app:hostile', '--conn', 'wire', ...all, '--conn', 'tcp', ...all])).key;
  for (let i = 0; i < 20; i++) await fine();
  pids = roles();
  atRest = { memory: memoryOf(broker.pidOf('relay')), descriptors: descriptorsOf(broker.pidOf('relay')) };
});

after(async () => {
  await broker?.end();
  await Promise.all(servers.map((s) => s.stop()));
  rmSync(dir, { recursive: true, force: true });
});

/** The next request, of which nothing that was before may be seen. */
async function fine() {
  const res = await request(broker, 'GET', '/wire/good', { key });
  assert.deepEqual([res.status, res.text], [200, 'good']);
}

/** {status, text, code}; status 0 when there was no answer or not the whole of it. */
async function call(path, { method = 'GET', ...more } = {}) {
  try {
    const res = await request(broker, method, path, { key, ...more });
    return { status: res.status, text: res.text, code: res.headers['x-relaykey-block-reason'], detail: /\(([a-z_0-9]+)\)/.exec(res.text)?.[1] };
  } catch {
    return { status: 0 };
  }
}

/** The completed audit row of a path. */
const rowOf = (path) => until(async () => (await broker.lines(['audit', 'list', '--limit', '40'])).find((r) => r.path === path && r.outcome), `the audit row of ${path}`);

/** A client that reads nothing but the head, and can leave. */
async function openClient(path) {
  const socket = await connect(broker);
  socket.on('error', () => {});
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\n\r\n`);
  return socket;
}

const drip = async (socket, text, ms = 1) => {
  for (const c of text) {
    if (socket.destroyed) return;
    socket.write(c, 'latin1');
    await sleep(ms);
  }
};

/** Writes `part` for as long as it is taken; `state.sent` counts. */
function flood(socket, part, state) {
  state.sent = 0;
  const more = () => {
    while (!socket.destroyed) {
      state.sent += part.length;
      if (!socket.write(part)) return void socket.once('drain', more);
    }
  };
  more();
}

const reset = (socket) => setTimeout(() => socket.reset(), 30);
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';

// ---- answers that are no answer: 502

const NO_ANSWER = {
  'an-http-0.9-answer': (s) => s.end('good\r\n'),
  'a-page-without-a-head': (s) => s.end('<html>good</html>'),
  'a-head-without-its-end': (s) => s.end('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n'),
  'a-reset-before-the-answer': (s) => s.reset(),
  'a-reset-in-the-head': (s) => { s.write('HTTP/1.1 200 OK\r\nX-A: '); reset(s); },
  'a-reset-after-an-interim-response': (s) => { s.write('HTTP/1.1 103 Early Hints\r\n\r\n'); reset(s); },
  'seventeen-interim-responses': 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(17) + GOOD,
  'two-lengths-that-agree-in-one-field': 'HTTP/1.1 200 OK\r\nContent-Length: 4, 5\r\n\r\ngood',
  'a-length-behind-chunked': `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n4\r\ngood\r\n0\r\n\r\n`,
  'chunked-on-http-1.0': 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n',
  'an-endless-length': 'HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\ngood',
  'a-switch-to-http-2': 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
  'a-head-of-101-fields': `HTTP/1.1 200 OK\r\n${Array.from({ length: 101 }, (_, i) => `X-${i}: 1\r\n`).join('')}\r\n`,
  'a-head-of-64-KB': `HTTP/1.1 200 OK\r\nX-A: ${'a'.repeat(65536)}\r\nContent-Length: 4\r\n\r\ngood`,
};

for (const [name, answer] of Object.entries(NO_ANSWER)) {
  test(`${name.replaceAll('-', ' ')}: 502, and the next request is served`, async () => {
    wire.answers[name] = answer;
    const got = await call(`/wire/${name}`, { method: 'POST', body: '' });
    assert.deepEqual([got.status, got.code], [502, 'upstream_unreachable'], got.text);
    assert.doesNotMatch(got.text, /good/);
    const row = await rowOf(`/v1/${name}`);
    assert.deepEqual([row.decision, row.outcome], ['allowed', 'upstream_gone']);
    await fine();
  });
}

// ---- answers that break off: the client sees that something is missing

const BROKEN = {
  'a-reset-in-the-body': (s) => { s.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ngood'); reset(s); },
  'a-reset-in-a-chunk': (s) => { s.write(`${CHUNKED}9\r\ngood`); reset(s); },
  'a-reset-between-chunks': (s) => { s.write(`${CHUNKED}4\r\ngood\r\n`); reset(s); },
  'a-reset-before-the-end-of-an-unframed-body': (s) => { s.write('HTTP/1.1 200 OK\r\n\r\ngood'); reset(s); },
  'no-last-chunk': (s) => s.end(`${CHUNKED}4\r\ngood\r\n`),
  'half-a-last-chunk': (s) => s.end(`${CHUNKED}4\r\ngood\r\n0\r\n`),
  'a-negative-chunk': `${CHUNKED}-4\r\ngood\r\n0\r\n\r\n`,
  'a-chunk-size-in-0x': `${CHUNKED}0x4\r\ngood\r\n0\r\n\r\n`,
  'a-chunk-size-that-overflows': `${CHUNKED}ffffffffffffffff1\r\ngood\r\n0\r\n\r\n`,
  'a-chunk-size-with-a-blank': `${CHUNKED} 4\r\ngood\r\n0\r\n\r\n`,
  'chunks-with-bare-line-feeds': `${CHUNKED}4\ngood\n0\n\n`,
  'a-chunk-longer-than-it-says': `${CHUNKED}3\r\ngood\r\n0\r\n\r\n`,
  'a-huge-chunk-extension': `${CHUNKED}4;${'x'.repeat(4096)}\r\ngood\r\n0\r\n\r\n`,
  'huge-trailers': `${CHUNKED}4\r\ngood\r\n0\r\n${'X-A: 1\r\n'.repeat(2000)}\r\n`,
  'a-trailer-that-is-none': `${CHUNKED}4\r\ngood\r\n0\r\nX A: 1\r\n\r\n`,
};

for (const [name, answer] of Object.entries(BROKEN)) {
  test(`${name.replaceAll('-', ' ')}: visibly incomplete, and the next request is served`, async () => {
    wire.answers[name] = answer;
    const got = await call(`/wire/${name}`);
    assert.ok(got.status === 0 || got.status === 502, `${got.status} ${got.text}`);
    assert.equal((await rowOf(`/v1/${name}`)).outcome, 'upstream_gone');
    await fine();
  });
}

// ---- answers with something on them that must not reach the next request

const SURPLUS = {
  'a-204-with-a-length-and-a-body': [204, '', `HTTP/1.1 204 No Content\r\nContent-Length: ${PLANTED.length}\r\n\r\n${PLANTED}`],
  'a-204-with-chunks': [204, '', `HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n`],
  'a-304-with-chunks': [304, '', `HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n`],
  'a-second-answer': [200, 'good', GOOD + PLANTED],
  'a-second-answer-behind-chunks': [200, 'good', `${CHUNKED}4\r\ngood\r\n0\r\n\r\n${PLANTED}`],
  'an-empty-line-behind-it': [200, 'good', `${GOOD}\r\n\r\n`],
  'an-interim-response-behind-it': [200, 'good', `${GOOD}HTTP/1.1 100 Continue\r\n\r\n`],
  'half-an-answer-behind-it': [200, 'good', `${GOOD}HTTP/1.1 200 OK\r\nX-A: `],
  'an-answer-to-the-request-after-next': [200, 'good', (s) => { s.write(GOOD); setTimeout(() => s.write(PLANTED), 25); }],
};

for (const [name, [status, text, answer]] of Object.entries(SURPLUS)) {
  test(`${name.replaceAll('-', ' ')}: the connection is not used again`, async () => {
    wire.answers[name] = answer;
    const got = await call(`/wire/${name}`);
    assert.deepEqual([got.status, got.text], [status, text]);
    assert.equal((await rowOf(`/v1/${name}`)).outcome, 'complete');
    // the one that comes late must have come: before, it would be an answer like any other
    if (typeof answer === 'function') await sleep(60);
    for (let i = 0; i < 3; i++) await fine();
    await sleep(50);
    for (let i = 0; i < 3; i++) await fine();
  });
}

test('a body in answer to HEAD, with a length, in chunks or until the end, is not the next answer', async () => {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  for (const [i, answer] of [`HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n${PLANTED}`, `${CHUNKED}4\r\ngood\r\n0\r\n\r\n${PLANTED}`, `HTTP/1.1 200 OK\r\n\r\n${PLANTED}`].entries()) {
    wire.answers[`head-${i}`] = answer;
    const head = await request(broker, 'HEAD', `/wire/head-${i}`, { key, agent });
    assert.deepEqual([head.status, head.text], [200, '']);
    for (let n = 0; n < 3; n++) assert.equal((await request(broker, 'GET', '/wire/good', { key, agent })).text, 'good');
  }
  agent.destroy();
});

// ---- odd, slow, and right all the same

const RIGHT = {
  'an-answer-byte-by-byte': (s) => { drip(s, 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-A: 1\r\n\r\ngood'); },
  'chunks-byte-by-byte': (s) => { drip(s, `${CHUNKED}1;a=b\r\ng\r\n3\r\nood\r\n0\r\nX-Trailer: 1\r\n\r\n`); },
  'http-1.0-until-the-end': (s) => s.end('HTTP/1.0 200 OK\r\n\r\ngood'),
  'http-1.0-with-keep-alive': 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\ngood',
  'http-1.0-with-a-length-and-no-end': 'HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\ngood',
  'sixteen-interim-responses': 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(16) + GOOD,
  'a-100-continue-that-nobody-asked-for': `HTTP/1.1 100 Continue\r\n\r\n${GOOD}`,
  'no-reason-phrase': 'HTTP/1.1 200 \r\nContent-Length: 4\r\n\r\ngood',
  'a-hundred-fields': `HTTP/1.1 200 OK\r\nContent-Length: 4\r\n${Array.from({ length: 99 }, (_, i) => `X-${i}: 1\r\n`).join('')}\r\ngood`,
  'a-connection-that-closes-right-behind-it': (s) => s.end(GOOD),
  'a-connection-that-is-reset-right-behind-it': (s) => { s.write(GOOD); reset(s); },
};

for (const [name, answer] of Object.entries(RIGHT)) {
  test(`${name.replaceAll('-', ' ')}: arrives as it was meant`, async () => {
    wire.answers[name] = answer;
    const got = await call(`/wire/${name}`);
    assert.deepEqual([got.status, got.text], [200, 'good']);
    assert.equal((await rowOf(`/v1/${name}`)).outcome, 'complete');
    await sleep(50); // what comes right behind it has come
    await fine();
  });
}

// ---- clients that leave, and upstreams that never stop

/** What the upstream's side of the connection sees: `reached` when the request has come, `dropped` when it is gone. */
function watched(name, act) {
  const seen = {};
  seen.reached = new Promise((reach) => {
    wire.answers[name] = (s) => {
      seen.dropped = new Promise((drop) => s.once('close', drop));
      act(s, seen);
      reach();
    };
  });
  return seen;
}

const ENDLESS = {
  'a-body-without-end': (s, seen) => { s.write('HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n'); flood(s, Buffer.alloc(65536, 'x'), seen); },
  'chunks-without-end': (s, seen) => { s.write(CHUNKED); flood(s, Buffer.from(`10000\r\n${'x'.repeat(65536)}\r\n`), seen); },
  'empty-handed-silence': () => {},
  'a-head-that-drips': (s) => { drip(s, `HTTP/1.1 200 OK\r\nX-A: ${'a'.repeat(100000)}`, 5); },
  'a-body-that-drips': (s) => { s.write(CHUNKED); drip(s, '1\r\nx\r\n'.repeat(10000), 5); },
};

for (const [name, act] of Object.entries(ENDLESS)) {
  test(`${name.replaceAll('-', ' ')}: ends with its client, and costs little until then`, async () => {
    const relay = broker.pidOf('relay');
    const memory = memoryOf(relay);
    const seen = watched(name, act);
    const client = await openClient(`/wire/${name}`);
    client.pause();
    await seen.reached;
    await sleep(300);
    // back-pressure: what the kernels hold, and no more
    const sent = seen.sent;
    await sleep(300);
    if (seen.sent !== undefined) assert.ok(seen.sent === sent && sent < 64 << 20, `${sent} then ${seen.sent}`);
    assertLittleMore(relay, memory, 4096);
    await fine();
    client.destroy();
    await Promise.race([seen.dropped, sleep(2000).then(() => assert.fail('the upstream was not let go'))]);
    const row = await rowOf(`/v1/${name}`);
    assert.equal(row.outcome, 'client_gone', row.detail);
    await fine();
  });
}

test('an upstream that takes no body makes its client wait and costs little; when it goes, the client is told', async () => {
  const relay = broker.pidOf('relay');
  const memory = memoryOf(relay);
  const heads = [];
  tcp.serve = (socket) => secure(socket, certs, (over) => over.once('data', (d) => { heads.push(d.toString('latin1')); over.pause(); socket.pause(); }));
  const client = await connect(broker);
  client.on('error', () => {});
  client.write(`POST /tcp/deaf HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\nContent-Length: 1099511627776\r\n\r\n`);
  const seen = {};
  flood(client, Buffer.alloc(65536, 'x'), seen);
  await until(() => heads.length, 'the request');
  await sleep(400);
  const { sent } = seen;
  await sleep(300);
  assert.ok(seen.sent === sent && sent < 64 << 20, `${sent} then ${seen.sent}`);
  assertLittleMore(relay, memory, 4096);
  await fine();
  let got = '';
  client.on('data', (d) => { got += d; });
  tcp.open.forEach((s) => s.destroy());
  await until(() => statusOf(got) === 502, 'the refusal');
  assert.equal((await rowOf('/v1/deaf')).outcome, 'upstream_gone');
  client.destroy();
  await fine();
});

test('an answer before the body was sent arrives, and the rest of the body is nobody\'s request', async () => {
  for (const [name, close] of [['early', true], ['early-and-open', false]]) {
    wire.answers[name] = GOOD;
    // the raw server answers whole requests only: answer at the head
    const body = `GET /wire/smuggled HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\n\r\n`.repeat(2000);
    tcp.serve = (socket) => secure(socket, certs, (over) => {
      over.once('data', () => { over.write(GOOD); if (close) over.end(); });
    });
    const from = wire.requests.length;
    const answer = await raw(broker, `POST /tcp/${name} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\nContent-Length: 10000000\r\n\r\n${body}`, { ms: 700 });
    assert.equal(statusOf(answer), 200);
    assert.match(answer, /\r\nconnection: close\r\n/i);
    assert.equal(answer.match(/HTTP\/1\.1 \d{3}/g).length, 1);
    assert.ok(answer.endsWith('good'));
    assert.ok(wire.requests.slice(from).every((r) => r.name !== 'smuggled'));
    await fine();
  }
});

// ---- below HTTP

const upstreamOf = (name, serve) => startTcp(serve, { caFile: certs.caFile, key: REAL_KEY }).then(async (server) => {
  servers.push(server);
  await broker.addConnection(name, server);
  const { key: own } = await broker.issueKey(name, { holder: `app:${name}` });
  return { server, own };
});

const good = (socket) => secure(socket, certs, (over) => eachRequest(over, () => over.write(GOOD)));

const NO_TLS = {
  'closed-at-once': (s) => s.end(),
  'reset-at-once': (s) => s.resetAndDestroy(),
  'a-banner-instead-of-tls': (s) => s.write('SSH-2.0-OpenSSH_9.2\r\n'),
  'http-instead-of-tls': (s) => s.end(`HTTP/1.1 400 Bad Request\r\n\r\n`),
  'noise-instead-of-tls': (s) => s.write(Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 73 + 11) & 255))),
  'a-tls-alert-at-once': (s) => s.end(Buffer.from([0x15, 3, 3, 0, 2, 2, 80])),
  'half-a-handshake': (s) => s.once('data', () => { s.write(Buffer.from([0x16, 3, 3, 0, 0x7a, 2, 0, 0, 0x76])); setTimeout(() => s.destroy(), 30); }),
  'tls-1.1-at-most': (s) => secure(s, { ...certs, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }, () => {}),
};

for (const [name, serve] of Object.entries(NO_TLS)) {
  test(`${name.replaceAll('-', ' ')}: 502, nothing was sent, and good again when the upstream is`, async () => {
    const { server, own } = await upstreamOf(name.replaceAll('.', '-'), serve);
    const path = `/${name.replaceAll('.', '-')}/${name}`;
    const got = await call(path, { key: own });
    assert.deepEqual([got.status, got.code], [502, 'upstream_unreachable']);
    assert.ok(['tls_failed', 'connect_failed'].includes(got.detail), got.detail);
    const row = await rowOf(`/v1/${name}`);
    assert.deepEqual([row.outcome, row.detail], ['not_sent', got.detail]);
    server.serve = good;
    assert.equal((await call(path, { key: own })).text, 'good');
    await fine();
  });
}

const NO_CERTIFICATE = {
  'of-another-name': { san: 'DNS:elsewhere.test,IP:127.0.0.2' },
  'with-the-name-as-common-name-only': { san: 'email:root@localhost' },
  expired: { days: -1 },
  'self-signed': { selfSigned: true },
  'for-clients-only': { usage: 'clientAuth' },
};

for (const [name, wrong] of Object.entries(NO_CERTIFICATE)) {
  test(`a certificate ${name.replaceAll('-', ' ')} is refused, with one that is valid the same upstream serves`, async () => {
    const bad = misissue(dir, 'tcp', wrong);
    let sent = '';
    const { server, own } = await upstreamOf(`cert-${name}`, (s) => secure(s, bad, (over) => over.on('data', (d) => { sent += d; })));
    for (let i = 0; i < 6; i++) { // and it does not become "circuit open"
      const got = await call(`/cert-${name}/things`, { key: own });
      assert.deepEqual([got.status, got.code, got.detail], [502, 'upstream_refused', 'certificate_not_valid']);
    }
    assert.equal(sent, '');
    // the twin: the right one of the same authority
    server.serve = good;
    assert.equal((await call(`/cert-${name}/things`, { key: own })).text, 'good');
    await fine();
  });
}

test('a certificate of an authority that the connection does not name is refused, its twin passes', async () => {
  const other = makeCertificates(dir, 'other-ca');
  const { server, own } = await upstreamOf('other-ca', (s) => secure(s, other, () => {}));
  const got = await call('/other-ca/things', { key: own });
  assert.deepEqual([got.status, got.code, got.detail], [502, 'upstream_refused', 'certificate_not_valid']);
  server.serve = good;
  assert.equal((await call('/other-ca/things', { key: own })).text, 'good');
});

/** One request to `tcp` whose connection `act(over, socket)` handles once the request has come. */
async function overTls(name, act, options = {}) {
  tcp.serve = (socket) => secure(socket, { ...certs, ...options }, (over) => over.once('data', () => act(over, socket)));
  return call(`/tcp/${name}`);
}

test('an end without close_notify is no end of a body without length; with it, it is', async () => {
  assert.equal((await overTls('truncated', (over, socket) => over.write('HTTP/1.1 200 OK\r\n\r\nhalf', () => socket.end()))).status, 0);
  assert.equal((await rowOf('/v1/truncated')).outcome, 'upstream_gone');
  const got = await overTls('ended', (over) => over.end('HTTP/1.1 200 OK\r\n\r\nwhole'));
  assert.deepEqual([got.status, got.text], [200, 'whole']);
});

test('noise in place of TLS records breaks the answer off and nothing else', async () => {
  const noise = Buffer.from(Array.from({ length: 2048 }, (_, i) => (i * 91 + 5) & 255));
  assert.equal((await overTls('noise-for-a-head', (_, socket) => socket.write(noise))).status, 502);
  assert.equal((await overTls('noise-in-a-body', (over, socket) => over.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf', () => socket.write(noise)))).status, 0);
  assert.equal((await rowOf('/v1/noise-in-a-body')).outcome, 'upstream_gone');
  await fine();
});

test('a pooled connection that says close_notify, ends, or is reset while idle is not used again', async () => {
  const ways = {
    'in the TLS sense': (over) => over.end(),
    'in the TCP sense': (_, socket) => socket.end(),
    'with a reset': (_, socket) => socket.resetAndDestroy(),
    'with bytes that nobody asked for': (over) => over.write(PLANTED),
  };
  for (const [how, end] of Object.entries(ways)) {
    tcp.serve = (socket) => secure(socket, certs, (over) => eachRequest(over, () => over.write(GOOD, () => setTimeout(() => end(over, socket), 20))));
    for (let i = 0; i < 4; i++) {
      const got = await call('/tcp/idle', { method: 'POST', body: '' });
      assert.deepEqual([got.status, got.text], [200, 'good'], how);
      await sleep(60);
    }
  }
});

test('TLS 1.2 without tickets, and a renegotiation that the upstream asks for, do no harm', async () => {
  const got = await overTls('tls-1.2', (over) => {
    try {
      over.renegotiate({}, () => {});
    } catch {
      // this side may not: then it is a TLS 1.2 connection like any other
    }
    setTimeout(() => over.end(GOOD), 50);
  }, { maxVersion: 'TLSv1.2' });
  assert.ok(got.status === 200 || got.status === 502, String(got.status));
  await fine();
});

test('a handshake in small pieces is as good as one in a few; one that never ends is 504 in time', async () => {
  // the same TLS server behind a relay that passes its bytes on one by one
  const inner = await startTcp(good, {});
  servers.push(inner);
  const { Socket } = await import('node:net');
  tcp.serve = (socket) => {
    const behind = new Socket().connect(inner.port, '127.0.0.1');
    behind.on('error', () => {});
    socket.pipe(behind);
    behind.on('data', (d) => { for (let i = 0; i < d.length; i += 7) socket.write(d.subarray(i, i + 7)); });
    socket.on('close', () => behind.destroy());
  };
  assert.equal((await call('/tcp/pieces')).text, 'good');
  const silent = await upstreamOf('silent', (s) => s.resume());
  const dripping = await upstreamOf('dripping', (s) => { s.resume(); drip(s, '\x16\x03\x03\x40\x00\x02'.padEnd(10000, '\0'), 500); });
  const started = Date.now();
  const answers = await Promise.all([call('/silent/things', { key: silent.own }), call('/dripping/things', { key: dripping.own }),
    ...Array.from({ length: 20 }, async (_, i) => { await sleep(i * 400); await fine(); })]);
  assert.ok(Date.now() - started < 14000);
  for (const got of answers.slice(0, 2)) assert.deepEqual([got.status, got.code, got.detail], [504, 'upstream_timeout', 'connect_timeout']);
  await until(() => silent.server.open.size + dripping.server.open.size === 0, 'both connections closed');
});

test('an upstream that is down is left alone after a few tries, says when to come back, and serves when it is up', async () => {
  const { server, own } = await upstreamOf('down', (s) => s.resetAndDestroy());
  const details = [];
  for (let i = 0; i < 10; i++) details.push((await call('/down/things', { key: own })).detail);
  assert.deepEqual(details, [...Array(5).fill(details[0]), ...Array(5).fill('circuit_open')]);
  assert.equal(server.dialled, 5);
  const res = await request(broker, 'GET', '/down/things', { key: own });
  assert.deepEqual([res.status, res.headers['x-relaykey-block-reason'], res.headers['retry-after']], [502, 'upstream_unreachable', '1']);
  const row = await until(async () => (await broker.lines(['audit', 'list', '--limit', '5'])).find((r) => r.detail === 'circuit_open'), 'the row');
  assert.deepEqual([row.decision, row.outcome, row.path], ['allowed', 'not_sent', '/v1/things']);
  assert.match(broker.log, /circuit_opened/);
  await fine(); // another upstream
  server.serve = good;
  await until(async () => (await call('/down/things', { key: own })).status === 200, 'the upstream in service again', 4000);
  assert.match(broker.log, /circuit_closed/);
  const many = await Promise.all(Array.from({ length: 20 }, () => call('/down/things', { key: own })));
  assert.ok(many.every((got) => got.text === 'good'));
});

test('after all of it the same processes serve, and hold no more than before', async () => {
  for (let i = 0; i < 20; i++) await fine();
  assert.deepEqual(roles(), pids);
  const relay = broker.pidOf('relay');
  await Promise.all(servers.splice(0).map((s) => s.stop()));
  await until(() => descriptorsOf(relay) <= atRest.descriptors, `${descriptorsOf(relay)} descriptors to become ${atRest.descriptors}`, 5000);
  assertLittleMore(relay, atRest.memory, 8192);
  assert.equal((await broker.json(['audit', 'verify'])).ok, true);
  for (const r of wire.requests) assert.doesNotMatch(r.text, /rk_(app|agent|person|vendor)_/);
});
