// Limits of a relay key: so many requests in a minute, in a day, at once.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mkdtempSync, rmSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker, until } from '../lib/broker.mjs';
import { request } from '../lib/client.mjs';
import { startUpstream } from '../mock/upstream.mjs';

const REAL_KEY = 'sk-real-c2a7710e93b54d68-upstream-only';
let dir, upstream, broker;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'relaykey-limits-'));
  upstream = await startUpstream({ dir, key: REAL_KEY });
  broker = await Broker.start(); // two relays: the count is the keeper's
  await broker.addConnection('mock', upstream);
});

after(async () => {
  await broker?.end();
  await upstream?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const issue = (...more) => broker.issueKey('mock', { extra: ['--method', 'GET', '--path', '/**', ...more] });
const ask = (key, path = '/mock/things') => request(broker, 'GET', path, { key });
const refusal = (res) => [res.status, res.json().error.code];

/** A stream whose first event has come; close() ends it from the client's side. */
async function openStream(key, n = 1000, ms = 50) {
  const req = https.get({ host: '127.0.0.1', port: broker.proxy, ca: broker.ca, path: `/mock/sse?n=${n}&ms=${ms}`,
    headers: { authorization: `Bearer ${key}` }, agent: false });
  const res = await new Promise((resolve, reject) => { req.on('response', resolve).on('error', reject); });
  if (res.statusCode !== 200) {
    res.resume();
    return { status: res.statusCode, headers: res.headers };
  }
  await new Promise((done) => res.once('data', done));
  req.on('error', () => {});
  res.on('error', () => {});
  res.resume();
  return { status: 200, headers: res.headers, ended: new Promise((done) => res.once('close', done)), close: () => req.destroy() };
}

test('after its requests of a minute a key gets 429, and is told when to come back', async () => {
  const { id, key } = await issue('--rate', '5/min');
  const began = upstream.count;
  for (let left = 4; left >= 0; left--) {
    const res = await ask(key);
    assert.equal(res.status, 200);
    assert.equal(res.headers['ratelimit-policy'], '"relaykey-minute";q=5;w=60');
    assert.match(res.headers.ratelimit, new RegExp(`^"relaykey-minute";r=${left};t=\\d+$`));
    assert.equal(res.headers['retry-after'], undefined);
  }
  const res = await ask(key);
  assert.deepEqual(refusal(res), [429, 'rate_limited']);
  assert.equal(res.json().error.type, 'rate_limit_error');
  assert.equal(res.headers['x-relaykey-block-reason'], 'rate_limited');
  assert.equal(res.headers['x-relaykey-decision'], 'limited');
  assert.notEqual(res.headers['x-should-retry'], 'false');
  assert.equal(res.headers['ratelimit-policy'], '"relaykey-minute";q=5;w=60');
  const wait = Number(res.headers['retry-after']);
  assert.ok(wait > 30 && wait <= 62, `Retry-After: ${wait}`);
  assert.equal(res.headers.ratelimit, `"relaykey-minute";r=0;t=${wait}`);
  assert.equal(upstream.count, began + 5);
  const rows = (await broker.lines(['audit', 'list', '--key', id, '--decision', 'limited']));
  assert.equal(rows.length, 1);
  assert.deepEqual([rows[0].status, rows[0].reason, rows[0].detail], [429, 'rate_limited', 'per_minute']);
});

test('a limit is of one key: others are not affected, and those without one are told nothing', async () => {
  const { key: limited } = await issue('--rate', '1/min');
  const { key: twin } = await issue('--rate', '1/min');
  const { key: free } = await issue();
  assert.equal((await ask(limited)).status, 200);
  assert.equal((await ask(limited)).status, 429);
  assert.equal((await ask(twin)).status, 200);
  for (let i = 0; i < 5; i++) {
    const res = await ask(free);
    assert.equal(res.status, 200);
    assert.ok(!('ratelimit' in res.headers) && !('ratelimit-policy' in res.headers));
  }
});

test('what is refused for another reason uses up nothing', async () => {
  const { id, key } = await broker.issueKey('mock', { extra: ['--method', 'GET', '--path', '/v1/things', '--rate', '2/min', '--rate', '2/day'] });
  for (let i = 0; i < 4; i++) {
    assert.equal((await ask(key, '/mock/other')).status, 403);
    assert.equal((await request(broker, 'POST', '/mock/things', { key })).status, 403);
    assert.equal((await ask(key, '/nowhere/things')).status, 404);
    assert.equal((await ask(key, '/mock/a%2fb')).status, 400);
    const wrong = await request(broker, 'GET', '/mock/things', { headers: { authorization: `Bearer ${key}`, 'x-api-key': `${key.slice(0, -1)}x` } });
    assert.equal(wrong.status, 401);
    assert.ok(!('ratelimit' in wrong.headers));
  }
  assert.deepEqual([(await ask(key)).status, (await ask(key)).status, (await ask(key)).status], [200, 200, 429]);
  await broker.json(['key', 'revoke', id]);
  assert.equal((await ask(key)).status, 401);
});

test('the day is counted apart from the minute, and lasts until midnight UTC', async () => {
  const { key } = await issue('--rate', '100/min', '--rate', '3/day');
  for (let left = 2; left >= 0; left--) {
    const res = await ask(key);
    assert.match(res.headers.ratelimit, new RegExp(`^"relaykey-minute";r=${97 + left};t=\\d+, "relaykey-day";r=${left};t=\\d+$`));
    assert.equal(res.headers['ratelimit-policy'], '"relaykey-minute";q=100;w=60, "relaykey-day";q=3;w=86400');
  }
  const res = await ask(key);
  assert.deepEqual(refusal(res), [429, 'rate_limited']);
  const midnight = (86400_000 - Date.now() % 86400_000) / 1000;
  assert.ok(Math.abs(Number(res.headers['retry-after']) - midnight) < 5, res.headers['retry-after']);
});

test('requests that come together are counted one by one', async () => {
  const { key } = await issue('--rate', '10/min');
  const statuses = (await Promise.all(Array.from({ length: 40 }, () => ask(key)))).map((res) => res.status);
  assert.equal(statuses.filter((s) => s === 200).length, 10);
  assert.equal(statuses.filter((s) => s === 429).length, 30);
});

test('open streams count until they end, whoever ends them', async () => {
  const { id, key } = await issue('--concurrent', '2');
  const streams = [await openStream(key), await openStream(key, 8, 50)];
  assert.deepEqual(streams.map((s) => s.status), [200, 200]);
  assert.equal(streams[0].headers['ratelimit-policy'], '"relaykey-concurrent";q=2;qu="concurrent-requests"');
  assert.deepEqual(streams.map((s) => s.headers.ratelimit), ['"relaykey-concurrent";r=1', '"relaykey-concurrent";r=0']);
  const res = await ask(key);
  assert.deepEqual(refusal(res), [429, 'concurrency_limited']);
  assert.equal(res.headers['retry-after'], '1');
  assert.equal(res.headers['x-relaykey-block-reason'], 'concurrency_limited');
  assert.equal(res.headers['x-relaykey-decision'], 'limited');
  assert.notEqual(res.headers['x-should-retry'], 'false');
  await streams[1].ended; // the upstream's end
  await until(async () => (await ask(key)).status === 200, 'a place after the stream ended');
  const next = await openStream(key);
  assert.equal(next.status, 200);
  assert.equal((await ask(key)).status, 429);
  streams[0].close(); // the client's end
  await until(async () => (await ask(key)).status === 200, 'a place after the client left');
  next.close();
  await until(async () => (await broker.json(['key', 'show', id])).in_flight === 0, 'no request in flight');
  assert.equal((await ask(key)).status, 200);
});

test('a request after another is never one too many', async () => {
  const { key } = await issue('--concurrent', '1');
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  const statuses = [];
  for (let i = 0; i < 30; i++) statuses.push((await request(broker, 'GET', '/mock/things', { key, agent })).status);
  agent.destroy();
  assert.deepEqual([...new Set(statuses)], [200]);
});

test('limits survive a restart of the broker, what was used of them does not', async () => {
  const { id, key } = await issue('--rate', '1/min', '--concurrent', '3');
  assert.equal((await ask(key)).status, 200);
  assert.equal((await ask(key)).status, 429);
  await broker.stop();
  await broker.launch();
  await broker.healthy();
  assert.deepEqual((await broker.json(['key', 'show', id])).limits, { per_minute: 1, per_day: null, concurrent: 3 });
  assert.equal((await ask(key)).status, 200);
  assert.equal((await ask(key)).status, 429);
});

test('the provider\'s own limits pass untouched', async () => {
  const { key } = await issue('--rate', '50/min');
  const res = await ask(key, '/mock/limited');
  assert.equal(res.status, 429);
  assert.equal(res.headers['x-ratelimit-remaining-requests'], '7');
  assert.equal(res.headers['retry-after'], '13');
  assert.equal(res.headers['x-relaykey-decision'], 'allowed');
  assert.match(res.headers.ratelimit, /^"relaykey-minute";r=49;t=\d+$/);
});
