// Reports of leaked keys over HTTP: of those who operate, and of a secret scanner with a key of its own. Each answer is held
// against the document, as in api.test.mjs; what was refused is shown to have changed nothing.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createSign, generateKeyPairSync } from 'node:crypto';
import https from 'node:https';
import { Broker, sleep, until } from '../lib/broker.mjs';
import { Api, ask, managementKey } from '../lib/api.mjs';
import { ROLES, UNKNOWN_KEY, problem } from '../lib/api_common.mjs';
import { request } from '../lib/client.mjs';
import { signatureHolds, startHookServer } from '../mock/hookserver.mjs';
import { startUpstream } from '../mock/upstream.mjs';

const scanner = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const KEY_ID = 'gh-2026-11';

let broker, api, hook, upstream, secret;
const tokens = {};

before(async () => {
  broker = await Broker.start({ relays: 1 });
  hook = await startHookServer({ dir: broker.dir });
  upstream = await startUpstream({ dir: broker.dir, key: 'sk-real-77e0a9c14d-leaks' });
  await broker.addConnection('mock', upstream);
  for (const role of ROLES) tokens[role] = await managementKey(broker, role, role === 'provisioner' ? ['--conn', 'mock', '--method', 'GET', '--path', '/v1/*'] : []);
  api = await new Api(broker, tokens.operator, 'leaks').open();
  const pem = scanner.publicKey.export({ type: 'spki', format: 'pem' });
  await api.ok('updateSettings', { token: tokens.admin, body: { leak_keys: [`${KEY_ID}\n${pem}`] } });
  ({ secret } = await broker.json(['webhook', 'add', 'siem', '--url', hook.url, '--ca', hook.caFile, '--allow-private', '--event', 'key.leaked']));
});
after(async () => {
  await broker?.end();
  for (const server of [hook, upstream]) await server?.stop();
});

const works = async ({ key }) => (await request(broker, 'GET', '/mock/things', { key })).status === 200;
const newKey = (holder) => broker.issueKey('mock', { holder });
const wrong = ({ key }) => `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`; // its checksum does not hold
const lines = (text, options = {}) => api.run('reportLeaks', { raw: text, headers: { 'content-type': 'text/plain' }, ...options });
const list = (all, options = {}) => api.run('reportLeaks', { body: { tokens: all }, ...options });

const sign = (payload, key = scanner.privateKey) => createSign('sha256').update(payload).sign(key, 'base64');
/** A scanner's report; `as` replaces headers, null leaves one out. */
function scan(payload, { id = KEY_ID, signature = sign(payload), type = 'application/json', query } = {}) {
  const headers = { 'content-type': type, 'Github-Public-Key-Identifier': id, 'Github-Public-Key-Signature': signature };
  for (const name of Object.keys(headers)) if (headers[name] === null) delete headers[name];
  return api.run('reportLeaksGithub', { raw: payload, headers, token: '', query });
}
const found = (...keys) => JSON.stringify(keys.map((token) => ({ token, type: 'relaykey', url: 'https://github.com/acme/app/blob/main/.env', source: 'commit' })));
const told = (id) => until(() => hook.received.find((r) => r.json.data.key?.id === id || r.body.includes(id)), `the news of ${id}`);

/* ---- by those who operate ---- */

test('keys in a list, or one a line, are revoked at once, and each is answered for in its place', async () => {
  const [first, second, kept] = [await newKey('app:web'), await newKey('vendor:crew'), await newKey('app:kept')];
  const honey = await broker.json(['key', 'issue', '--honey', '--holder', 'app:decoy']);
  assert.ok(await works(first) && await works(second));
  const got = await list([first.key, wrong(second), 'sk-of-somebody-else', honey.key, first.key]);
  assert.equal(got.status, 200, got.text);
  assert.deepEqual(got.json.data.map((v) => [v.id, v.finding]), [[first.id, 'revoked'], [null, 'unknown'], [null, 'unknown'], [honey.id, 'honey'], [first.id, 'over']]);
  assert.ok(!got.text.includes(first.key) && got.json.data[0].masked === first.masked);
  assert.deepEqual([await works(first), await works(second), await works(kept)], [false, true, true]);
  const plain = await lines(`\r\n  ${second.key}\t\r\n${first.key}`);
  assert.deepEqual(plain.json.data.map((v) => [v.id, v.finding]), [[second.id, 'revoked'], [first.id, 'over']]);
  assert.deepEqual([await works(second), await works(kept)], [false, true]);
  const news = await told(first.id);
  assert.equal(news.json.type, 'key.leaked');
  assert.ok(signatureHolds(news.headers['relaykey-signature'], secret, news.body));
  await told(second.id);
  assert.equal(hook.received.filter((r) => r.body.includes(first.id)).length, 1, 'told once');
  const rows = (await broker.lines(['audit', 'list', '--limit', '300'])).filter((r) => r.action === 'key.leaked');
  assert.deepEqual(rows.map((r) => r.target).sort(), [first.id, second.id, honey.id].sort());
  assert.ok(rows.every((r) => /^mkey_/.test(r.actor)));
  const all = (await broker.cli(['audit', 'export'])).stdout + broker.log + hook.received.map((r) => r.body).join();
  for (const { key } of [first, second, honey]) assert.ok(!all.includes(key));
});

test('a management key that leaked is revoked, too', async () => {
  const token = await managementKey(broker, 'auditor');
  assert.equal((await api.run('getStatus', { token })).status, 200);
  const got = await list([token]);
  assert.deepEqual([got.json.data[0].finding, got.json.data[0].id.slice(0, 5)], ['revoked', 'mkey_']);
  problem(await api.run('getStatus', { token }), 401, 'unauthorized');
});

test('who may not revoke keys may not report them, and nobody may without a key', async () => {
  const leaked = await newKey('app:roles');
  const op = api.operation('reportLeaks');
  assert.deepEqual(op['x-roles'], ['admin', 'operator']);
  for (const role of ['auditor', 'provisioner']) problem(await list([leaked.key], { token: tokens[role] }), 403, 'forbidden');
  problem(await list([leaked.key], { token: '' }), 401, 'unauthorized');
  problem(await list([leaked.key], { token: UNKNOWN_KEY }), 401, 'unauthorized');
  assert.ok(await works(leaked));
  for (const token of [tokens.operator, tokens.admin]) {
    const { key } = await newKey('app:roles');
    assert.equal((await list([key], { token })).json.data[0].finding, 'revoked');
  }
});

test('bodies that are no such report are refused, and nothing in them is revoked', async () => {
  const leaked = await newKey('app:bodies');
  const json = (raw) => api.run('reportLeaks', { raw, headers: { 'content-type': 'application/json' } });
  const { key } = leaked;
  for (const raw of [`{"tokens":["${key}"]`, `{"tokens":["${key}"],"tokens":["${key}"]}`]) problem(await json(raw), 400, 'bad_json');
  const others = ['{}', '{"tokens":[]}', `{"tokens":"${key}"}`, `{"tokens":["${key}"],"more":1}`, '{"tokens":[1]}', `["${key}"]`, found(key),
    `{"tokens":["${key.slice(0, -1)}\\u00${key.charCodeAt(key.length - 1).toString(16)}"]}`, '"x"', ''];
  for (const raw of others) problem(await json(raw), 422, 'invalid');
  problem(await lines(`{"tokens":["${key}"]}`), 422, 'invalid');
  problem(await lines(' \n\n'), 422, 'invalid');
  problem(await lines(`${key}\n`.repeat(257)), 413, 'too_big');
  problem(await lines(`${key}\n${'x'.repeat(49152)}`), 413, 'too_big');
  problem(await lines(`${key}\n${'x'.repeat(70000)}`), 413, 'body_too_large');
  for (const type of ['application/x-www-form-urlencoded', 'text/html', 'application/jsonp']) problem(await api.run('reportLeaks', { raw: key, headers: { 'content-type': type } }), 415);
  problem(await list([key], { query: 'source=x' }), 400, 'bad_parameter');
  assert.ok(await works(leaked));
  assert.equal((await lines(`${key}\n`.repeat(256))).json.data.length, 256, 'as many as there may be');
  assert.ok(!await works(leaked));
});

/* ---- by a secret scanner ---- */

test('a signed report revokes what is ours, and says which of the tokens were', async () => {
  const [first, second] = [await newKey('app:scanned'), await newKey('vendor:scanned')];
  const payload = found(first.key, wrong(second), second.key);
  const got = await scan(payload);
  assert.equal(got.status, 200, got.text);
  assert.deepEqual(got.json, [
    { token_raw: first.key, token_type: 'relaykey', label: 'true_positive' },
    { token_raw: wrong(second), token_type: 'relaykey', label: 'false_positive' },
    { token_raw: second.key, token_type: 'relaykey', label: 'true_positive' },
  ]);
  assert.deepEqual([await works(first), await works(second)], [false, false]);
  const news = await told(first.id);
  assert.ok(signatureHolds(news.headers['relaykey-signature'], secret, news.body));
  assert.match(news.body, /commit https:\/\/github\.com\/acme\/app/);
  const rows = (await broker.lines(['audit', 'list', '--limit', '300'])).filter((r) => r.actor === `scanner:${KEY_ID}`);
  assert.deepEqual(rows.map((r) => r.action).sort(), ['key.leaked', 'key.leaked', 'leak.report']);
  // sent once more: the same answer, and nobody is told again
  assert.deepEqual((await scan(payload)).json, got.json);
  await sleep(300);
  assert.equal(hook.received.filter((r) => r.body.includes(first.id)).length, 1);
});

test('a report that nobody vouches for changes nothing', async () => {
  const leaked = await newKey('app:unsigned');
  const payload = found(leaked.key);
  const good = sign(payload);
  const refused = [
    await scan(payload, { signature: null }),
    await scan(payload, { id: null }),
    await scan(payload, { id: 'gh-2025-01' }),
    await scan(payload, { signature: sign(payload, stranger.privateKey) }),
    await scan(`${payload} `, { signature: good }),
    await scan(payload, { signature: 'no base64!' }),
  ];
  for (const got of refused) problem(got, 401, 'unauthorized');
  // a management key is no signature
  const headers = { 'content-type': 'application/json' };
  problem(await api.run('reportLeaksGithub', { raw: payload, headers, token: tokens.admin }), 401, 'unauthorized');
  problem(await scan(payload, { type: 'text/plain' }), 415);
  problem(await scan(payload, { query: 'x=1' }), 400, 'bad_parameter');
  for (const other of ['[]', '[1]', '[{"type":"x"}]', `{"tokens":["${leaked.key}"]}`, leaked.key]) problem(await scan(other), 422, 'invalid');
  problem(await scan(`[${payload}`), 400, 'bad_json');
  problem(await scan(found(leaked.key, 'x'.repeat(50000))), 413, 'too_big');
  assert.ok(await works(leaked));
  const rows = (await broker.lines(['audit', 'list', '--limit', '300'])).filter((r) => r.action === 'authentication.failed');
  assert.deepEqual(rows.filter((r) => /leak report/.test(r.detail)).map((r) => r.detail).sort(),
    ['scanner of a leak report', 'signature of a leak report', 'signature of a leak report']);
  assert.equal((await scan(payload, { signature: good })).json[0].label, 'true_positive');
  assert.ok(!await works(leaked));
});

test('a report of as many tokens as there may be is taken, also when several come at once', async () => {
  const key = await newKey('app:many');
  const payload = found(...Array.from({ length: 200 }, (_, i) => (i === 199 ? key.key : `rk_app_${'x'.repeat(40)}${i}`))).replaceAll('/acme/app/blob/main/.env', '');
  const got = await Promise.all(Array.from({ length: 6 }, () => scan(payload)));
  for (const { status, json, text } of got) assert.deepEqual([status, json?.length, json?.[199].label], [200, 200, 'true_positive'], text);
  assert.ok(!await works(key));
});

/* ---- the end: these stop the keeper, and make the broker doubt the test ---- */

test('while the keeper is away a report is 503, only so many wait for it, and the next one is heard', async () => {
  const leaked = await newKey('app:later');
  const agent = new https.Agent({ maxSockets: 40 });
  process.kill(broker.pidOf('keeper'), 'SIGSTOP');
  const waiting = [scan(found(leaked.key)), ...Array.from({ length: 20 }, () => list([leaked.key], { agent }))];
  await sleep(500);
  process.kill(broker.pidOf('keeper'), 'SIGKILL');
  const codes = (await Promise.all(waiting)).map((got) => problem(got, 503).code);
  assert.deepEqual([codes.filter((c) => c === 'keeper_unavailable').length, codes.filter((c) => c === 'overloaded').length], [8, 13]);
  agent.destroy();
  await until(async () => (await ask(broker, 'GET', '/healthz')).status === 200, 'a new keeper', 20000);
  // what the stopped keeper had in its channel is gone with it
  assert.ok(await works(leaked));
  assert.equal((await list([leaked.key])).json.data[0].finding, 'revoked');
});

test('who sends one bad report after the other is turned away for a minute', async () => {
  const leaked = await newKey('app:patience');
  const payload = found(leaked.key);
  const statuses = [];
  for (let i = 0; i < 12; i++) statuses.push((await scan(payload, { signature: sign('else') })).status);
  assert.deepEqual(statuses, [...Array(10).fill(401), 429, 429]);
  problem(await scan(payload), 429, 'try_again');
  problem(await list([leaked.key], { token: UNKNOWN_KEY }), 429, 'try_again');
  assert.ok(await works(leaked));
  // a good management key is let in all the same
  assert.equal((await list([leaked.key])).json.data[0].finding, 'revoked');
});

test('every documented status of the reports was seen', () => {
  assert.deepEqual(api.unseen(), []);
});
