// Containment and the care of connections: the panic switch, honey keys, leaked keys, earlier credentials, changes and tests.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker, freePort, sleep, until } from '../lib/broker.mjs';
import { request } from '../lib/client.mjs';
import { startUpstream } from '../mock/upstream.mjs';

const REAL_KEY = 'sk-real-4be2f81d07c9a356-contain-one';
const OTHER_KEY = 'sk-real-90aa1c73b5de42f8-contain-two';
let dir, upstream, other, broker;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'relaykey-contain-'));
  upstream = await startUpstream({ dir, key: REAL_KEY });
  other = await startUpstream({ dir, key: OTHER_KEY });
  broker = await Broker.start({ relays: 2 });
  await broker.addConnection('mock', upstream);
});

after(async () => {
  await broker?.end();
  await upstream?.stop();
  await other?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const get = (key, path = '/mock/things', options = {}) => request(broker, 'GET', path, { key, ...options });
const audit = (...filters) => broker.lines(['audit', 'list', '--limit', '300', ...filters]);
const code = (answer) => answer.headers['x-relaykey-block-reason'];

/** A stream of 30 s; `cut` resolves with the time at which it ended, and whether it was whole. */
async function openStream(key) {
  let opened;
  const open = new Promise((done) => { opened = done; });
  const ended = request(broker, 'GET', '/mock/sse?n=300&ms=100', { key, onResponse: opened })
    .then(() => ({ at: Date.now(), whole: true }), () => ({ at: Date.now(), whole: false }));
  await open;
  return ended;
}

/** One request after the other until it is stopped; gives the statuses seen. */
function loadWith(key, ms = 20000) {
  const end = Date.now() + ms;
  let running = true;
  const all = (async () => {
    const seen = new Set();
    // one that was in flight when all was cut has no answer
    while (running && Date.now() < end) seen.add((await get(key).catch(() => ({ status: 403 }))).status);
    return seen;
  })();
  return { stop: () => { running = false; return all; } };
}

test('the panic switch cuts what is in flight within 100 ms, refuses everything, and survives kill -9', async () => {
  const { key } = await broker.issueKey('mock');
  const streams = Array.from({ length: 8 }, () => openStream(key));
  const load = loadWith(key);
  await sleep(400);
  const state = await broker.json(['panic', 'on', '--reason', 'keys on a forum']);
  for (const stream of streams) {
    const { at, whole } = await stream;
    assert.equal(whole, false);
    assert.ok(at - Date.parse(state.since) < 100, `cut after ${at - Date.parse(state.since)} ms`);
  }
  await sleep(50);
  assert.deepEqual([...await load.stop()].sort(), [200, 403]);

  const refused = await get(key);
  assert.deepEqual([refused.status, code(refused), refused.headers['x-should-retry']], [403, 'traffic_stopped', 'false']);
  assert.equal(refused.json().error.code, 'traffic_stopped');
  assert.equal((await get('rk_app_wrong')).status, 401);
  const row = (await audit()).find((r) => r.request_id === refused.headers['x-relaykey-request-id']);
  assert.deepEqual([row.decision, row.reason, row.status], ['denied', 'traffic_stopped', 403]);
  assert.ok((await audit()).some((r) => r.reason === 'traffic_stopped' && r.outcome === 'cut'));

  const before = upstream.seen.length;
  process.kill(broker.pidOf('keeper'), 'SIGKILL');
  await until(async () => (await broker.cli(['status'])).status === 0, 'a new keeper');
  await broker.healthy();
  assert.equal(code(await until(() => get(key).catch(() => null), 'an answer')), 'traffic_stopped');
  broker.child.kill('SIGKILL');
  await broker.exited;
  await until(() => broker.launch().then(() => true, () => false), 'a restart', 20000);
  await broker.healthy();
  assert.equal(code(await get(key)), 'traffic_stopped');
  assert.equal(upstream.seen.length, before);

  const { panic } = await broker.json(['status']);
  assert.equal(panic.on, true);
  assert.equal(panic.reason, 'keys on a forum');
  assert.match(panic.by, /^uid:/);
  assert.equal(panic.since, state.since);
  assert.match((await broker.cli(['status'])).stdout, /traffic +STOPPED since .* by uid:\d+: keys on a forum/);

  assert.equal((await broker.json(['panic', 'off'])).on, false);
  assert.equal((await get(key)).status, 200);
  const actions = (await audit()).map((r) => r.action).filter((a) => a?.startsWith('traffic.'));
  assert.deepEqual(actions.sort(), ['traffic.resume', 'traffic.stop']);
});

test('a honey key is refused like any wrong key, and the log says what it was', async () => {
  const honey = await broker.json(['key', 'issue', '--honey', '--holder', 'vendor:decoy', '--name', 'wiki-page']);
  assert.match(honey.key, /^rk_vendor_[0-9A-Za-z]{46}$/);
  assert.equal(honey.honey, true);
  const wrong = await get('rk_vendor_wrong');
  const used = await get(honey.key);
  assert.equal(used.status, 401);
  const shape = (a) => ({ ...a.json().error, request_id: null });
  assert.deepEqual(shape(used), shape(wrong));
  const names = (a) => Object.keys(a.headers).sort();
  assert.deepEqual(names(used), names(wrong));
  const row = (await audit()).find((r) => r.request_id === used.headers['x-relaykey-request-id']);
  assert.deepEqual([row.reason, row.detail, row.key_id], ['invalid_api_key', 'honey', honey.id]);
  assert.equal((await broker.lines(['key', 'list'])).find((k) => k.id === honey.id).honey, true);
  assert.match(broker.log, /honey-key-used/);
  assert.ok(!broker.log.includes(honey.key));
});

test('leaked keys are found in any text and revoked; others and wrong ones are told apart', async () => {
  const first = await broker.issueKey('mock');
  const second = await broker.issueKey('mock', { holder: 'vendor:crew' });
  const kept = await broker.issueKey('mock');
  const honey = await broker.json(['key', 'issue', '--honey', '--holder', 'app:decoy']);
  const stranger = `${first.key.slice(0, -1)}${first.key.endsWith('0') ? '1' : '0'}`; // wrong checksum
  const text = `git show\n+OPENAI_API_KEY=${first.key}\n{"key":"${second.key}"} ${stranger}\nhttps://x/?k=${honey.key}&y ${first.key}\n`;
  const file = join(dir, 'dump.txt');
  writeFileSync(file, text);
  assert.equal((await get(first.key)).status, 200);
  const stream = openStream(second.key);
  await sleep(300);
  const verdicts = await broker.lines(['leak', file, '--source', 'public repository']);
  assert.deepEqual(verdicts.map((v) => [v.id, v.finding]),
    [[first.id, 'revoked'], [second.id, 'revoked'], [honey.id, 'honey'], [first.id, 'over']]);
  assert.equal((await stream).whole, false);
  assert.equal((await get(first.key)).status, 401);
  assert.equal((await get(kept.key)).status, 200);
  assert.equal((await broker.json(['key', 'show', honey.id])).state, 'active');
  const rows = (await audit()).filter((r) => r.action === 'key.leaked');
  assert.deepEqual(rows.map((r) => r.target).sort(), [first.id, second.id, honey.id].sort());
  assert.ok(rows.every((r) => /public repository$/.test(r.detail)));
  const all = (await broker.cli(['audit', 'export'])).stdout;
  for (const { key } of [first, second, honey]) assert.ok(!all.includes(key) && !broker.log.includes(key));
  // once more: nothing happens, and it says so
  const again = await broker.lines(['leak', '-'], text);
  assert.deepEqual(again.map((v) => v.finding), ['over', 'over', 'honey', 'over']);
  assert.equal((await audit()).filter((r) => r.action === 'key.leaked').length, 3);
  const nothing = await broker.cli(['leak', '-'], `only ${stranger} and rk_app_x`);
  assert.equal(nothing.status, 1);
  assert.match(nothing.stderr, /no relay key in it/);
});

test('a management key in it is revoked as well, and one of another broker is not known', async () => {
  const key = await broker.json(['mgmt', 'issue', '--role', 'operator', '--name', 'leaky']);
  const other = await broker.json(['mgmt', 'issue', '--role', 'auditor', '--name', 'kept']);
  const verdicts = await broker.lines(['leak', '-', '--source', 'chat'], `TOKEN=${key.key}, ${other.key}x`);
  assert.deepEqual(verdicts.map((v) => [v.id, v.finding]), [[key.id, 'revoked']]);
  assert.deepEqual((await broker.lines(['leak', '-'], key.key)).map((v) => v.finding), ['over']);
  const state = async ({ id }) => (await broker.json(['mgmt', 'show', id])).state;
  assert.deepEqual([await state(key), await state(other)], ['revoked', 'active']);
  const rows = (await audit()).filter((r) => r.action === 'key.leaked' && r.target === key.id);
  assert.equal(rows.length, 1);
  assert.ok(!(await broker.cli(['audit', 'export'])).stdout.includes(key.key) && !broker.log.includes(key.key));
});

test('a bad rotation is taken back: the upstream sees the earlier secret again', async () => {
  await broker.addConnection('rolled', upstream);
  const { key } = await broker.issueKey('rolled');
  assert.equal((await get(key, '/rolled/things')).status, 200);
  assert.equal((await broker.json(['conn', 'rotate', 'rolled', '--secret-file', '-'], 'sk-real-mistyped-00000000')).credential_version, 2);
  assert.equal((await get(key, '/rolled/things')).status, 401);
  assert.equal((await broker.json(['conn', 'rollback', 'rolled', '1'])).credential_version, 3);
  assert.equal((await get(key, '/rolled/things')).status, 200);
  const versions = await broker.lines(['conn', 'versions', 'rolled']);
  assert.deepEqual(versions.map((v) => [v.version, v.current, v.restorable]), [[3, true, true], [2, false, true], [1, false, true]]);
  assert.ok(!JSON.stringify(versions).includes(REAL_KEY.slice(0, 16)));
  await broker.json(['conn', 'purge', 'rolled', '2']);
  assert.deepEqual((await broker.lines(['conn', 'versions', 'rolled'])).map((v) => v.version), [3, 1]);
  for (const args of [['rollback', 'rolled', '2'], ['rollback', 'rolled', '3'], ['purge', 'rolled', '3']])
    assert.equal((await broker.cli(['conn', ...args])).status, 1);
  await broker.stop();
  await broker.launch();
  await broker.healthy();
  assert.equal((await get(key, '/rolled/things')).status, 200);
});

test('a connection is renamed and pointed elsewhere; streams end where they were, grants stay', async () => {
  const conn = await broker.addConnection('before', upstream);
  const { key } = await broker.issueKey('before');
  const stream = request(broker, 'GET', '/before/sse?n=15&ms=100', { key });
  await sleep(300);
  assert.equal((await broker.json(['conn', 'update', 'before', '--name', 'after', '--provider', 'acme'])).name, 'after');
  assert.equal((await get(key, '/after/things')).status, 200);
  assert.equal((await get(key, `/${conn.id}/things`)).status, 200);
  assert.equal((await get(key, '/before/things')).status, 404);

  const to = ['--base-url', `${other.baseUrl}/v1`, '--ca', other.caFile];
  assert.equal((await broker.cli(['conn', 'update', 'after', ...to, '--secret-file', '-'], '')).status, 1);
  const elsewhere = await broker.json(['conn', 'update', 'after', ...to, '--secret-file', '-'], OTHER_KEY);
  assert.equal(elsewhere.credential_version, 2);
  assert.equal(elsewhere.base_url, `${other.baseUrl}/v1`);
  assert.equal((await get(key, '/after/things')).status, 200);
  assert.deepEqual(other.complaints, []);
  // the secret that was given for the other place does not come to this one
  const back = await broker.cli(['conn', 'rollback', 'after', '1']);
  assert.equal(back.status, 1);
  assert.match(back.stderr, /given for another upstream/);
  assert.equal((await stream).status, 200);
  const rows = (await audit()).filter((r) => r.action === 'connection.update' && r.target === conn.id);
  assert.ok(rows.some((r) => /name=before > after/.test(r.detail)));
  assert.ok(rows.some((r) => r.detail.includes(`base_url=${upstream.baseUrl}/v1 > ${other.baseUrl}/v1`)));
  assert.ok(!JSON.stringify(rows).includes(OTHER_KEY));
});

test('a test of a connection says whether it is let in, and what is in the way when not', async () => {
  const conn = await broker.addConnection('tested', upstream);
  const said = async (name, ...more) => {
    const got = await broker.cli(['conn', 'test', name, '--json', ...more]);
    const { status: answer, ...rest } = JSON.parse(got.stdout);
    return { answer, ...rest };
  };
  const before = upstream.seen.length;
  const good = await said('tested', '--path', '/things');
  assert.deepEqual([good.answer, good.path, good.reason], [200, '/v1/things', 'ok']);
  assert.deepEqual(upstream.seen.slice(before).map(({ method, path, authorized }) => ({ method, path, authorized })),
    [{ method: 'GET', path: '/v1/things', authorized: true }]);
  assert.ok(good.dial_us > 0 && good.tls_us > 0 && good.first_byte_us > 0);
  assert.match(good.certificate.subject, /CN/);
  assert.ok(Date.parse(good.certificate.expires_at) > Date.now());
  assert.equal((await said('tested', '--method', 'HEAD')).method, 'HEAD');
  assert.match((await broker.cli(['conn', 'test', conn.id])).stdout, /answer +\d+/);
  const rows = (await audit()).filter((r) => r.action === 'connection.probe' && r.connection.id === conn.id);
  const row = rows.find((r) => r.path === '/v1/things' && r.method === 'GET');
  assert.deepEqual([row.type, row.decision, row.status, row.outcome, row.key_id, row.holder], ['request', 'allowed', 200, 'complete', null, null]);
  assert.match(row.actor, /^uid:/);
  assert.match((await broker.cli(['audit', 'list'])).stdout, /GET +tested +\/v1\/things +connection\.probe by uid:/);

  await broker.json(['conn', 'rotate', 'tested', '--secret-file', '-'], 'sk-real-wrong-one-0123456');
  const denied = await broker.cli(['conn', 'test', 'tested', '--path', '/things']);
  assert.equal(denied.status, 1);
  assert.match(denied.stdout, /answer +401, the upstream does not take the secret/);

  // a certificate of another authority
  await broker.json(['conn', 'add', 'stranger', '--base-url', `${upstream.baseUrl}/v1`, '--allow-private', '--secret-file', '-'], REAL_KEY);
  const stranger = await said('stranger');
  assert.deepEqual([stranger.answer, stranger.reason], [null, 'upstream_refused']);
  assert.match(stranger.detail, /^certificate_not_valid: /);
  const closed = await freePort();
  await broker.json(['conn', 'add', 'down', '--base-url', `https://127.0.0.1:${closed}`, '--allow-private', '--secret-file', '-'], REAL_KEY);
  assert.deepEqual([(await said('down')).reason, (await said('down')).detail.split(':')[0]], ['upstream_unreachable', 'connect_failed']);
  await broker.json(['conn', 'add', 'inside', '--base-url', 'https://localhost:9', '--secret-file', '-'], REAL_KEY);
  assert.equal((await said('inside')).reason, 'upstream_refused');

  await broker.json(['conn', 'disable', 'tested']);
  assert.match((await broker.cli(['conn', 'test', 'tested'])).stderr, /disabled/);
  await broker.json(['conn', 'enable', 'tested']);
  assert.equal((await broker.cli(['conn', 'test', 'nobody'])).status, 1);
  assert.ok(!broker.log.includes(REAL_KEY));
});

test('what was confirmed is there after kill -9 of everything, whole', async () => {
  const killed = async () => {
    broker.child.kill('SIGKILL');
    await broker.exited;
    await until(() => broker.launch().then(() => true, () => false), 'a restart', 20000);
    await broker.healthy();
  };
  const conn = await broker.addConnection('fragile', upstream);
  const { id, key } = await broker.issueKey('fragile');
  const show = () => broker.json(['conn', 'show', conn.id]);
  await broker.json(['conn', 'rotate', 'fragile', '--secret-file', '-'], 'sk-real-mistyped-00000000');
  await broker.json(['conn', 'rollback', 'fragile', '1']);
  await killed();
  assert.equal((await show()).credential_version, 3);
  assert.equal((await get(key, '/fragile/things')).status, 200);
  await broker.json(['conn', 'purge', 'fragile', '2']);
  await killed();
  assert.deepEqual((await broker.lines(['conn', 'versions', 'fragile'])).map((v) => v.version), [3, 1]);
  await broker.json(['conn', 'update', 'fragile', '--name', 'sturdy', '--base-url', `${other.baseUrl}/v1`, '--ca', other.caFile, '--secret-file', '-'], OTHER_KEY);
  await killed();
  const now = await show();
  assert.deepEqual([now.name, now.base_url, now.credential_version], ['sturdy', `${other.baseUrl}/v1`, 4]);
  assert.equal((await get(key, '/sturdy/things')).status, 200);
  assert.deepEqual((await broker.lines(['leak', '-'], key)).map((v) => [v.id, v.finding]), [[id, 'revoked']]);
  await killed();
  assert.equal((await get(key, '/sturdy/things')).status, 401);
  assert.equal((await broker.json(['key', 'show', id])).state, 'revoked');
  assert.equal((await broker.cli(['audit', 'verify'])).status, 0);
});
