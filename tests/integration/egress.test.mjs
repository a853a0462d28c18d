// The way from the broker to its upstreams: through HTTP proxies (CONNECT), and with a client certificate.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { Broker, sleep, until } from '../lib/broker.mjs';
import { request } from '../lib/client.mjs';
import { makeCertificates, makeClientCertificate } from '../mock/certs.mjs';
import { startProxy } from '../mock/proxy.mjs';
import { startUpstream } from '../mock/upstream.mjs';

const REAL_KEY = 'sk-real-4be2f81d07c9a356-upstream-only';
const PROXY_SECRET = 'broker:pr0xy-7d1e55aa-pass';
const PUBLIC_NAME = 'api.upstream.example'; // nobody but the proxy can look it up
let dir, upstream, proxy, guarded, broker, ids;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'relaykey-egress-'));
  upstream = await startUpstream({ dir, key: REAL_KEY });
  proxy = await startProxy();
  guarded = await startProxy({ auth: PROXY_SECRET });
  ids = {
    one: makeClientCertificate(dir, 'mock', 'broker-one'),
    two: makeClientCertificate(dir, 'mock', 'broker-two', { rsa: true }),
    old: makeClientCertificate(dir, 'mock', 'broker-old', { days: -1 }),
    stranger: makeClientCertificate(dir, 'other', 'stranger'),
  };
  broker = await Broker.start({ relays: 1, config: [`egress-proxy ${proxy.url}`] });
});

after(async () => {
  await broker?.end();
  await upstream?.stop();
  await proxy?.stop();
  await guarded?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** Adds a connection and a key that may do everything on it. */
async function connect(name, to, extra = [], { where = broker, secret = REAL_KEY } = {}) {
  const conn = await where.addConnection(name, { ...to, key: secret }, { extra });
  const { key } = await where.issueKey(name);
  return { conn, key, get: (path = 'things', options = {}) => request(where, 'GET', `/${name}/${path}`, { key, ...options }) };
}

/** The upstream under another name or address, with its certificate's CA. */
const at = (host, to = upstream) => ({ baseUrl: `https://${host}:${to.port}`, caFile: to.caFile });

function refusal(answer, status, detail) {
  assert.equal(answer.status, status, answer.text);
  if (detail) assert.match(answer.text, new RegExp(`\\(${detail}\\)`));
}

/** The audit entry of an answer, once the response is in it. */
const entryOf = (answer, where = broker) => until(async () => (await where.lines(['audit', 'list', '--limit', '200']))
  .find((r) => r.request_id === answer.headers['x-relaykey-request-id'] && (r.outcome || r.decision !== 'allowed')), 'the audit row');

/**
 * An upstream that asks for a client certificate of the mock CA. `seen` lists {client, path, nth}: whose certificate came,
 * and the how manieth request it was on its connection. A path /v1/stale hangs up on any but the first one.
 */
async function startAsking(options = {}) {
  const certs = makeCertificates(dir);
  const seen = [];
  const server = https.createServer({ cert: certs.cert, key: certs.key, ca: certs.ca, requestCert: true,
    rejectUnauthorized: true, keepAliveTimeout: 60000, ...options }, (req, res) => {
    const nth = (req.socket.served ?? 0) + 1;
    req.socket.served = nth;
    if (req.url === '/v1/stale' && nth > 1) return req.socket.destroy();
    const client = req.socket.getPeerCertificate().subject?.CN;
    seen.push({ client, path: req.url, nth, resumed: req.socket.isSessionReused(), authorized: req.headers.authorization === `Bearer ${REAL_KEY}` });
    req.resume();
    return req.on('end', () => res.end(JSON.stringify({ client, nth })));
  });
  server.on('tlsClientError', () => {});
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return {
    seen, caFile: certs.caFile, port: server.address().port, baseUrl: `https://127.0.0.1:${server.address().port}`,
    closeIdle: () => server.closeIdleConnections(),
    stop: () => new Promise((done) => { server.close(done); server.closeAllConnections(); }),
  };
}

const identity = (id) => ['--client-cert', id.certFile, '--client-key-file', id.keyFile];

test('the configured proxy is asked for every upstream, by the name that only it can look up', async () => {
  const { get, conn, key } = await connect('plain', at(PUBLIC_NAME));
  const before = proxy.seen.length;
  for (let i = 0; i < 5; i++) assert.equal((await get()).status, 200);
  assert.equal(conn.egress_proxy, null);
  // one tunnel, used again
  assert.deepEqual(proxy.seen.slice(before).map(({ target, auth }) => ({ target, auth })), [{ target: `${PUBLIC_NAME}:${upstream.port}`, auth: null }]);
  assert.doesNotMatch(proxy.seen[before].text, /sk-real|rk_|authorization/i);
  const body = Buffer.alloc(200000, 'x');
  const sent = await request(broker, 'POST', '/plain/upload', { key, body });
  assert.equal(sent.json().bytes, body.length);
  assert.deepEqual(upstream.complaints, []);
});

test('a connection can go directly, or through a proxy of its own', async () => {
  const before = proxy.seen.length;
  const direct = await connect('direct', at('127.0.0.1'), ['--egress-proxy', 'none']);
  assert.equal((await direct.get()).status, 200);
  const own = await connect('own', at(PUBLIC_NAME), ['--egress-proxy', guarded.url, '--egress-proxy-secret-file', secretFile(PROXY_SECRET)]);
  assert.equal((await own.get()).status, 200);
  assert.equal(proxy.seen.length, before);
  assert.equal(guarded.seen.at(-1).auth, PROXY_SECRET);
  assert.equal(own.conn.egress_proxy, guarded.url);
  assert.equal(own.conn.egress_proxy_secret_set, true);
  assert.equal((await broker.json(['conn', 'show', 'direct'])).egress_proxy, 'none');
  // a proxy with a name, which the broker looks up itself
  const named = await connect('named', at(PUBLIC_NAME), ['--egress-proxy', `http://localhost:${guarded.port}`, '--egress-proxy-secret-file', secretFile(PROXY_SECRET)]);
  assert.equal((await named.get()).status, 200);
  const list = (await broker.cli(['conn', 'list'])).stdout;
  assert.match(list, new RegExp(`own .* via ${guarded.url}`));
  assert.match(list, /direct .* \(direct\)/);
});

let files = 0;
function secretFile(text) {
  const file = join(dir, `secret-${++files}`);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

test('a proxy that asks for a credential gets the one it was given, and its no is told', async () => {
  const none = await connect('noauth', at(PUBLIC_NAME), ['--egress-proxy', guarded.url]);
  refusal(await none.get(), 502, 'proxy_auth_required');
  await broker.json(['conn', 'set-proxy', 'noauth', '--egress-proxy', guarded.url, '--egress-proxy-secret-file', '-'], 'broker:wrong');
  const refused = await none.get();
  refusal(refused, 502, 'proxy_auth_required');
  assert.equal((await entryOf(refused)).outcome, 'not_sent');
  await broker.json(['conn', 'set-proxy', 'noauth', '--egress-proxy', guarded.url, '--egress-proxy-secret-file', '-'], PROXY_SECRET);
  assert.equal((await none.get()).status, 200);
  // and back to what the configuration says: the credential does not go to that proxy
  const before = proxy.seen.length;
  const info = await broker.json(['conn', 'set-proxy', 'noauth', '--egress-proxy', 'default']);
  assert.equal(info.egress_proxy_secret_set, false);
  assert.equal((await none.get()).status, 200);
  assert.equal(proxy.seen.length, before + 1);
  assert.equal(proxy.seen.at(-1).auth, null);
});

test('whatever a proxy answers, the request goes on or is refused with a reason', async () => {
  const mine = await startProxy();
  const { get, key } = await connect('manners', at(PUBLIC_NAME), ['--egress-proxy', mine.url]);
  const fresh = async () => {
    for (const socket of mine.tunnels) socket.destroy();
    await sleep(50);
    return get();
  };
  const writes = (text) => (socket) => { socket.write(text); return true; };
  const ends = (text) => (socket) => { socket.end(text); return true; };
  const slowly = (text, ms) => (socket, { target }) => {
    socket.pause(); // the handshake may begin before the tunnel stands
    (async () => {
      for (const byte of text) {
        socket.write(byte);
        await sleep(ms);
      }
      mine.tunnel(socket, target, '');
    })();
    return true;
  };
  const opens = (head) => (socket, { target }) => { mine.tunnel(socket, target, head); return true; };
  const good = {
    'byte by byte': slowly('HTTP/1.1 200 OK\r\nVia: 1.1 slow\r\n\r\n', 2),
    'a length that does not count': opens('HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n'),
    'chunked, which does not count': opens('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'),
    'HTTP/1.0': opens('HTTP/1.0 200 Connection established\r\n\r\n'),
    'an interim response first': opens('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n'),
    'a long head': opens(`HTTP/1.1 200 OK\r\nX: ${'y'.repeat(7000)}\r\n\r\n`),
  };
  for (const [what, manner] of Object.entries(good)) {
    mine.manner = manner;
    const answer = await fresh();
    assert.equal(answer.status, 200, `${what}: ${answer.text}`);
  }
  const bad = {
    'says no': [ends('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'), 'proxy_refused'],
    'sends elsewhere': [ends('HTTP/1.1 302 Found\r\nLocation: http://login/\r\n\r\n'), 'proxy_refused'],
    'cannot reach it': [ends('HTTP/1.1 503 Unavailable\r\n\r\n'), 'proxy_failed'],
    'switches protocols': [writes('HTTP/1.1 101 Switching Protocols\r\n\r\n'), 'proxy_answer_not_valid'],
    'answers with bare LF': [writes('HTTP/1.1 200 OK\n\n'), 'proxy_answer_not_valid'],
    'is no proxy': [writes('SSH-2.0-OpenSSH_9.2\r\n\r\n'), 'proxy_answer_not_valid'],
    'sends an endless head': [writes(`HTTP/1.1 200 OK\r\nX: ${'y'.repeat(9000)}`), 'proxy_answer_not_valid'],
    'sends interim responses for ever': [writes('HTTP/1.1 100 Continue\r\n\r\n'.repeat(20)), 'proxy_answer_not_valid'],
    'hangs up': [(socket) => { socket.destroy(); return true; }, 'proxy_closed'],
    'hangs up in the head': [ends('HTTP/1.1 200 OK\r\n'), 'proxy_closed'],
    'hangs up behind the head': [ends('HTTP/1.1 200 OK\r\n\r\n'), null],
    'puts bytes behind the head': [writes('HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'), 'tls_failed'],
  };
  for (const [what, [manner, detail]] of Object.entries(bad)) {
    // one that works in between, lest the upstream's breaker opens
    mine.manner = good['HTTP/1.0'];
    assert.equal((await fresh()).status, 200);
    mine.manner = manner;
    const answer = await fresh();
    assert.equal(answer.status, 502, `${what}: ${answer.text}`);
    if (detail) assert.match(answer.text, new RegExp(detail), what);
    assert.equal((await entryOf(answer)).outcome, 'not_sent', what);
  }
  // nothing for ten seconds
  mine.manner = () => true;
  const late = await request(broker, 'GET', '/manners/things', { key });
  refusal(late, 504, 'connect_timeout');
  mine.manner = null;
  assert.equal((await fresh()).status, 200);
  await mine.stop();
  refusal(await get(), 502);
  assert.deepEqual(upstream.complaints, []);
});

test('a dial under way ends when the key is revoked or the client leaves', async () => {
  const mine = await startProxy({ manner: () => true });
  await connect('hanging', at(PUBLIC_NAME), ['--egress-proxy', mine.url, '--egress-proxy-secret-file', secretFile(PROXY_SECRET), ...identity(ids.one)]);
  const { id, key } = await broker.issueKey('hanging');
  const waiting = request(broker, 'GET', '/hanging/things', { key });
  const gone = https.get({ host: '127.0.0.1', port: broker.proxy, ca: broker.ca, path: '/hanging/things', headers: { authorization: `Bearer ${key}` } });
  gone.on('error', () => {});
  await until(() => mine.seen.length === 2, 'both dials');
  gone.destroy();
  const before = Date.now();
  await broker.json(['key', 'revoke', id]);
  const answer = await waiting.catch(() => null);
  assert.ok(Date.now() - before < 1000);
  if (answer) assert.equal(answer.status, 401);
  await until(async () => (await broker.json(['status'])).in_flight === 0, 'nothing in flight');
  await mine.stop();
});

test('the upstream is verified through the proxy: neither another host nor the proxy itself passes for it', async () => {
  const other = await connect('otherhost', at('other.upstream.example'));
  refusal(await other.get(), 502, 'certificate_not_valid');
  // a proxy that opens the tunnel's TLS with a certificate of its own
  const certs = makeCertificates(dir, 'intercept');
  const inside = [];
  const mine = await startProxy({ manner: (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    const secure = new tls.TLSSocket(socket, { isServer: true, cert: certs.cert, key: certs.key });
    secure.on('data', (d) => inside.push(d.toString()));
    secure.on('error', () => {});
    return true;
  } });
  const { get } = await connect('intercepted', at(PUBLIC_NAME), ['--egress-proxy', mine.url]);
  refusal(await get(), 502, 'certificate_not_valid');
  assert.deepEqual(inside, []);
  await mine.stop();
});

test('a proxy is not asked for addresses and names that the connection may not reach', async () => {
  const add = (name, url, extra = []) => broker.json(['conn', 'add', name, '--base-url', url, '--secret-file', '-', ...extra], REAL_KEY);
  const get = async (name) => {
    const { key } = await broker.issueKey(name);
    return request(broker, 'GET', `/${name}/v1/things`, { key });
  };
  // with the configured proxy the relay finds out, with one of its own already `conn add`
  await add('localname', `https://localhost:${upstream.port}`);
  await add('corp', `https://vault.corp.internal:${upstream.port}`);
  await add('metadata', 'https://metadata.google.internal', ['--allow-private']);
  const before = proxy.seen.length;
  for (const name of ['localname', 'corp', 'metadata']) refusal(await get(name), 502, 'address_not_allowed');
  assert.equal(proxy.seen.length, before);
  for (const url of ['https://localhost:8443', 'https://db1', 'https://metadata.google.internal']) {
    const got = await broker.cli(['conn', 'add', 'x', '--base-url', url, '--secret-file', '-', '--egress-proxy', proxy.url], REAL_KEY);
    assert.equal(got.status, 1);
    assert.match(got.stderr, /local name|metadata service/);
  }
  const literal = await broker.cli(['conn', 'add', 'x', '--base-url', 'https://10.0.0.1', '--secret-file', '-', '--egress-proxy', proxy.url], REAL_KEY);
  assert.match(literal.stderr, /private address/);
  // allowed, it is
  const allowed = await connect('allowed', at('localhost'));
  assert.equal((await allowed.get()).status, 200);
  assert.equal(proxy.seen.at(-1).target, `localhost:${upstream.port}`);
});

for (const maxVersion of ['TLSv1.3', 'TLSv1.2']) {
  test(`an upstream that asks for a client certificate gets the connection's, over ${maxVersion}`, async () => {
    const asking = await startAsking({ maxVersion });
    const tag = maxVersion.at(-1);
    const { get, conn } = await connect(`mtls${tag}`, asking, ['--egress-proxy', 'none', ...identity(ids.one)]);
    assert.match(conn.client_certificate.subject, /CN = broker-one/);
    assert.ok(Date.parse(conn.client_certificate.expires_at) > Date.now());
    for (let i = 1; i <= 3; i++) assert.deepEqual((await get()).json(), { client: 'broker-one', nth: i });

    // none, and one of another CA: the twins
    const bare = await connect(`bare${tag}`, asking, ['--egress-proxy', 'none']);
    refusal(await bare.get(), 502);
    const wrong = await connect(`wrong${tag}`, asking, ['--egress-proxy', 'none', ...identity(ids.stranger)]);
    refusal(await wrong.get(), 502);
    assert.deepEqual([...new Set(asking.seen.map((s) => s.client))], ['broker-one']);

    // another identity, an RSA one: its own connections, its own session
    await broker.json(['conn', 'set-identity', `mtls${tag}`, ...identity(ids.two)]);
    const now = await get();
    assert.deepEqual(now.json(), { client: 'broker-two', nth: 1 });
    assert.equal(asking.seen.at(-1).resumed, false);
    assert.equal((await broker.json(['conn', 'show', `mtls${tag}`])).client_certificate.subject.includes('broker-two'), true);
    await broker.json(['conn', 'set-identity', `mtls${tag}`, '--none']);
    refusal(await get(), 502);
    await asking.stop();
  });
}

test('the certificates behind the client\'s go along', async () => {
  const asking = await startAsking();
  const chained = makeClientCertificate(dir, 'mock', 'chained', { through: 'issuing' });
  const { get } = await connect('chained', asking, ['--egress-proxy', 'none', ...identity(chained)]);
  assert.equal((await get()).json().client, 'chained');
  // without them the upstream cannot follow it
  const leaf = join(dir, 'leaf.pem');
  writeFileSync(leaf, readFileSync(chained.certFile, 'utf8').replace(/(END CERTIFICATE-----\n)[^]*/, '$1'));
  await broker.json(['conn', 'set-identity', 'chained', '--client-cert', leaf, '--client-key-file', chained.keyFile]);
  refusal(await get(), 502);
  await asking.stop();
});

test('many dials at once each have their own key, and the pool is used again without one', async () => {
  const asking = await startAsking();
  const { get } = await connect('many', asking, ['--egress-proxy', guarded.url, '--egress-proxy-secret-file', secretFile(PROXY_SECRET), ...identity(ids.two)]);
  const agent = new https.Agent({ keepAlive: true });
  const round = () => Promise.all(Array.from({ length: 40 }, () => get('things', { agent })));
  for (let i = 0; i < 3; i++) {
    for (const answer of await round()) assert.equal(answer.status, 200, answer.text);
  }
  assert.ok(asking.seen.length === 120 && asking.seen.every((s) => s.client === 'broker-two' && s.authorized));
  const dials = asking.seen.filter((s) => s.nth === 1).length;
  assert.ok(dials >= 1 && dials <= 80, `${dials} dials`);
  // the upstream gives its idle connections up: new ones are made, by the session of an earlier one
  asking.closeIdle();
  await sleep(100);
  assert.equal((await get()).json().nth, 1);
  agent.destroy();
  await asking.stop();
});

test('a request on a pooled connection that dies is sent once more through proxy and handshake', async () => {
  const asking = await startAsking();
  const { get, key } = await connect('stale', asking, ['--egress-proxy', guarded.url, '--egress-proxy-secret-file', secretFile(PROXY_SECRET), ...identity(ids.one)]);
  assert.equal((await get()).json().nth, 1);
  const before = guarded.seen.length;
  const again = await get('stale');
  assert.deepEqual(again.json(), { client: 'broker-one', nth: 1 });
  assert.equal(guarded.seen.length, before + 1);
  assert.equal((await entryOf(again)).detail, 'retried');
  // not one that may have had an effect
  const post = await request(broker, 'POST', '/stale/stale', { key, body: 'small' });
  refusal(post, 502);
  await asking.stop();
});

test('WebSockets go the same way, over a connection of their own', async () => {
  const asking = await startAsking();
  const { key } = await connect('ws', asking, ['--egress-proxy', guarded.url, '--egress-proxy-secret-file', secretFile(PROXY_SECRET), ...identity(ids.one)]);
  const before = guarded.seen.length;
  await request(broker, 'GET', '/ws/things', { key });
  // this upstream answers 200 to a handshake, which is passed on; what counts is how it got there
  const answer = await request(broker, 'GET', '/ws/things', { key, headers: { connection: 'Upgrade', upgrade: 'websocket',
    'sec-websocket-version': '13', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' } });
  assert.equal(answer.status, 200);
  assert.equal(answer.json().client, 'broker-one');
  assert.equal(answer.json().nth, 1);
  assert.equal(guarded.seen.length, before + 2);
  await asking.stop();
});

test('what does not belong together is refused with a plain sentence', async () => {
  const add = (extra, input = REAL_KEY) => broker.cli(['conn', 'add', 'x', '--base-url', 'https://api.example.com', ...extra], input);
  const secret = ['--secret-file', '-'];
  const cases = [
    [[...secret, '--client-cert', ids.one.certFile, '--client-key-file', ids.two.keyFile], 1, /does not belong to the client certificate/],
    [[...secret, '--client-cert', ids.one.certFile], 2, /come together/],
    [[...secret, '--client-key-file', ids.one.keyFile], 2, /come together/],
    [[...secret, '--client-cert', ids.one.keyFile, '--client-key-file', ids.one.keyFile], 1, /private key too/],
    [[...secret, '--client-cert', ids.one.certFile, '--client-key-file', ids.one.certFile], 1, /no private key/],
    [[...secret, '--client-cert', ids.one.certFile, '--client-key-file', '-'], 2, /only one secret/],
    [[...secret, '--egress-proxy', 'proxy:3128'], 1, /http:\/\/HOST:PORT/],
    [[...secret, '--egress-proxy', 'https://proxy:3128'], 1, /plain HTTP/],
    [[...secret, '--egress-proxy', 'http://user:hunter2@proxy:3128'], 1, /secret of the connection/],
    [[...secret, '--egress-proxy-secret-file', secretFile('a:b')], 2, /needs --egress-proxy/],
    [[...secret, '--egress-proxy', 'none', '--egress-proxy-secret-file', secretFile('a:b')], 1, /needs the proxy/],
    [[...secret, '--egress-proxy', 'http://proxy:1', '--egress-proxy-secret-file', secretFile('nocolon')], 1, /user:password/],
  ];
  for (const [args, status, why] of cases) {
    const got = await add(args);
    assert.equal(got.status, status, `${args}: ${got.stderr}`);
    assert.match(got.stderr, why);
    assert.doesNotMatch(got.stderr, /hunter2/);
  }
  // an expired certificate is taken, with a warning
  const old = await add([...secret, '--egress-proxy', 'none', ...identity(ids.old)]);
  assert.equal(old.status, 0, old.stderr);
  assert.match(old.stderr, /warning: the client certificate expired/);
  assert.match(old.stdout, /client certificate +O = Test, CN = broker-old, expires /);
});

test('after a restart all of it still stands', async () => {
  const asking = await startAsking();
  const { get } = await connect('lasting', asking, ['--egress-proxy', guarded.url, '--egress-proxy-secret-file', secretFile(PROXY_SECRET), ...identity(ids.one)]);
  await broker.json(['conn', 'set-identity', 'lasting', ...identity(ids.two)]);
  const log = broker.log;
  await broker.stop();
  await broker.launch();
  broker.log = log + broker.log;
  await broker.healthy();
  assert.deepEqual((await get()).json(), { client: 'broker-two', nth: 1 });
  assert.equal(guarded.seen.at(-1).auth, PROXY_SECRET);
  await asking.stop();
});

test('neither a proxy\'s credential nor a private key is in the log, the audit log or any answer', async () => {
  const everything = [broker.log, (await broker.cli(['audit', 'export'])).stdout, (await broker.cli(['conn', 'list', '--json'])).stdout,
    (await broker.cli(['conn', 'show', 'many'])).stdout].join('\n');
  const actions = (await broker.lines(['audit', 'list', '--limit', '500'])).map((r) => r.action).filter(Boolean);
  assert.ok(actions.includes('connection.identity') && actions.includes('connection.proxy'));
  const keys = Object.values(ids).flatMap((id) => readFileSync(id.keyFile, 'utf8').split('\n').filter((l) => l.length > 40));
  for (const needle of ['pr0xy-7d1e55aa', Buffer.from(PROXY_SECRET).toString('base64'), 'PRIVATE KEY', ...keys]) {
    assert.ok(!everything.includes(needle), needle);
  }
});
