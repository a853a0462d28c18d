// Who manages, on the control socket: management keys, changes of relay keys, users.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import https from 'node:https';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker, until } from '../lib/broker.mjs';
import { request } from '../lib/client.mjs';
import { startUpstream } from '../mock/upstream.mjs';

const ALL = ['--method', '*', '--path', '/**'];
let dir, upstream, broker;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'relaykey-mgmt-'));
  upstream = await startUpstream({ dir, key: 'sk-real-5d20f7be91c3a846-upstream-only' });
  broker = await Broker.start({ relays: 1 });
  await broker.addConnection('mock', upstream);
});

after(async () => {
  await broker?.end();
  await upstream?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const cli = async (args, status = 0, input = '') => {
  const got = await broker.cli(args, input);
  assert.equal(got.status, status, `${args.join(' ')}: ${got.stderr}`);
  return got;
};
const issue = (more = ALL, holder = 'app:web') => broker.json(['key', 'issue', '--conn', 'mock', '--holder', holder, ...more]);
const statusWith = async (key, path = '/mock/x') => (await request(broker, 'GET', path, { key })).status;
const rows = async (action) => (await broker.lines(['audit', 'list', '--limit', '200'])).filter((r) => r.action === action);

// ---- management keys

test('a management key is shown once, whole or as JSON, and never again', async () => {
  const k = await broker.json(['mgmt', 'issue', '--role', 'operator', '--name', 'night-shift']);
  assert.match(k.key, /^rk_mgmt_operator_[0-9A-Za-z]{46}$/);
  assert.match(k.id, /^mkey_[0-9A-Za-z]{12}$/);
  assert.deepEqual([k.role, k.name, k.state, k.bounds, k.expires_at, k.revision], ['operator', 'night-shift', 'active', null, null, 1]);
  const plain = (await cli(['mgmt', 'issue', '--role', 'auditor', '--name', 'siem', '--ttl', '90d'])).stdout;
  assert.match(plain, /^key +rk_mgmt_auditor_\w{46}\n/);
  assert.match(plain, /shown this once only/);
  for (const ref of [k.id, k.key, k.masked]) {
    const shown = await broker.json(['mgmt', 'show', ref]);
    assert.equal(shown.id, k.id);
    assert.equal(shown.key, undefined);
  }
  const everything = [await cli(['mgmt', 'list']), await cli(['mgmt', 'list', '--json']), await cli(['audit', 'export', '--format', 'jsonl'])].map((g) => g.stdout).join('');
  assert.ok(!everything.includes(k.key.slice(-34)));
  assert.ok(!broker.log.includes(k.key.slice(-34)));
});

test("a provisioner's key has bounds, which are shown; another one has none", async () => {
  const k = await broker.json(['mgmt', 'issue', '--role', 'provisioner', '--name', 'ci', '--conn', 'mock', '--method', 'GET', '--path', '/v1/files/*', '--deny-query', 'expand',
    '--kind', 'agent', '--kind', 'app', '--max-ttl', '1h', '--max-live', '5', '--rate', '60/min', '--concurrent', '2', '--env', 'ci', '--holder', 'runner']);
  assert.deepEqual(k.bounds.grants.map((g) => [g.connection_name, g.allowed_methods, g.allowed_paths, g.deny_query_params]), [['mock', ['GET'], ['/v1/files/*'], ['expand']]]);
  assert.deepEqual([k.bounds.kinds, k.bounds.max_ttl_seconds, k.bounds.max_live_keys, k.bounds.limits, k.bounds.environment, k.bounds.holder],
    [['app', 'agent'], 3600, 5, { per_minute: 60, per_day: null, concurrent: 2 }, 'ci', 'runner']);
  assert.match((await cli(['mgmt', 'show', k.id])).stdout, /may grant +mock {2}GET {2}\/v1\/files\/\* {2}without expand/);
  assert.match((await cli(['mgmt', 'issue', '--role', 'provisioner', '--name', 'ci'], 1)).stderr, /a grant/);
  assert.match((await cli(['mgmt', 'issue', '--role', 'admin', '--name', 'x', '--max-live', '5'], 1)).stderr, /provisioner/);
});

test('a management key is extended, renamed and revoked, and stays so over a restart', async () => {
  const k = await broker.json(['mgmt', 'issue', '--role', 'admin', '--name', 'first', '--ttl', '1h']);
  const later = await broker.json(['mgmt', 'extend', k.id, '--expires', '2099-01-01', '--name', 'second']);
  assert.deepEqual([later.name, later.expires_at, later.revision], ['second', '2099-01-01T00:00:00.000Z', 2]);
  assert.equal((await broker.json(['mgmt', 'extend', k.masked, '--never'])).expires_at, null);
  assert.match((await cli(['mgmt', 'revoke', k.id])).stdout, /status: revoked +mkey_\w+ +rk_mgmt_admin\.\.\.\w{3}/);
  assert.match((await cli(['mgmt', 'extend', k.id, '--ttl', '1h'], 1)).stderr, /revoked/);
  const before_ = await broker.json(['mgmt', 'show', k.id]);
  await broker.stop();
  await broker.launch();
  assert.deepEqual(await broker.json(['mgmt', 'show', k.id]), before_);
  assert.equal(before_.state, 'revoked');
  const ids = (list) => list.map((x) => x.id);
  assert.ok(ids(await broker.lines(['mgmt', 'list'])).includes(k.id));
  assert.ok(!ids(await broker.lines(['mgmt', 'list', '--live'])).includes(k.id));
  assert.equal((await broker.lines(['mgmt', 'list', '--limit', '2'])).length, 2);
  assert.ok((await rows('management_key.revoke')).some((r) => r.target === k.id));
});

// ---- delegated credentials

test('a minted key is shown once, works, and ends by itself', async () => {
  const args = ['key', 'mint', '--conn', 'mock', '--method', 'GET', '--path', '/v1/x', '--name', 'agent-run', '--holder', 'runner', '--ttl', '2s'];
  const k = await broker.json(args);
  assert.match(k.key, /^rk_agent_[0-9A-Za-z]{46}$/);
  assert.deepEqual([k.name, k.holder, k.minted_by], ['agent-run', { kind: 'agent', name: 'runner' }, null]);
  assert.equal(await statusWith(k.key), 200);
  assert.equal(await statusWith(k.key, '/mock/y'), 403);
  assert.match((await cli(args)).stdout, /shown this once only/);
  assert.match((await cli(args.slice(0, -4), 1)).stderr, /holder/);
  assert.equal((await broker.json([...args, '--kind', 'app'])).holder.kind, 'app');
  await until(async () => await statusWith(k.key) === 401, 'the end of the key', 4000);
});

// ---- changing relay keys

test('a key is changed member by member, and says of what revision it is', async () => {
  const k = await issue();
  const u = await broker.json(['key', 'update', k.id, '--name', 'nightly', '--env', 'ci', '--rate', '60/min', '--concurrent', '4', '--ttl', '1h', '--ip', '127.0.0.0/8']);
  assert.deepEqual([u.name, u.environment, u.limits, u.allowed_ips, u.revision], ['nightly', 'ci', { per_minute: 60, per_day: null, concurrent: 4 }, ['127.0.0.0/8'], 2]);
  const back = await broker.json(['key', 'update', k.masked, '--never', '--any-ip', '--rate', 'none/min', '--concurrent', 'none', '--env', '']);
  assert.deepEqual([back.expires_at, back.allowed_ips, back.limits, back.environment, back.name, back.revision], [null, [], { per_minute: null, per_day: null, concurrent: null }, null, 'nightly', 3]);
  assert.equal((await broker.json(['key', 'update', k.id, '--trusted-only', 'yes'])).trusted_only, true);
  assert.equal((await broker.json(['key', 'update', k.id, '--trusted-only', 'no'])).trusted_only, false);
  await broker.stop();
  await broker.launch();
  const after_ = await broker.json(['key', 'show', k.id]);
  assert.deepEqual([after_.name, after_.revision], ['nightly', 5]);
});

test('new grants and addresses hold for the next request, in the proxy', async () => {
  const k = await issue();
  assert.equal(await statusWith(k.key), 200);
  await broker.json(['key', 'update', k.id, '--conn', 'mock', '--method', 'POST', '--path', '/**']);
  assert.equal(await statusWith(k.key), 403);
  await broker.json(['key', 'update', k.id, '--conn', 'mock', '--method', 'GET', '--path', '/v1/y']);
  assert.equal(await statusWith(k.key), 403);
  assert.equal(await statusWith(k.key, '/mock/y'), 200);
  await broker.json(['key', 'update', k.id, '--ip', '198.51.100.0/24']);
  assert.equal(await statusWith(k.key, '/mock/y'), 403);
  await broker.json(['key', 'update', k.id, '--any-ip']);
  assert.equal(await statusWith(k.key, '/mock/y'), 200);
});

/** An event stream; {bytes, closed: when}. */
async function openStream(key) {
  const response = await new Promise((resolve, reject) => {
    https.get({ host: '127.0.0.1', port: broker.proxy, ca: broker.ca, path: '/mock/sse?n=400&ms=50', headers: { authorization: `Bearer ${key}` }, agent: false }, resolve).on('error', reject);
  });
  const stream = { response, bytes: 0 };
  response.on('data', (d) => { stream.bytes += d.length; });
  response.on('error', () => {});
  stream.closed = new Promise((done) => response.once('close', () => done(Date.now())));
  return stream;
}

test('a stream that the new grants would not allow is cut within 100 ms, another one goes on', async () => {
  const gone = await issue();
  const stays = await issue();
  const [a, b] = await Promise.all([gone, stays].map((k) => openStream(k.key)));
  await until(() => a.bytes > 0 && b.bytes > 0, 'both streams', 5000);
  await broker.json(['key', 'update', stays.id, '--conn', 'mock', '--method', 'GET', '--path', '/v1/sse']);
  let confirmed;
  const change = broker.json(['key', 'update', gone.id, '--conn', 'mock', '--method', 'GET', '--path', '/v1/other']).then(() => { confirmed = Date.now(); });
  const [cutAt] = await Promise.all([a.closed, change]);
  assert.ok(cutAt - confirmed < 100, `cut ${cutAt - confirmed} ms after the change was confirmed`);
  const seen = b.bytes;
  await until(() => b.bytes > seen, 'the other stream to go on', 3000);
  b.response.destroy();
  const row = await until(async () => (await broker.lines(['audit', 'list', '--key', gone.id])).find((r) => r.outcome === 'cut'), 'the row of the cut stream');
  assert.equal(row.path, '/v1/sse');
});

// ---- users

test('users are added, listed, changed and removed, and an administrator stays', async () => {
  const ada = await broker.json(['user', 'add', 'ada', '--role', 'admin', '--email', 'ada@example.com']);
  assert.match(ada.id, /^user_\w{12}$/);
  assert.deepEqual([ada.name, ada.email, ada.role, ada.enabled, ada.revision], ['ada', 'ada@example.com', 'admin', true, 1]);
  assert.match((await cli(['user', 'update', 'ada', '--role', 'auditor'], 1)).stderr, /last enabled administrator/);
  assert.match((await cli(['user', 'remove', 'ada'], 1)).stderr, /last enabled administrator/);
  assert.match((await cli(['user', 'add', 'ada', '--role', 'admin'], 1)).stderr, /exists already/);
  assert.match((await cli(['user', 'add', 'bob', '--role', 'operator', '--email', 'nowhere'], 1)).stderr, /a mail address looks like/);
  await broker.json(['user', 'add', 'bob', '--role', 'admin']);
  const changed = await broker.json(['user', 'update', ada.id, '--name', 'countess', '--role', 'auditor', '--disable']);
  assert.deepEqual([changed.name, changed.role, changed.enabled, changed.revision], ['countess', 'auditor', false, 2]);
  assert.match((await cli(['user', 'list'])).stdout, /^NAME .*\ncountess +auditor +disabled +ada@example.com\nbob +admin +enabled/);
  await broker.stop();
  await broker.launch();
  assert.deepEqual(await broker.json(['user', 'show', 'countess']), changed);
  assert.equal((await broker.json(['user', 'remove', 'countess'])).removed, true);
  await cli(['user', 'show', 'countess'], 1);
  assert.equal((await broker.lines(['user', 'list'])).length, 1);
  for (const action of ['user.add', 'user.update', 'user.remove']) assert.ok((await rows(action)).length, action);
});

// ---- usage

test('wrong usage is 2, with the usage on standard error', async () => {
  const wrong = [['mgmt'], ['mgmt', 'frobnicate'], ['mgmt', 'issue'], ['mgmt', 'issue', '--role', 'root', '--name', 'x'], ['mgmt', 'issue', '--role', 'admin'],
    ['mgmt', 'issue', '--role', 'admin', '--name', 'x', '--ttl', '1h', '--expires', '2099-01-01'], ['mgmt', 'issue', '--role', 'provisioner', '--name', 'x', '--method', 'GET'],
    ['mgmt', 'issue', '--role', 'provisioner', '--name', 'x', '--kind', 'robot'], ['mgmt', 'issue', '--role', 'provisioner', '--name', 'x', '--max-live', '0'],
    ['mgmt', 'show'], ['mgmt', 'show', 'a', 'b'], ['mgmt', 'list', 'more'], ['mgmt', 'list', '--limit', 'x'], ['mgmt', 'revoke'], ['mgmt', 'extend', 'x'],
    ['mgmt', 'extend', 'x', '--never', '--ttl', '1h'], ['key', 'update'], ['key', 'update', 'x'], ['key', 'update', 'x', '--ttl', '1h', '--never'],
    ['key', 'update', 'x', '--ip', '10.0.0.0/8', '--any-ip'], ['key', 'update', 'x', '--rate', 'none'], ['key', 'update', 'x', '--rate', 'none/hour'], ['key', 'update', 'x', '--concurrent', '0'],
    ['key', 'mint'], ['key', 'mint', '--conn', 'mock', '--method', 'GET'], ['key', 'mint', '--conn', 'a', '--conn', 'b', '--method', 'GET', '--path', '/x'],
    ['key', 'update', 'x', '--trusted-only', 'maybe'], ['key', 'update', 'x', '--path', '/**'], ['user'], ['user', 'add'], ['user', 'add', 'x'], ['user', 'add', 'x', '--role', 'root'],
    ['user', 'update', 'x'], ['user', 'update', 'x', '--enable', '--disable'], ['user', 'show'], ['user', 'list', 'more'], ['user', 'remove']];
  for (const args of wrong) {
    const got = await broker.cli(args);
    assert.equal(got.status, 2, `${args.join(' ')}: ${got.stderr}`);
    assert.match(got.stderr, /usage: relaykey/, args.join(' '));
    assert.equal(got.stdout, '', args.join(' '));
  }
  for (const args of [['mgmt', 'issue', '--help'], ['key', 'update', '--help'], ['user', 'add', '--help'], ['mgmt', '--help'], ['user', '--help']]) assert.match((await cli(args)).stdout, /usage: relaykey/);
});
