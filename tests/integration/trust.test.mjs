// Addresses of holders, seen from the wire: the first is trusted on the spot, every other one is refused (423) until it
// is confirmed. Clients come from many addresses through a trusted proxy, as X-Forwarded-For says.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import https from 'node:https';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker, sleep, until } from '../lib/broker.mjs';
import { request } from '../lib/client.mjs';
import { startUpstream } from '../mock/upstream.mjs';

const REAL_KEY = 'sk-real-90b6de14c27fa853-upstream-only';
const GRANT = ['--method', '*', '--path', '/**'];
let dir, upstream, broker, holders = 0;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'relaykey-trust-'));
  upstream = await startUpstream({ dir, key: REAL_KEY });
  broker = await Broker.start({ relays: 2, config: ['trusted-proxy 127.0.0.1'] });
  await broker.addConnection('mock', upstream);
});

after(async () => {
  await broker?.end();
  await upstream?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** A person's key for trusted addresses, of a holder of its own unless one is named. */
async function person(extra = [], holder = `person:p${++holders}`) {
  return { ...(await broker.issueKey('mock', { holder, extra: [...GRANT, ...extra] })), holder };
}

const from = (ip, key, path = '/mock/status/200', options = {}) =>
  request(broker, 'GET', path, { key, headers: { 'x-forwarded-for': ip, 'user-agent': 'cursor/0.42' }, ...options });

const rows = () => broker.lines(['audit', 'list', '--limit', '60']);
const pending = (holder) => broker.lines(['approvals', '--holder', holder]);

/** The pending address, once it is stored. */
const waits = (holder, address) => until(async () => (await pending(holder)).find((t) => t.address === address), `${address} to wait`);

/** kill -9 of everything; the port and the directory stay. */
async function crash() {
  const gone = broker.exited;
  for (const { pid } of broker.processes()) {
    try { process.kill(pid, 'SIGKILL'); } catch { /* ended by itself */ }
  }
  await gone;
  await sleep(100);
  await broker.launch();
  await broker.healthy();
}

test('the first address is trusted on the spot, and its row says so before the request goes on', async () => {
  const { key, id, holder, trusted_only } = await person();
  assert.equal(trusted_only, true);
  const res = await from('203.0.113.1', key);
  assert.equal(res.status, 200);
  assert.equal((await from('203.0.113.1', key)).status, 200);
  const all = await rows();
  const trusted = all.find((r) => r.action === 'ip.first' && r.actor === id);
  const asked = all.find((r) => r.request_id === res.headers['x-relaykey-request-id']);
  assert.ok(trusted.seq < asked.seq);
  assert.equal(asked.detail, 'first address of its holder');
  const [address] = await broker.lines(['trust', 'list', '--holder', holder]);
  assert.deepEqual([address.address, address.state, address.trusted_by, address.key_id], ['203.0.113.1', 'trusted', 'first', id]);
});

test('a second address is locked before the upstream is reached, in a body that SDKs understand', async () => {
  const { key, id } = await person();
  assert.equal((await from('203.0.113.1', key)).status, 200);
  const before = upstream.count;
  const res = await from('203.0.113.2', key);
  assert.equal(res.status, 423);
  assert.equal(upstream.count, before);
  const body = res.json();
  assert.equal(body.type, 'error');
  assert.equal(body.error.type, 'permission_error');
  assert.equal(body.error.code, 'ip_not_confirmed');
  assert.match(body.error.message, /new address.*mail.*administrator/);
  assert.equal(body.error.request_id, res.headers['x-relaykey-request-id']);
  assert.equal(res.headers['x-relaykey-decision'], 'locked');
  assert.equal(res.headers['x-relaykey-block-reason'], 'ip_not_confirmed');
  assert.equal(res.headers['x-should-retry'], 'false');
  const row = (await rows()).find((r) => r.request_id === res.headers['x-relaykey-request-id']);
  assert.deepEqual([row.decision, row.status, row.client_ip, row.key_id], ['locked', 423, '203.0.113.2', id]);
});

test('what is pending can be approved, and then goes through', async () => {
  const { key, holder, id } = await person();
  assert.equal((await from('203.0.113.1', key)).status, 200);
  for (let i = 0; i < 3; i++) assert.equal((await from('203.0.113.2', key)).status, 423);
  const address = await waits(holder, '203.0.113.2');
  assert.deepEqual([address.state, address.user_agent, address.connection_name, address.key_id], ['pending', 'cursor/0.42', 'mock', id]);
  assert.equal((await pending(holder)).length, 1);
  assert.equal((await broker.json(['trust', 'approve', address.id])).state, 'trusted');
  assert.equal((await from('203.0.113.2', key)).status, 200);
  assert.equal((await from('203.0.113.3', key)).status, 423);
  assert.ok((await rows()).some((r) => r.action === 'ip.approve' && r.target === address.id));
});

test('trust is the holder\'s: its second key brings no new address with it', async () => {
  const one = await person();
  const two = await person([], one.holder);
  assert.equal((await from('203.0.113.1', one.key)).status, 200);
  assert.equal((await from('203.0.113.2', two.key)).status, 423);
  assert.equal((await from('203.0.113.1', two.key)).status, 200);
});

test('two addresses that race to be the first: exactly one wins', async () => {
  for (let round = 0; round < 5; round++) {
    const { key } = await person();
    const all = await Promise.all(Array.from({ length: 12 }, (_, i) => from(`203.0.113.${1 + i % 2}`, key).then((r) => [i % 2, r.status])));
    const winners = new Set(all.filter(([, status]) => status === 200).map(([who]) => who));
    assert.equal(winners.size, 1, JSON.stringify(all));
    assert.ok(all.every(([who, status]) => status === (winners.has(who) ? 200 : 423)), JSON.stringify(all));
  }
});

test('IPv6 counts by its /64', async () => {
  const { key, holder } = await person();
  assert.equal((await from('2001:db8:1:2::1', key)).status, 200);
  assert.equal((await from('2001:db8:1:2:aaaa:bbbb:cccc:dddd', key)).status, 200);
  assert.equal((await from('2001:db8:1:3::1', key)).status, 423);
  assert.equal((await waits(holder, '2001:db8:1:3::/64')).state, 'pending');
});

test('applications, and whoever asks for it, are not concerned; prefixes hold as well as trust', async () => {
  const app = await broker.issueKey('mock', { holder: 'app:web' });
  const any = await person(['--any-ip']);
  for (const ip of ['203.0.113.1', '198.51.100.1']) {
    assert.equal((await from(ip, app.key)).status, 200);
    assert.equal((await from(ip, any.key)).status, 200);
  }
  const both = await person(['--trusted-only', '--ip', '203.0.113.0/24']);
  assert.equal((await from('198.51.100.1', both.key)).status, 403);
  assert.equal((await from('203.0.113.1', both.key)).status, 200);
  assert.equal((await from('203.0.113.2', both.key)).status, 423);
  assert.equal((await broker.cli(['key', 'issue', '--conn', 'mock', '--holder', 'person:x', '--any-ip', '--trusted-only'])).status, 1);
});

test('an address can be given in advance; then no other one is the first', async () => {
  const { key, holder } = await person();
  assert.equal((await broker.json(['trust', 'add', holder, '198.51.100.0/24'])).address, '198.51.100.0/24');
  assert.equal((await from('203.0.113.1', key)).status, 423);
  assert.equal((await from('198.51.100.77', key)).status, 200);
});

test('an address that is removed is locked again, and its stream is cut within 100 ms', async () => {
  const { key, holder } = await person();
  const stream = await new Promise((resolve, reject) => {
    https.get({ host: '127.0.0.1', port: broker.proxy, ca: broker.ca, path: '/mock/sse?n=200&ms=20', agent: false,
      headers: { authorization: `Bearer ${key}`, 'x-forwarded-for': '203.0.113.1' } }, resolve).on('error', reject);
  });
  await new Promise((done) => stream.once('data', done));
  const cutAt = new Promise((done) => {
    stream.on('data', () => {});
    stream.on('error', () => {});
    stream.on('close', () => done(Date.now()));
  });
  const [address] = await broker.lines(['trust', 'list', '--holder', holder]);
  assert.equal((await broker.json(['trust', 'remove', address.id])).state, 'removed');
  const done = Date.now();
  assert.ok((await cutAt) - done < 100, 'cut too late');
  assert.equal((await from('203.0.113.1', key)).status, 423);
  assert.equal((await from('203.0.113.2', key)).status, 423);
  const cut = await until(async () => (await rows()).find((r) => r.path === '/v1/sse' && r.outcome === 'cut'), 'the row of the cut');
  assert.equal(cut.client_ip, '203.0.113.1');
});

test('every key of a holder is revoked at once, and nobody else\'s', async () => {
  const one = await person();
  const two = await person([], one.holder);
  const other = await person();
  assert.equal((await from('203.0.113.1', one.key)).status, 200);
  assert.equal((await broker.json(['holder', 'revoke', one.holder])).revoked, 2);
  for (const { key } of [one, two]) assert.equal((await from('203.0.113.1', key)).status, 401);
  assert.equal((await from('203.0.113.1', other.key)).status, 200);
  const shown = await broker.json(['holder', 'show', one.holder]);
  assert.deepEqual([shown.keys, shown.live_keys], [2, 0]);
  assert.equal((await broker.json(['holder', 'revoke', one.holder])).revoked, 0);
});

test('the CLI speaks of holders and addresses plainly', async () => {
  const { holder } = await person();
  assert.equal((await broker.json(['holder', 'set', holder, '--email', 'ada@example.com'])).email, 'ada@example.com');
  assert.match((await broker.cli(['holder', 'show', holder])).stdout, /email +ada@example\.com/);
  assert.match((await broker.cli(['holder', 'list', '--kind', 'person'])).stdout, /KIND .*\n(person .*\n)+/);
  assert.match((await broker.cli(['holder', 'set', holder, '--email', 'a@b\nBcc: c@d'])).stderr, /a mail address looks like ops@example\.com/);
  assert.equal((await broker.json(['holder', 'set', holder, '--no-email'])).email, null);
  assert.equal((await broker.cli(['holder', 'show', 'person:nobody-has-this'])).status, 1);
  assert.equal((await broker.cli(['trust', 'add', holder])).status, 2);
  assert.match((await broker.cli(['trust', 'add', holder, '0.0.0.0/0'])).stderr, /every address/);
  assert.match((await broker.cli(['approvals', '--holder', holder])).stdout, /^none\n$/);
  for (const args of [['holder'], ['trust'], ['approvals']]) assert.match((await broker.cli([...args, '--help'])).stdout, /usage: relaykey/);
});

test('what is trusted, pending, revoked and removed is the same after kill -9', async () => {
  const { key, holder } = await person();
  await broker.json(['holder', 'set', holder, '--email', 'ada@example.com']);
  assert.equal((await from('203.0.113.1', key)).status, 200);
  assert.equal((await from('203.0.113.2', key)).status, 423);
  assert.equal((await from('203.0.113.3', key)).status, 423);
  await broker.json(['trust', 'remove', (await waits(holder, '203.0.113.3')).id]);
  await waits(holder, '203.0.113.2');
  const gone = await person();
  assert.equal((await from('203.0.113.1', gone.key)).status, 200);
  await broker.json(['holder', 'revoke', gone.holder]);
  const shown = await broker.lines(['trust', 'list', '--holder', holder]);
  await crash();
  assert.deepEqual(await broker.lines(['trust', 'list', '--holder', holder]), shown);
  assert.equal((await broker.json(['holder', 'show', holder])).email, 'ada@example.com');
  assert.equal((await from('203.0.113.1', key)).status, 200);
  assert.equal((await from('203.0.113.2', key)).status, 423);
  assert.equal((await from('203.0.113.9', key)).status, 423);
  assert.equal((await from('203.0.113.1', gone.key)).status, 401);
  // no second mail for one whose link is still open
  assert.equal((await pending(holder)).find((t) => t.address === '203.0.113.2').link_expires_at, shown.find((t) => t.address === '203.0.113.2').link_expires_at);
});

test('killed at any moment, nobody is trusted twice as the first, and what went through is stored', async () => {
  for (let round = 0; round < 4; round++) {
    const { key, holder } = await person();
    const asked = Promise.all(Array.from({ length: 8 }, (_, i) => from(`203.0.113.${1 + i % 4}`, key).then((r) => [1 + i % 4, r.status], () => [0, 0])));
    await sleep(round * 3);
    await crash();
    const passed = new Set((await asked).filter(([, status]) => status === 200).map(([who]) => `203.0.113.${who}`));
    const stored = (await broker.lines(['trust', 'list', '--holder', holder, '--state', 'trusted'])).map((t) => t.address);
    assert.ok(stored.length <= 1);
    assert.ok(passed.size <= 1);
    for (const address of passed) assert.deepEqual(stored, [address]);
  }
  assert.equal((await broker.cli(['audit', 'verify'])).status, 0);
});
