// The rest of what the command line does from elsewhere: management keys, users, settings, webhooks, containment, and the care of
// connections. What the broker's interface does not have is said to need the control socket.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ask } from '../lib/api.mjs';
import { Broker } from '../lib/broker.mjs';
import { request } from '../lib/client.mjs';
import { Remote } from '../lib/remote.mjs';
import { startUpstream } from '../mock/upstream.mjs';

const REAL_KEY = 'sk-real-c4e19a72d05b8f36-upstream-only';
const ALL = ['--method', '*', '--path', '/**'];
let dir, upstream, broker, remote, operations;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'relaykey-remote-'));
  upstream = await startUpstream({ dir, key: REAL_KEY });
  broker = await Broker.start({ relays: 1 });
  await broker.addConnection('mock', upstream);
  remote = await Remote.of(broker, dir);
  const document = (await ask(broker, 'GET', '/openapi.json')).json;
  operations = new Set(Object.values(document.paths).flatMap((path) => Object.values(path).map((op) => op.operationId)));
});

after(async () => {
  await broker?.end();
  await upstream?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** A test of commands that are these operations: where one is missing, the command says so and nothing happens. */
function commands(name, needs, body) {
  test(name, async (t) => {
    if (!needs.every((id) => operations.has(id))) return t.skip(`no ${needs.filter((id) => !operations.has(id))}`);
    return body(t);
  });
}

const statusWith = async (key, name = 'mock') => (await request(broker, 'GET', `/${name}/things`, { key })).status;

commands('a connection is changed, brought back, cleaned and tested', ['updateConnection', 'listCredentials', 'rollbackConnection', 'deleteCredential', 'testConnection'], async () => {
  await broker.addConnection('care', upstream);
  assert.equal((await remote.json(['conn', 'update', 'care', '--provider', 'openai', '--allow-set-cookie', 'yes'])).allow_set_cookie, true);
  assert.equal((await remote.json(['conn', 'update', 'care', '--base-url', `${upstream.baseUrl}/v2`, '--secret-file', '-'], { input: REAL_KEY })).base_url, `${upstream.baseUrl}/v2`);
  await remote.json(['conn', 'rotate', 'care', '--secret-file', '-'], { input: 'sk-wrong-0123456789' });
  await remote.same(['conn', 'versions', 'care', '--json']);
  await remote.same(['conn', 'versions', 'care']);
  assert.equal((await remote.json(['conn', 'rollback', 'care', '2'])).credential_version, 4);
  await remote.json(['conn', 'purge', 'care', '3']);
  await remote.same(['conn', 'rollback', 'care', '3']);
  const tested = await remote.json(['conn', 'test', 'care', '--path', '/things']);
  assert.equal(tested.status, 200);
  await remote.same(['conn', 'test', 'nothing']);
  assert.equal((await remote.json(['conn', 'update', 'care', '--name', 'cared'])).name, 'cared');
});

commands('a key is changed, minted, and laid out as bait', ['updateRelayKey', 'createDelegatedCredential'], async () => {
  const { id, key } = await remote.json(['key', 'issue', '--conn', 'mock', '--holder', 'app:a', ...ALL]);
  assert.equal(await statusWith(key), 200);
  const changed = await remote.json(['key', 'update', id, '--conn', 'mock', '--method', 'POST', '--path', '/v1/**', '--rate', '7/min', '--name', 'less']);
  assert.deepEqual([changed.name, changed.limits.per_minute, changed.grants[0].allowed_methods], ['less', 7, ['POST']]);
  assert.equal(await statusWith(key), 403);
  await remote.same(['key', 'show', id, '--json']);
  const minted = await remote.json(['key', 'mint', '--conn', 'mock', '--method', 'GET', '--path', '/v1/**', '--ttl', '15m']);
  assert.equal(await statusWith(minted.key), 200);
  const honey = await remote.json(['key', 'issue', '--honey', '--holder', 'vendor:bait']);
  assert.equal(await statusWith(honey.key), 401);
  await remote.same(['key', 'list', '--json']);
});

commands('a provisioner mints from elsewhere, within its bounds', ['createManagementKey', 'createDelegatedCredential'], async () => {
  const bounds = ['--conn', 'mock', '--method', 'GET', '--path', '/v1/things', '--max-ttl', '1h', '--max-live', '2'];
  const issued = await remote.json(['mgmt', 'issue', '--role', 'provisioner', '--name', 'ci', ...bounds]);
  const token = remote.keep('provisioner', issued.key);
  const mint = ['key', 'mint', '--conn', 'mock', '--method', 'GET', '--path', '/v1/things', '--ttl', '10m'];
  const { key } = await remote.json(mint, { token });
  assert.equal(await statusWith(key), 200);
  await remote.cli(['key', 'mint', '--conn', 'mock', '--method', 'POST', '--path', '/v1/things'], { token, status: 1 });
  await remote.cli(['status'], { token, status: 1 });
  await remote.json(mint, { token });
  await remote.cli(mint, { token, status: 1 });
  await remote.json(['mgmt', 'revoke', issued.id, '--cascade']);
  assert.equal(await statusWith(key), 401);
});

commands('management keys and users', ['listManagementKeys', 'getManagementKey', 'updateManagementKey', 'revokeManagementKey', 'listUsers', 'createUser', 'updateUser', 'deleteUser'], async () => {
  const { id, key } = await remote.json(['mgmt', 'issue', '--role', 'auditor', '--name', 'looks', '--ttl', '1d']);
  const token = remote.keep('auditor', key);
  await remote.cli(['key', 'list'], { token });
  assert.equal((await remote.json(['mgmt', 'extend', id, '--ttl', '90d', '--name', 'watches'])).name, 'watches');
  for (const args of [['mgmt', 'list'], ['mgmt', 'show', id]]) {
    const strip = ({ last_used_at: _l, ...rest }) => rest;
    await remote.same([...args, '--json'], { strip });
  }
  await remote.json(['mgmt', 'revoke', id]);
  await remote.cli(['key', 'list'], { token, status: 1 });
  await remote.json(['user', 'add', 'ada', '--role', 'operator', '--email', 'ada@example.com']);
  await remote.json(['user', 'add', 'bob', '--role', 'admin']);
  assert.equal((await remote.json(['user', 'update', 'ada', '--role', 'auditor', '--disable'])).enabled, false);
  for (const args of [['user', 'list'], ['user', 'show', 'ada']]) {
    await remote.same([...args, '--json']);
    await remote.same(args);
  }
  await remote.cli(['user', 'remove', 'ada']);
  await remote.same(['user', 'show', 'ada']);
});

commands('settings, webhooks and what was sent', ['getSettings', 'updateSettings', 'listWebhooks', 'createWebhook', 'updateWebhook', 'deleteWebhook', 'listDeliveries'], async () => {
  await remote.json(['settings', 'set', '--public-url', 'https://broker.example.com:8444', '--alert-mail', 'ops@example.com', '--trust-first-ip', 'no',
    '--mail-from', 'relaykey@example.com', '--smtp-host', 'mail.example.com', '--smtp-user', 'relaykey', '--smtp-password-file', '-'], { input: 'mail-password-8842' });
  await remote.same(['settings', 'show', '--json']);
  await remote.same(['settings', 'show']);
  const hook = await remote.json(['webhook', 'add', 'siem', '--url', 'https://127.0.0.1:9/hook', '--event', 'key.leaked', '--allow-private']);
  assert.ok(hook.secret);
  assert.notEqual((await remote.json(['webhook', 'rotate', 'siem'])).secret, hook.secret);
  assert.equal((await remote.json(['webhook', 'update', 'siem', '--event', 'all', '--disable'])).enabled, false);
  await remote.json(['webhook', 'update', 'siem', '--enable']);
  for (const args of [['webhook', 'list'], ['webhook', 'show', 'siem']]) {
    await remote.same([...args, '--json']);
    await remote.same(args);
  }
  await remote.cli(['webhook', 'test', 'siem']);
  const list = await remote.lines(['delivery', 'list']);
  assert.ok(list.length >= 1);
  assert.equal((await remote.json(['delivery', 'show', list[0].id])).id, list[0].id);
  await remote.cli(['webhook', 'remove', 'siem']);
  await remote.same(['webhook', 'show', 'siem']);
});

commands('the panic switch', ['stopTraffic', 'resumeTraffic'], async () => {
  const { key } = await broker.issueKey('mock');
  await remote.json(['panic', 'on', '--reason', 'from elsewhere']);
  assert.notEqual(await statusWith(key), 200);
  assert.match((await remote.cli(['status'])).stdout, /STOPPED since .*from elsewhere/);
  await remote.json(['panic', 'off']);
  assert.equal(await statusWith(key), 200);
});

commands('a leak is reported, and where it was found only on the machine itself', ['reportLeaks'], async () => {
  const keys = [await broker.issueKey('mock'), await broker.issueKey('mock')];
  const text = `key=${keys[0].key}, and\nrk_app_${'0'.repeat(46)} ${keys[0].key}\n`;
  const strip = ({ finding, ...rest }) => rest;
  const got = await remote.lines(['leak', '-'], { input: text });
  assert.deepEqual([got[0].id, got[0].finding], [keys[0].id, 'revoked']);
  assert.equal(await statusWith(keys[0].key), 401);
  await remote.same(['leak', '-', '--json'], { input: text, strip });
  const refused = await remote.cli(['leak', '-', '--source', 'a ticket'], { input: keys[1].key, status: 1 });
  assert.match(refused.stderr, /needs the control socket/);
  assert.equal(await statusWith(keys[1].key), 200);
});

test('an import from elsewhere makes connections and keys, and says where the proxy is', async () => {
  const env = `ELEVENLABS_BASE_URL=${upstream.baseUrl}\nELEVENLABS_API_KEY=sk_0123456789abcdef0123456789abcdef0123456789abcdef\n`;
  const options = ['import', '-', '--ca', upstream.caFile, '--allow-private'];
  assert.match((await remote.cli(options, { input: env, status: 2 })).stderr, /--proxy-url/);
  const made = await remote.cli([...options, '--proxy-url', broker.url], { input: env });
  assert.match(made.stdout, /rk_app_/);
  assert.ok(made.stdout.includes(broker.url));
  assert.ok((await broker.lines(['conn', 'list'])).some((c) => c.name === 'elevenlabs'));
});
