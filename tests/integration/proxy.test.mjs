// What a caller of the proxy and its upstream see: the walk of one request, policy, streaming, revocation.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker, sleep, until } from '../lib/broker.mjs';
import { connect, raw, request, statusOf } from '../lib/client.mjs';
import { startRawServer } from '../mock/rawserver.mjs';
import { startUpstream } from '../mock/upstream.mjs';

const REAL_KEY = 'sk-real-41c9e07ab2d8f635-upstream-only';
let dir, upstream, broker, key;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'relaykey-proxy-'));
  upstream = await startUpstream({ dir, key: REAL_KEY });
  broker = await Broker.start();
  await broker.addConnection('mock', upstream);
  key = (await broker.issueKey('mock')).key;
});

after(async () => {
  await broker?.end();
  await upstream?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** The refusal of a response: [status, code]. */
const refusal = (res) => [res.status, res.json().error.code];

test('a request reaches the upstream with the real key in place of the relay key', async () => {
  const res = await request(broker, 'GET', '/mock/things?x=1', { key });
  assert.equal(res.status, 200);
  assert.equal(res.json().url, '/v1/things?x=1');
  assert.equal(upstream.last.headers.authorization, `Bearer ${REAL_KEY}`);
  assert.equal(res.json().headers.host, `127.0.0.1:${upstream.port}`);
  assert.match(res.headers['x-relaykey-request-id'], /^req_/);
  assert.equal(res.headers['x-relaykey-decision'], 'allowed');
});

test('the connection id works in the URL like its name', async () => {
  const { id } = await broker.json(['conn', 'show', 'mock']);
  assert.match(id, /^conn_/);
  assert.equal((await request(broker, 'GET', `/${id}/things`, { key })).status, 200);
});

test('the relay key is found wherever an SDK puts it, and removed there', async () => {
  const basic = (text) => `Basic ${Buffer.from(text).toString('base64')}`;
  const places = [
    { authorization: `Bearer ${key}` }, { 'x-api-key': key }, { 'api-key': key }, { 'xi-api-key': key },
    { 'x-goog-api-key': key }, { 'x-relaykey': key }, { authorization: basic(`${key}:`) }, { authorization: basic(`user:${key}`) },
    { 'X_Api_Key': key }, { authorization: `Bearer ${key}`, 'x-api-key': key },
  ];
  for (const headers of places) {
    const res = await request(broker, 'GET', '/mock/things', { headers });
    assert.equal(res.status, 200, JSON.stringify(Object.keys(headers)));
    assert.equal(upstream.last.headers.authorization, `Bearer ${REAL_KEY}`);
  }
  assert.deepEqual(upstream.complaints, []);
});

test('no key, an unknown key and two different keys get one constant 401', async () => {
  const other = (await broker.issueKey('mock')).key;
  const answers = [
    await request(broker, 'GET', '/mock/things'),
    await request(broker, 'GET', '/mock/things', { key: 'rk_app_0000000000000000000000000000000000000000000000' }),
    await request(broker, 'GET', '/mock/things', { headers: { authorization: `Bearer ${key}`, 'x-api-key': other } }),
    await request(broker, 'GET', '/no-such-connection/things'),
    await request(broker, 'GET', `/mock/things?api_key=${key}`),
  ];
  for (const res of answers) {
    assert.deepEqual(refusal(res), [401, 'invalid_api_key']);
    assert.equal(res.json().error.message, answers[0].json().error.message);
    assert.equal(res.headers['x-relaykey-block-reason'], 'invalid_api_key');
    assert.equal(res.headers['x-should-retry'], 'false');
  }
});

test('an unknown connection with a valid key is 404', async () => {
  assert.deepEqual(refusal(await request(broker, 'GET', '/nowhere/things', { key })), [404, 'connection_not_found']);
});

test('methods, paths and query parameters outside the grant are refused, the same inside it pass', async () => {
  const { key: narrow } = await broker.issueKey('mock', {
    extra: ['--method', 'GET', '--path', '/v1/files/*', '--path', '/v1/a/*/c', '--deny-query', 'secret_report'] });
  const ask = (method, path) => request(broker, method, path, { key: narrow });
  assert.equal((await ask('GET', '/mock/files/a')).status, 200);
  assert.equal((await ask('GET', '/mock/files/a/content?x=1')).status, 200);
  assert.equal((await ask('GET', '/mock/a/b/c')).status, 200);
  assert.deepEqual(refusal(await ask('DELETE', '/mock/files/a')), [403, 'method_not_allowed']);
  assert.deepEqual(refusal(await ask('GET', '/mock/a/b/b/c')), [403, 'path_not_allowed']);
  assert.deepEqual(refusal(await ask('GET', '/mock/files')), [403, 'path_not_allowed']);
  assert.deepEqual(refusal(await ask('GET', '/mock/files/a?secret_report=1')), [403, 'query_param_not_allowed']);
  assert.deepEqual(refusal(await ask('GET', '/mock/files/a?x=1&secret%5freport=1')), [403, 'query_param_not_allowed']);
});

test('a key without methods and paths may do nothing', async () => {
  const { key: empty } = await broker.issueKey('mock', { extra: [] });
  assert.equal((await request(broker, 'GET', '/mock/things', { key: empty })).status, 403);
});

test('a path that could be read in two ways is refused and never reaches the upstream', async () => {
  const before = upstream.count;
  for (const path of ['/mock/a%2fb', '/mock/a%2Fb', '/mock/%2e%2e/b', '/mock/a/../b', '/mock/./b', '/mock/a%5cb', '/mock/a%252fb',
    '/mock//b', '/mock/a/..;x=1/b', '/mock/a%00b', '/mock/a\\b']) {
    const answer = await raw(broker, `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\n\r\n`, { ms: 300 });
    assert.equal(statusOf(answer), 400, path);
  }
  assert.equal(upstream.count, before);
  assert.equal((await request(broker, 'GET', '/mock/a%20b', { key })).status, 200);
});

test('a key for one address only is refused from another', async () => {
  const outside = (await broker.issueKey('mock', { extra: ['--method', 'GET', '--path', '/**', '--ip', '10.0.0.0/8'] })).key;
  const inside = (await broker.issueKey('mock', { extra: ['--method', 'GET', '--path', '/**', '--ip', '127.0.0.0/8'] })).key;
  assert.deepEqual(refusal(await request(broker, 'GET', '/mock/things', { key: outside })), [403, 'ip_not_allowed']);
  assert.equal((await request(broker, 'GET', '/mock/things', { key: inside })).status, 200);
});

test('an expired key is refused; the same key worked before', async () => {
  const { key: short } = await broker.issueKey('mock', { extra: ['--method', '*', '--path', '/**', '--ttl', '2s'] });
  assert.equal((await request(broker, 'GET', '/mock/things', { key: short })).status, 200);
  await until(async () => (await request(broker, 'GET', '/mock/things', { key: short })).status === 401, 'expiry', 4000);
});

test('a key of another connection is refused on this one', async () => {
  await broker.addConnection('second', upstream);
  const { key: other } = await broker.issueKey('second');
  assert.deepEqual(refusal(await request(broker, 'GET', '/mock/things', { key: other })), [403, 'connection_not_granted']);
  assert.equal((await request(broker, 'GET', '/second/things', { key: other })).status, 200);
});

test('each auth style puts the secret where it belongs', async () => {
  const styles = [
    ['styleuser', ['basic:svc'], (r) => r.headers.authorization === `Basic ${Buffer.from(`svc:${REAL_KEY}`).toString('base64')}`],
    ['stylehdr', ['header:X-Custom-Key'], (r) => r.headers['x-custom-key'] === REAL_KEY],
    ['styleprefix', ['header:Authorization:Token '], (r) => r.headers.authorization === `Token ${REAL_KEY}`],
    ['styletwo', ['header:X-Api-Key', 'header:Api-Key'], (r) => r.headers['x-api-key'] === REAL_KEY && r.headers['api-key'] === REAL_KEY],
    ['stylequery', ['query:api_key'], (r) => new URL(r.url, 'https://x').searchParams.get('api_key') === REAL_KEY
      && new URL(r.url, 'https://x').searchParams.get('q') === '1' && r.headers.authorization === undefined],
  ];
  for (const [name, auth, check] of styles) {
    await broker.addConnection(name, upstream, { auth });
    const { key: k } = await broker.issueKey(name);
    const res = await request(broker, 'GET', `/${name}/things?q=1`, { key: k });
    assert.equal(res.status, 200, name);
    assert.ok(check(upstream.last), `${name}: ${JSON.stringify(upstream.last)}`);
  }
  const { key: q } = await broker.issueKey('stylequery');
  assert.equal((await request(broker, 'GET', `/stylequery/things?api_key=${q}`)).status, 200);
  assert.deepEqual(upstream.complaints, []);
});

test('hop-by-hop, forwarding and relaykey headers of the client do not reach the upstream', async () => {
  const res = await request(broker, 'GET', '/mock/things', { key, headers: {
    connection: 'keep-alive, x-hop', 'x-hop': '1', 'x-forwarded-for': '1.2.3.4', 'x-relaykey-trace': 'a', te: 'trailers', 'x-kept': 'yes' } });
  const { headers } = res.json();
  assert.equal(headers['x-kept'], 'yes');
  for (const name of ['x-hop', 'x-forwarded-for', 'x-relaykey-trace', 'te']) assert.equal(headers[name], undefined, name);
});

test('Set-Cookie of the upstream is dropped', async () => {
  const res = await request(broker, 'GET', '/mock/cookie', { key });
  assert.equal(res.status, 200);
  assert.equal(res.headers['set-cookie'], undefined);
});

test('bodies go up whole, with a length and chunked', async () => {
  const body = randomBytes(3_000_000);
  const digest = createHash('sha256').update(body).digest('hex');
  const sized = await request(broker, 'POST', '/mock/upload', { key, body });
  assert.deepEqual(sized.json(), { bytes: body.length, sha256: digest });
  const chunked = await request(broker, 'POST', '/mock/upload', { key, body, headers: { 'transfer-encoding': 'chunked' } });
  assert.deepEqual(chunked.json(), { bytes: body.length, sha256: digest });
});

test('responses come back whole, with a length and chunked', async () => {
  for (const more of ['', '&chunked=1']) {
    const res = await request(broker, 'GET', `/mock/bytes?n=2500000${more}`, { key });
    assert.equal(res.text.length, 2500000);
  }
});

test('one client connection serves many requests, and pooled upstream connections are used again', async () => {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  const sockets = new Set();
  const before = upstream.connections;
  for (let i = 0; i < 20; i++) {
    const res = await request(broker, 'GET', `/mock/things/${i}`, { key, agent, onResponse: (r) => sockets.add(r.socket) });
    assert.equal(res.status, 200);
  }
  agent.destroy();
  assert.equal(sockets.size, 1);
  assert.ok(upstream.connections - before <= 2);
});

test('pipelined requests are answered in order', async () => {
  const one = (n) => `GET /mock/p/${n} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\n\r\n`;
  const answer = await raw(broker, one(1) + one(2) + one(3), { ms: 700 });
  const order = [...answer.matchAll(/"url":"\/v1\/p\/(\d)"/g)].map((m) => m[1]);
  assert.deepEqual(order, ['1', '2', '3']);
});

test('server-sent events arrive one by one as they are sent', async () => {
  const delays = await new Promise((resolve, reject) => {
    const got = [];
    https.get({ host: '127.0.0.1', port: broker.proxy, ca: broker.ca, path: '/mock/sse?n=5&ms=120',
      headers: { authorization: `Bearer ${key}` } }, (res) => {
      res.on('data', (d) => {
        for (const m of d.toString().matchAll(/"sent":(\d+)/g)) got.push(Date.now() - Number(m[1]));
      });
      res.on('end', () => resolve(got));
      res.on('error', reject);
    });
  });
  assert.equal(delays.length, 5);
  assert.ok(Math.max(...delays) < 100, `delays ${delays}`);
});

test('revoking a key cuts its live stream within 100 ms and refuses the next request', async () => {
  const { id, key: doomed } = await broker.issueKey('mock', { holder: 'vendor:acme' });
  const stream = await new Promise((resolve, reject) => {
    https.get({ host: '127.0.0.1', port: broker.proxy, ca: broker.ca, path: '/mock/sse?n=200&ms=50',
      headers: { authorization: `Bearer ${doomed}` } }, resolve).on('error', reject);
  });
  await new Promise((done) => stream.once('data', done));
  let revokedAt;
  const cutAt = new Promise((done) => {
    stream.on('data', () => {});
    stream.on('error', () => {});
    stream.once('close', () => done(Date.now()));
  });
  const watch = (async () => {
    const tail = await broker.cli(['key', 'revoke', id]);
    revokedAt = Date.now();
    assert.equal(tail.status, 0, tail.stderr);
  })();
  const [at] = await Promise.all([cutAt, watch]);
  assert.ok(at - revokedAt < 100, `cut ${at - revokedAt} ms after the revocation was confirmed`);
  assert.equal((await request(broker, 'GET', '/mock/things', { key: doomed })).status, 401);
  const rows = await until(async () => {
    const found = (await broker.lines(['audit', 'list', '--limit', '50'])).filter((r) => r.outcome === 'cut');
    return found.length ? found : null;
  }, 'the audit row of the cut stream');
  assert.equal(rows[0].holder.name ?? rows[0].holder, 'acme');
});

/** Opens a stream of `n` events, one in 50 ms; `ended` tells when and after which event it ended, and whether whole. */
async function openStream(k, n) {
  const res = await new Promise((resolve, reject) => {
    https.get({ host: '127.0.0.1', port: broker.proxy, ca: broker.ca, path: `/mock/sse?n=${n}&ms=50`,
      headers: { authorization: `Bearer ${k}` } }, resolve).on('error', reject);
  });
  assert.equal(res.statusCode, 200);
  let text = '';
  res.on('data', (d) => { text += d; });
  res.on('error', () => {});
  const ended = new Promise((done) => {
    res.once('close', () => done({ at: Date.now(), whole: res.complete, last: Number([...text.matchAll(/"i":(\d+)/g)].at(-1)?.[1]) }));
  });
  return { ended, begun: () => until(() => text.includes('"i":0'), 'the first event') };
}

const EVERYTHING = ['--method', '*', '--path', '/**'];

test('a stream outlives the first expiry of its key once the key is extended, and does not without', async () => {
  const extended = await broker.issueKey('mock', { extra: [...EVERYTHING, '--ttl', '2s'] });
  const left = await broker.issueKey('mock', { extra: [...EVERYTHING, '--ttl', '2s'] });
  const streams = [await openStream(extended.key, 70), await openStream(left.key, 70)];
  await Promise.all(streams.map((s) => s.begun()));
  await broker.json(['key', 'extend', extended.id, '--ttl', '1h']);
  const [longer, cut] = await Promise.all(streams.map((s) => s.ended));
  assert.deepEqual([longer.whole, longer.last], [true, 69]);
  assert.equal(cut.whole, false);
  assert.ok(cut.last < 60, `cut after event ${cut.last}`);
});

test('a stream is cut at the new expiry of its key when that comes earlier', async () => {
  const { id, key: k } = await broker.issueKey('mock', { extra: [...EVERYTHING, '--ttl', '1h'] });
  const stream = await openStream(k, 100);
  await stream.begun();
  const asked = Date.now();
  await broker.json(['key', 'extend', id, '--ttl', '1s']);
  const { at, whole } = await stream.ended;
  assert.equal(whole, false);
  assert.ok(at - asked >= 1000 && at - asked < 2000, `cut ${at - asked} ms after the command began`);
});

test('a GET survives a pooled upstream connection that closes under it, a POST does not and is sent once', async () => {
  const used = new WeakSet();
  const good = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood';
  const hangUp = (socket) => (used.has(socket) ? socket.destroy() : socket.write(good));
  const server = await startRawServer({ dir, key: REAL_KEY, answers: {
    warm: (socket) => { used.add(socket); socket.write(good); }, 'stale-get': hangUp, 'stale-post': hangUp } });
  try {
    await broker.addConnection('hangup', server);
    const { id, key: k } = await broker.issueKey('hangup');
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 }); // one relay, one pool
    const ask = (method, name, body) => request(broker, method, `/hangup/${name}`, { key: k, agent, body });
    const came = (name) => server.requests.filter((r) => r.name === name);
    assert.equal((await ask('GET', 'warm')).status, 200);
    const got = await ask('GET', 'stale-get');
    assert.deepEqual([got.status, got.text], [200, 'good']);
    assert.equal(came('stale-get').length, 2);
    for (const { text } of came('stale-get')) assert.match(text, new RegExp(`Bearer ${REAL_KEY}`));
    assert.equal((await ask('GET', 'warm')).status, 200);
    assert.deepEqual(refusal(await ask('POST', 'stale-post', 'x')), [502, 'upstream_unreachable']);
    assert.equal(came('stale-post').length, 1);
    agent.destroy();
    const rows = await until(async () => {
      const found = (await broker.lines(['audit', 'list', '--limit', '50'])).filter((r) => r.key_id === id);
      return found.length === 4 && found.every((r) => r.outcome) ? found : null;
    }, 'four rows with their outcomes');
    assert.deepEqual(rows.map((r) => [r.path, r.outcome, r.detail ?? '']), [['/v1/warm', 'complete', ''],
      ['/v1/stale-get', 'complete', 'retried'], ['/v1/warm', 'complete', ''], ['/v1/stale-post', 'upstream_gone', 'upstream_closed']]);
  } finally {
    await server.stop();
  }
});

test('disabling a connection refuses its keys at once, enabling it again lets them pass', async () => {
  await broker.addConnection('frozen', upstream);
  const { key: k } = await broker.issueKey('frozen');
  assert.equal((await request(broker, 'GET', '/frozen/things', { key: k })).status, 200);
  await broker.json(['conn', 'disable', 'frozen']);
  assert.deepEqual(refusal(await request(broker, 'GET', '/frozen/things', { key: k })), [403, 'connection_disabled']);
  await broker.json(['conn', 'enable', 'frozen']);
  assert.equal((await request(broker, 'GET', '/frozen/things', { key: k })).status, 200);
});

test('a rotated credential is used from the next request on', async () => {
  await broker.addConnection('rotating', upstream, { secret: 'sk-old-key-that-is-no-longer-valid' });
  const { key: k } = await broker.issueKey('rotating');
  assert.equal((await request(broker, 'GET', '/rotating/things', { key: k })).status, 401);
  await broker.json(['conn', 'rotate', 'rotating', '--secret-file', '-'], REAL_KEY);
  assert.equal((await request(broker, 'GET', '/rotating/things', { key: k })).status, 200);
});

test('an upstream that cannot be reached is 502, with the row completed', async () => {
  const gone = { ...upstream, baseUrl: 'https://127.0.0.1:1' };
  await broker.addConnection('gone', gone);
  const { key: k } = await broker.issueKey('gone');
  assert.deepEqual(refusal(await request(broker, 'GET', '/gone/x', { key: k })), [502, 'upstream_unreachable']);
});

test('an upstream whose certificate does not verify is refused', async () => {
  const name = 'untrusted';
  await broker.json(['conn', 'add', name, '--base-url', `${upstream.baseUrl}/v1`, '--allow-private', '--secret-file', '-'], REAL_KEY);
  const { key: k } = await broker.issueKey(name);
  const before = upstream.count;
  assert.equal((await request(broker, 'GET', `/${name}/x`, { key: k })).status, 502);
  assert.equal(upstream.count, before);
});

test('a private address is refused for a connection that does not allow it', async () => {
  const got = await broker.cli(['conn', 'add', 'inner', '--base-url', 'https://127.0.0.1:9/v1', '--secret-file', '-'], REAL_KEY);
  assert.equal(got.status, 1);
  await broker.json(['conn', 'add', 'bylocalname', '--base-url', `https://localhost:${upstream.port}/v1`, '--ca', upstream.caFile,
    '--secret-file', '-'], REAL_KEY);
  const { key: k } = await broker.issueKey('bylocalname');
  assert.deepEqual(refusal(await request(broker, 'GET', '/bylocalname/x', { key: k })), [502, 'upstream_refused']);
  await broker.addConnection('allowedname', { ...upstream, baseUrl: `https://localhost:${upstream.port}` });
  const { key: ok } = await broker.issueKey('allowedname');
  assert.equal((await request(broker, 'GET', '/allowedname/x', { key: ok })).status, 200);
});

test('a truncated upstream response is visible as truncated', async () => {
  await assert.rejects(request(broker, 'GET', '/mock/truncate', { key }));
});

test('statuses and bodies of the upstream pass unchanged, 204, 304 and errors too', async () => {
  for (const status of [201, 204, 304, 400, 401, 404, 429, 500, 503]) {
    const res = await request(broker, 'GET', `/mock/status/${status}`, { key });
    assert.equal(res.status, status);
    assert.equal(res.headers['x-relaykey-decision'], 'allowed');
  }
});

test('HEAD has no body and the connection goes on', async () => {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  const head = await request(broker, 'HEAD', '/mock/things', { key, agent });
  assert.equal(head.status, 200);
  assert.equal(head.text, '');
  assert.equal((await request(broker, 'GET', '/mock/things', { key, agent })).status, 200);
  agent.destroy();
});

test('Expect: 100-continue is answered before the body', async () => {
  const socket = await connect(broker);
  let got = '';
  socket.on('data', (d) => { got += d; });
  socket.write(`POST /mock/upload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n`);
  await until(() => got.startsWith('HTTP/1.1 100'), '100 Continue');
  socket.write('hello');
  await until(() => got.includes('"bytes":5'), 'the answer');
  socket.destroy();
});

test('every request is in the audit log, with its decision, and none of the secrets is', async () => {
  const { key: audited, id } = await broker.issueKey('mock', { holder: 'agent:auditor', extra: ['--method', 'GET', '--path', '/v1/ok'] });
  await request(broker, 'GET', '/mock/ok?token_hint=hunter2', { key: audited });
  await request(broker, 'GET', '/mock/no', { key: audited });
  await sleep(200);
  const rows = (await broker.lines(['audit', 'list', '--limit', '100'])).filter((r) => r.key_id === id);
  assert.deepEqual(rows.map((r) => [r.type, r.method, r.path, r.decision]).filter((r) => r[0] === 'request').map((r) => r.slice(1)),
    [['GET', '/v1/ok', 'allowed'], ['GET', '/v1/no', 'denied']]);
  const exported = await broker.cli(['audit', 'export', '--format', 'jsonl']);
  assert.equal(exported.status, 0);
  for (const secret of [REAL_KEY, audited, key, 'hunter2']) assert.ok(!exported.stdout.includes(secret));
  assert.ok(exported.stdout.includes('token_hint'));
  const verified = await broker.json(['audit', 'verify']);
  assert.equal(verified.ok, true);
});

test('a relay key that somebody pastes where it does not belong is in neither the audit log nor the log', async () => {
  const { key: pasted, id } = await broker.issueKey('mock', { holder: 'app:paste' });
  const never = `rk_mgmt_admin_${pasted.split('_')[2]}`;
  const encoded = pasted.replaceAll('_', '%5F');
  const agent = { 'user-agent': `curl/8 (${pasted}${pasted})` };
  await request(broker, 'GET', `/mock/pasted/${pasted}/${never}/x`, { key });
  await request(broker, 'GET', `/mock/pasted/${encoded}`, { key });
  await request(broker, 'GET', `/mock/pasted?a=1&${pasted}=1&${encoded}`, { key });
  await request(broker, 'GET', '/mock/pasted', { key, headers: agent });
  await request(broker, 'GET', `/${pasted}/pasted`, { key });
  await request(broker, 'GET', `/${pasted}/pasted/${pasted}`, { headers: agent });
  await raw(broker, `GET /mock/pasted/${pasted} HTTP/1.1\r\nHost: x\r\n${pasted}: 1\r\nBad ${pasted}\r\n\r\n`);
  await sleep(200);
  const exported = (await broker.cli(['audit', 'export', '--format', 'jsonl'])).stdout;
  const rows = exported.split('\n').filter((l) => l.includes('pasted')).length;
  assert.ok(rows >= 5, `${rows} rows`);
  assert.ok(exported.includes(`/v1/pasted/rk_app_${id.slice(4)}${'*'.repeat(34)}/`), 'the id stays');
  const secret = pasted.split('_')[2].slice(12);
  for (const [name, text] of Object.entries({ exported, log: broker.log })) {
    assert.ok(!text.includes(secret), `${name}: ${text.split('\n').filter((l) => l.includes(secret)).join('\n')}`);
  }
  assert.equal((await broker.json(['audit', 'verify'])).ok, true);
});
