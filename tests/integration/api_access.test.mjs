// The management interface: who manages (management keys, users), delegated credentials, and the care of relay keys and
// connections. Each answer is held against the document, as in api.test.mjs.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { Broker, until } from '../lib/broker.mjs';
import { Api, managementKey } from '../lib/api.mjs';
import { ROLES, ends, problem, refusals } from '../lib/api_common.mjs';
import { request } from '../lib/client.mjs';
import { startUpstream } from '../mock/upstream.mjs';

const SECRET = 'sk-canary-52ce1f0b8a7d4e96-access-interface';
const ALL = { allowed_methods: ['*'], allowed_paths: ['/**'] };

let broker, api, upstream, crm;
const tokens = {};
let serial = 0;

before(async () => {
  broker = await Broker.start({ relays: 1 });
  upstream = await startUpstream({ dir: broker.dir, key: SECRET });
  crm = await broker.addConnection('crm', upstream);
  for (const role of ROLES) tokens[role] = await managementKey(broker, role, role === 'provisioner' ? ['--conn', 'crm', '--method', 'GET', '--path', '/v1/*'] : []);
  api = await new Api(broker, tokens.admin, 'access').open();
});
after(async () => {
  await broker?.end();
  await upstream?.stop();
});

const upstreamBody = (more = {}) => ({ base_url: `${upstream.baseUrl}/v1`, secret: SECRET, allow_private: true, ca_pem: readFileSync(upstream.caFile, 'utf8'), ...more });
const newConnection = (more) => api.ok('createConnection', { body: { name: `conn-${++serial}`, ...upstreamBody(more) } });
const newKey = (conn, more) => api.ok('createRelayKey', { body: { holder: { kind: 'vendor', name: 'acme' }, any_ip: true, grants: [{ connection_id: conn, ...ALL }], ...more } });
const boundsOn = (conn, more = {}) => ({ grants: [{ connection_id: conn, allowed_methods: ['GET'], allowed_paths: ['/v1/*'], deny_query_params: ['associations'] }], ...more });
const newManagementKey = (more = {}) => api.ok('createManagementKey', { body: { role: 'operator', name: `mgmt-${++serial}`, ...more } });
const provisioner = async (bounds, conn = crm.id) => newManagementKey({ role: 'provisioner', bounds: boundsOn(conn, bounds) });
const mintBody = (more = {}) => ({ connection_id: crm.id, name: 'agent-run', allowed_methods: ['GET'], allowed_paths: ['/v1/things'], ttl_seconds: 900, ...more });
const mint = (token, more, options = {}) => api.run('createDelegatedCredential', { token, body: mintBody(more), ...options });
const proxied = async (key, path = '/crm/things') => (await request(broker, 'GET', path, { key })).status;
const ifMatch = (object) => ({ 'if-match': `"${object.revision}"` });

const share = {
  api: () => api,
  tokens,
  example: (op) => ({
    createManagementKey: { role: 'provisioner', name: 'x', bounds: { grants: [{ connection_id: 'nowhere', ...ALL }] } },
    updateManagementKey: { name: 'other' },
    createUser: { name: 'user_x', role: 'auditor' },
    updateUser: { email: null },
    createDelegatedCredential: mintBody({ connection_id: 'nowhere' }),
    updateRelayKey: { name: 'other' },
    updateConnection: { provider: 'acme' },
    rollbackConnection: { version: 1 },
    testConnection: {},
  })[op.operationId] ?? assert.fail(`no example of a body of ${op.operationId}`),
  nowhere: (op) => ({ 'Management keys': 'mkey_000000000000', Users: 'nobody', 'Relay keys': 'key_000000000000' })[op.tags[0]] ?? ['conn_000000000000', 1],
  there: async () => {
    const conn = await newConnection();
    await api.ok('rotateConnection', { at: conn.id, body: { secret: SECRET } });
    const user = await api.ok('createUser', { body: { name: `user-${++serial}`, role: 'auditor' } });
    const at = { 'Management keys': (await newManagementKey()).id, Users: user.id, 'Relay keys': (await newKey(conn.id)).id };
    return (op) => at[op.tags[0]] ?? [conn.id, 1];
  },
  roles: {
    listManagementKeys: 'admin',
    createManagementKey: 'admin',
    getManagementKey: 'admin',
    updateManagementKey: 'admin',
    revokeManagementKey: 'admin',
    listUsers: 'admin',
    createUser: 'admin',
    getUser: 'admin',
    updateUser: 'admin',
    deleteUser: 'admin',
    createDelegatedCredential: 'admin operator provisioner',
    updateRelayKey: 'admin operator',
    updateConnection: 'admin',
    listCredentials: 'admin operator auditor',
    rollbackConnection: 'admin',
    deleteCredential: 'admin',
    testConnection: 'admin operator',
  },
};

/* ---- management keys ---- */

test('a management key is shown once, lets in, is changed, and revoked at once', async () => {
  const made = await api.run('createManagementKey', { body: { role: 'auditor', name: 'siem', ttl_seconds: 3600 } });
  assert.equal(made.status, 201);
  const { key, ...rest } = made.json;
  assert.match(key, /^rk_mgmt_auditor_[0-9A-Za-z]{46}$/);
  assert.deepEqual([made.headers.location, made.headers.etag], [`/api/v1/management-keys/${rest.id}`, '"1"']);
  assert.deepEqual([rest.role, rest.name, rest.state, rest.bounds, rest.revoked_at], ['auditor', 'siem', 'active', null, null]);
  assert.ok(Math.abs(Date.parse(rest.expires_at) - Date.now() - 3_600_000) < 10_000);
  for (const at of [rest.id, rest.masked, key]) assert.deepEqual(await api.ok('getManagementKey', { at }), rest);
  await api.ok('getStatus', { token: key });
  const renamed = await api.run('updateManagementKey', { at: rest.id, body: { name: 'splunk', expires_at: null }, headers: ifMatch(rest) });
  assert.deepEqual([renamed.json.name, renamed.json.expires_at, renamed.headers.etag], ['splunk', null, '"2"']);
  problem(await api.run('updateManagementKey', { at: rest.id, body: {} }), 422, 'invalid');
  problem(await api.run('updateManagementKey', { at: rest.id, body: { role: 'admin' } }), 422, 'invalid');
  assert.equal((await api.ok('revokeManagementKey', { at: rest.id })).state, 'revoked');
  problem(await api.run('getStatus', { token: key }), 401, 'unauthorized');
  assert.equal((await api.ok('revokeManagementKey', { at: rest.id })).state, 'revoked');
  problem(await api.run('updateManagementKey', { at: rest.id, body: { name: 'again' } }), 409, 'not_now');
  const all = await api.ok('listManagementKeys', { query: 'limit=200' });
  assert.ok(all.data.some((k) => k.id === rest.id) && !JSON.stringify(all).includes(key.slice(-30)));
  assert.ok(!(await api.ok('listManagementKeys', { query: 'limit=200&live=true' })).data.some((k) => k.id === rest.id));
  const page = await api.ok('listManagementKeys', { query: 'limit=1' });
  assert.notEqual((await api.ok('listManagementKeys', { query: `limit=1&cursor=${page.next_cursor}` })).data[0].id, page.data[0].id);
  assert.ok(!broker.log.includes(key.slice(-30)));
});

test('bounds are for provisioners, and are shown as they were given', async () => {
  const given = { kinds: ['app', 'agent'], max_ttl_seconds: 3600, max_live_keys: 5, limits: { per_minute: 60, per_day: null, concurrent: 2 }, environment: 'ci', holder: 'runner' };
  const { bounds } = await provisioner(given);
  const { grants, ...rest } = bounds;
  assert.deepEqual(rest, given);
  assert.deepEqual(grants, [{ connection_id: crm.id, connection_name: 'crm', allowed_methods: ['GET'], allowed_paths: ['/v1/*'], deny_query_params: ['associations'] }]);
  const bad = (body) => api.run('createManagementKey', { body: { name: 'x', ...body } });
  problem(await bad({ role: 'admin', bounds: boundsOn(crm.id) }), 422, 'invalid');
  problem(await bad({ role: 'provisioner' }), 422, 'invalid');
  problem(await bad({ role: 'provisioner', bounds: { kinds: ['app'] } }), 422, 'invalid');
  problem(await bad({ role: 'provisioner', bounds: boundsOn(crm.id, { kinds: ['robot'] }) }), 422, 'invalid');
  problem(await bad({ role: 'nobody' }), 422, 'invalid');
  problem(await bad({ role: 'provisioner', bounds: boundsOn('nowhere') }), 404, 'not_found');
});

test('a masked management key that two keys share is ambiguous', async () => {
  const seen = new Set();
  let masked;
  for (let i = 0; i < 60 && !masked; i++) {
    for (const k of await Promise.all(Array.from({ length: 50 }, () => newManagementKey({ name: 'many', role: 'auditor' })))) {
      if (seen.has(k.masked)) masked = k.masked;
      seen.add(k.masked);
    }
  }
  assert.ok(masked, 'no two of 3000 keys look the same');
  for (const id of ['getManagementKey', 'revokeManagementKey']) problem(await api.run(id, { at: masked }), 409, 'ambiguous');
});

/* ---- delegated credentials ---- */

test('a provisioner mints as documented, within its bounds only, and sees what it minted', async () => {
  const { id, key: token } = await provisioner({ max_ttl_seconds: 3600, kinds: ['agent'], limits: { per_minute: 60, per_day: null, concurrent: null } });
  const made = await mint(token);
  assert.equal(made.status, 201);
  const { key, ...rest } = made.json;
  assert.match(key, /^rk_agent_[0-9A-Za-z]{46}$/);
  assert.equal(made.headers.location, `/api/v1/relay-keys/${rest.id}`);
  assert.deepEqual([rest.minted_by, rest.name, rest.holder.kind, rest.limits.per_minute], [id, 'agent-run', 'agent', 60]);
  assert.deepEqual(rest.grants[0].deny_query_params, ['associations'], 'what the bounds deny is denied');
  assert.ok(Math.abs(Date.parse(rest.expires_at) - Date.now() - 900_000) < 10_000);
  assert.equal(await proxied(key), 200);
  assert.equal(await proxied(key, '/crm/other'), 403);
  assert.equal(await proxied(key, '/crm/things?associations=x'), 403);

  const outside = [{ allowed_methods: ['POST'] }, { allowed_methods: ['*'] }, { allowed_paths: ['/**'] }, { allowed_paths: ['/v2/x'] }, { ttl_seconds: 3601 }, { ttl_seconds: null }, { kind: 'app' },
    { limits: { per_minute: 61 } }, { connection_id: (await newConnection()).id }];
  for (const more of outside) problem(await mint(token, more), 403, 'forbidden');
  const inside = [{ allowed_paths: ['/v1/*'] }, { ttl_seconds: 3600 }, { kind: 'agent' }, { limits: { per_minute: 60 } }, { connection_id: 'crm' }, { deny_query_params: ['expand'] }];
  for (const more of inside) assert.equal((await mint(token, more)).status, 201, JSON.stringify(more));
  problem(await mint(token, { ttl_seconds: 0 }), 422, 'invalid');
  problem(await mint(token, { allowed_methods: [] }), 422, 'invalid');

  // its own keys, and nobody else's; no connection, no secret
  const foreign = await newKey(crm.id);
  const mine = await api.ok('listRelayKeys', { token, query: 'limit=200' });
  assert.equal(mine.data.length, 1 + inside.length);
  assert.ok(mine.data.every((k) => k.minted_by === id));
  assert.deepEqual(await api.ok('getRelayKey', { token, at: rest.id }), (await api.ok('getRelayKey', { at: rest.id })));
  for (const op of ['getRelayKey', 'revokeRelayKey']) problem(await api.run(op, { token, at: foreign.id }), 404, 'not_found');
  problem(await api.run('getConnection', { token, at: crm.id }), 403);
  problem(await api.run('extendRelayKey', { token, at: rest.id, body: { ttl_seconds: 60 } }), 403);
  assert.equal((await api.ok('revokeRelayKey', { token, at: rest.id })).state, 'revoked');
  assert.equal(await proxied(key), 401);
  assert.equal(await proxied(foreign.key), 200);
  const rows = (await api.ok('listAudit', { query: `target=${rest.id}` })).data.map((r) => r.action);
  assert.ok(rows.includes('key.mint') && rows.includes('key.revoke'), rows.join());
});

test('without bounds, an operator mints too', async () => {
  const made = await mint(tokens.operator, { kind: 'app', holder: 'runner', environment: 'CI', allowed_ips: ['127.0.0.0/8'], limits: { per_day: 10 } });
  assert.deepEqual([made.status, made.json.holder, made.json.environment, made.json.allowed_ips, made.json.limits.per_day], [201, { kind: 'app', name: 'runner' }, 'CI', ['127.0.0.0/8'], 10]);
  const person = { kind: 'person', holder: 'ada' };
  assert.equal((await mint(tokens.operator, person)).json.trusted_only, true);
  assert.equal((await mint(tokens.operator, { ...person, any_ip: true })).json.trusted_only, false);
});

test('a hundred mints at once never exceed the live keys that are allowed', async () => {
  const { id, key: token } = await provisioner({ max_live_keys: 10 });
  const agent = new https.Agent({ keepAlive: true, maxSockets: 40 });
  const got = await Promise.all(Array.from({ length: 100 }, () => mint(token, {}, { agent })));
  agent.destroy();
  const made = got.filter((g) => g.status === 201);
  assert.equal(made.length, 10);
  for (const g of got.filter((x) => x.status !== 201)) problem(g, 403, 'forbidden');
  assert.deepEqual([(await api.ok('getManagementKey', { at: id })).live_keys, (await api.ok('listRelayKeys', { token, query: 'live=true' })).data.length], [10, 10]);
  await api.ok('revokeRelayKey', { token, at: made[0].json.id });
  assert.equal((await mint(token)).status, 201, 'one has ended, so one more may begin');
  problem(await mint(token), 403, 'forbidden');
});

test('a mint that is sent again is the same key, with its text', async () => {
  const { key: token } = await provisioner({ max_live_keys: 1 });
  const headers = { 'idempotency-key': `mint-${Date.now()}` };
  const [once, twice] = [await mint(token, {}, { headers }), await mint(token, {}, { headers })];
  assert.deepEqual([once.status, twice.status, twice.json.key], [201, 201, once.json.key]);
  problem(await mint(token, { name: 'another' }, { headers }), 409, 'exists');
});

test('who revokes a provisioner revokes what it minted, when that is meant', async () => {
  const [stays, goes] = [await provisioner(), await provisioner()];
  const [kept, gone] = [(await mint(stays.key)).json, (await mint(goes.key)).json];
  await api.ok('revokeManagementKey', { at: stays.id });
  const revoked = await api.ok('revokeManagementKey', { at: goes.id, query: 'cascade=true' });
  assert.deepEqual([revoked.minted, revoked.live_keys], [1, 0]);
  assert.deepEqual([await proxied(kept.key), await proxied(gone.key)], [200, 401]);
  problem(await mint(stays.key), 401);
});

/* ---- relay keys ---- */

test('a relay key is changed member by member; null takes away, and what is not said stays', async () => {
  const key = await newKey(crm.id, { name: 'nightly', ttl_seconds: 900 });
  const change = (body, headers = {}) => api.run('updateRelayKey', { at: key.id, body, headers });
  const first = await change({ environment: 'ci', limits: { per_minute: 60, concurrent: 4 }, allowed_ips: ['127.0.0.0/8'], expires_at: '2099-01-01T00:00:00Z' }, ifMatch(key));
  assert.deepEqual([first.status, first.headers.etag], [200, '"2"']);
  assert.deepEqual([first.json.name, first.json.environment, first.json.limits, first.json.allowed_ips, first.json.expires_at],
    ['nightly', 'ci', { per_minute: 60, per_day: null, concurrent: 4 }, ['127.0.0.0/8'], '2099-01-01T00:00:00.000Z']);
  problem(await change({ name: 'late' }, ifMatch(key)), 412, 'stale');
  const second = (await change({ environment: null, limits: { concurrent: null }, allowed_ips: [], expires_at: null })).json;
  assert.deepEqual([second.environment, second.limits, second.allowed_ips, second.expires_at, second.name], [null, { per_minute: 60, per_day: null, concurrent: null }, [], null, 'nightly']);
  assert.equal(await proxied(key.key), 200);
  await change({ grants: [{ connection_id: 'crm', allowed_methods: ['POST'], allowed_paths: ['/**'] }] });
  assert.equal(await proxied(key.key), 403);
  for (const on of [true, false]) assert.equal((await change({ trusted_only: on })).json.trusted_only, on);
  problem(await change({}), 422, 'invalid');
  problem(await change({ grants: [] }), 422, 'invalid');
  problem(await change({ limits: { per_minute: 0 } }), 422, 'invalid');
  problem(await change({ honey: true }), 422, 'invalid');
  problem(await change({ ttl_seconds: 60, expires_at: '2099-01-01T00:00:00Z' }), 422, 'invalid');
  const headers = { 'idempotency-key': `change-${Date.now()}` };
  const [once, twice] = [await change({ name: 'renamed' }, headers), await change({ name: 'renamed' }, headers)];
  assert.deepEqual([once.status, twice.status, twice.json.revision], [200, 200, once.json.revision]);
});

test('a decoy needs no grant, is refused like any wrong key, and stays active', async () => {
  const decoy = await api.ok('createRelayKey', { body: { holder: { kind: 'vendor', name: 'decoy' }, honey: true } });
  assert.deepEqual([decoy.honey, decoy.grants, decoy.minted_by], [true, [], null]);
  assert.equal(await proxied(decoy.key), 401);
  assert.equal((await api.ok('getRelayKey', { at: decoy.id })).state, 'active');
  problem(await api.run('createRelayKey', { body: { holder: { kind: 'vendor', name: 'decoy' } } }), 422, 'invalid');
  const vendor = { holder: { kind: 'vendor', name: 'flags' }, any_ip: undefined };
  assert.equal((await newKey(crm.id, vendor)).trusted_only, true);
  assert.equal((await newKey(crm.id, { ...vendor, holder: { kind: 'app', name: 'flags' } })).trusted_only, false);
  assert.equal((await newKey(crm.id, { ...vendor, holder: { kind: 'app', name: 'flags' }, trusted_only: true })).trusted_only, true);
});

/* ---- connections ---- */

test('a connection is changed member by member, and goes elsewhere only with its secret', async () => {
  const conn = await newConnection({ allow_encoded_slash: true });
  const change = (body, headers = {}) => api.run('updateConnection', { at: conn.id, body, headers });
  const renamed = await change({ name: `renamed-${conn.name}`, provider: 'acme', allow_set_cookie: true }, ifMatch(conn));
  assert.deepEqual([renamed.status, renamed.json.name, renamed.json.provider], [200, `renamed-${conn.name}`, 'acme']);
  assert.deepEqual([renamed.json.allow_private, renamed.json.allow_encoded_slash, renamed.json.allow_set_cookie], [true, true, true], 'options that were not meant stay');
  assert.equal(renamed.headers.etag, `"${conn.revision + 1}"`);
  problem(await change({ provider: null }, ifMatch(conn)), 412, 'stale');
  assert.equal((await change({ provider: null, allow_encoded_slash: false })).json.provider, null);
  problem(await change({ name: 'crm' }), 409, 'exists');
  for (const body of [{ base_url: `${upstream.baseUrl}/v2` }, { auth: ['basic'] }, { ca_pem: null }]) problem(await change(body), 422, 'invalid');
  problem(await change({ name: null }), 422, 'invalid');
  problem(await change({ egress_proxy: 'none' }), 422, 'invalid');
  problem(await change({ allow_private: false }), 403, 'forbidden');
  assert.deepEqual(await change({}).then((g) => [g.status, g.json.credential_version]), [200, 1]);
  const moved = (await change({ base_url: `${upstream.baseUrl}/v2`, secret: SECRET })).json;
  assert.deepEqual([moved.base_url, moved.credential_version], [`${upstream.baseUrl}/v2`, 2]);
  assert.ok(!(await api.ok('listCredentials', { at: conn.id })).data[1].restorable, 'it was given for another place');
  problem(await api.run('rollbackConnection', { at: conn.id, body: { version: 1 } }), 403, 'forbidden');
});

test('earlier real keys are listed, never shown, brought back, and removed for good', async () => {
  const conn = await newConnection();
  const { key } = await newKey(conn.id);
  const works = () => proxied(key, `/${conn.name}/things`);
  await api.ok('rotateConnection', { at: conn.id, body: { secret: 'sk-mistyped-00000000' } });
  assert.equal(await works(), 401);
  const back = await api.ok('rollbackConnection', { at: conn.id, body: { version: 1 } });
  assert.equal(back.credential_version, 3);
  assert.equal(await works(), 200);
  const list = await api.ok('listCredentials', { at: conn.name });
  assert.deepEqual(list.data.map((v) => [v.version, v.current, v.restorable, v.connection_id]), [[3, true, true, conn.id], [2, false, true, conn.id], [1, false, true, conn.id]]);
  assert.ok(!JSON.stringify(list).includes(SECRET.slice(0, 20)));
  const page = await api.ok('listCredentials', { at: conn.id, query: 'limit=2' });
  assert.deepEqual((await api.ok('listCredentials', { at: conn.id, query: `limit=2&cursor=${page.next_cursor}` })).data.map((v) => v.version), [1]);
  problem(await api.run('rollbackConnection', { at: conn.id, body: { version: 3 } }), 409, 'not_now');
  problem(await api.run('rollbackConnection', { at: conn.id, body: { version: 0 } }), 422, 'invalid');
  problem(await api.run('deleteCredential', { at: [conn.id, 3] }), 409, 'not_now');
  for (const version of ['x', 0, -1, '1x']) problem(await api.run('deleteCredential', { at: [conn.id, version] }), 404, 'not_found');
  assert.equal((await api.run('deleteCredential', { at: [conn.id, 2], headers: ifMatch(back) })).status, 200);
  assert.deepEqual((await api.ok('listCredentials', { at: conn.id })).data.map((v) => v.version), [3, 1]);
  problem(await api.run('rollbackConnection', { at: conn.id, body: { version: 2 } }), 404, 'not_found');
  problem(await api.run('deleteCredential', { at: [conn.id, 9] }), 404, 'not_found');
});

test('a list whose pages the keeper keeps small has a cursor all the same', async () => {
  const conn = await newConnection();
  for (let i = 0; i < 101; i++) await api.ok('rotateConnection', { at: conn.id, body: { secret: SECRET } });
  const seen = [];
  for (let cursor = ''; cursor !== null;) {
    const page = await api.ok('listCredentials', { at: conn.id, query: `limit=200${cursor && `&cursor=${cursor}`}` });
    seen.push(...page.data.map((v) => v.version));
    cursor = page.next_cursor;
  }
  assert.deepEqual(seen, Array.from({ length: 102 }, (_, i) => 102 - i));
});

test('a test of a connection says whether it is let in, and the log who asked', async () => {
  const conn = await newConnection();
  const good = await api.ok('testConnection', { at: conn.id, body: { path: '/things' }, token: tokens.operator });
  assert.deepEqual([good.connection_id, good.method, good.path, good.status, good.reason], [conn.id, 'GET', '/v1/things', 200, 'ok']);
  assert.ok(good.first_byte_us > 0 && Date.parse(good.certificate.expires_at) > Date.now());
  const row = await until(async () => (await api.ok('listAudit', { query: `request_id=${good.request_id}` })).data.find((r) => r.outcome), 'the row of its end');
  assert.deepEqual([row.type, row.action, row.key_id, row.holder, row.status], ['request', 'connection.probe', null, null, 200]);
  assert.match(row.actor, /mkey_/);
  assert.equal((await api.ok('testConnection', { at: conn.id, body: { method: 'HEAD' } })).method, 'HEAD');
  problem(await api.run('testConnection', { at: conn.id, body: { method: 'POST' } }), 422, 'invalid');
  problem(await api.run('testConnection', { at: conn.id, body: { path: '/../x' } }), 422, 'invalid');
  const stranger = await newConnection({ ca_pem: null });
  const refused = await api.ok('testConnection', { at: stranger.id, body: {} });
  assert.deepEqual([refused.status, refused.reason, refused.certificate], [null, 'upstream_refused', null]);
  assert.match(refused.detail, /^certificate_not_valid/);
  await api.ok('freezeConnection', { at: conn.id });
  problem(await api.run('testConnection', { at: conn.id, body: {} }), 409, 'not_now');
});

test('the status says whether traffic is stopped', async () => {
  assert.deepEqual((await api.ok('getStatus')).panic, { on: false, since: null, by: null, reason: null });
  await broker.json(['panic', 'on', '--reason', 'drill']);
  const { panic } = await api.ok('getStatus');
  assert.deepEqual([panic.on, panic.reason], [true, 'drill']);
  assert.ok(Math.abs(Date.parse(panic.since) - Date.now()) < 10_000 && /^uid:/.test(panic.by));
  await broker.json(['panic', 'off']);
});

/* ---- users ---- */

test('users are added, shown, listed, changed and removed, and an administrator stays', async () => {
  const made = await api.run('createUser', { body: { name: 'ada', role: 'admin', email: 'ada@example.com' } });
  assert.deepEqual([made.status, made.headers.location, made.headers.etag], [201, `/api/v1/users/${made.json.id}`, '"1"']);
  for (const at of [made.json.id, 'ada']) assert.deepEqual(await api.ok('getUser', { at }), made.json);
  problem(await api.run('updateUser', { at: 'ada', body: { role: 'auditor' } }), 403, 'forbidden');
  problem(await api.run('deleteUser', { at: 'ada' }), 403, 'forbidden');
  problem(await api.run('createUser', { body: { name: 'ada', role: 'admin' } }), 409, 'exists');
  problem(await api.run('createUser', { body: { name: 'bob', role: 'admin', email: 'nowhere' } }), 422, 'invalid');
  problem(await api.run('createUser', { body: { name: 'bob', role: 'root' } }), 422, 'invalid');
  const bob = await api.ok('createUser', { body: { name: 'bob', role: 'admin' } });
  const changed = await api.run('updateUser', { at: made.json.id, body: { name: 'countess', role: 'auditor', enabled: false, email: null }, headers: ifMatch(made.json) });
  assert.deepEqual([changed.json.name, changed.json.role, changed.json.enabled, changed.json.email, changed.headers.etag], ['countess', 'auditor', false, null, '"2"']);
  problem(await api.run('updateUser', { at: bob.id, body: {} }), 422, 'invalid');
  problem(await api.run('updateUser', { at: bob.id, body: { name: 'countess' } }), 409, 'exists');
  assert.ok((await api.ok('listUsers', { query: 'limit=200' })).data.some((u) => u.name === 'countess'));
  // a page behind somebody who is gone
  const before_ = (await api.ok('listUsers', { query: 'limit=200' })).data.length;
  const last = await api.ok('createUser', { body: { name: 'last', role: 'auditor' } });
  await api.ok('createUser', { body: { name: 'behind', role: 'auditor' } });
  const { next_cursor: cursor } = await api.ok('listUsers', { query: `limit=${before_ + 1}` });
  assert.equal((await api.run('deleteUser', { at: last.id })).status, 204);
  problem(await api.run('listUsers', { query: `cursor=${cursor}` }), 404, 'not_found');
  problem(await api.run('getUser', { at: last.id }), 404, 'not_found');
});

refusals(share);

ends(share);
