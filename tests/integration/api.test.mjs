// The management interface: every operation and every documented status, each answer held against the document that the
// broker serves; what is refused beside what is allowed; and that the document and the router are the same.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import https from 'node:https';
import tls from 'node:tls';
import { readFileSync } from 'node:fs';
import { Broker, sleep, until } from '../lib/broker.mjs';
import { Api, ask, managementKey } from '../lib/api.mjs';
import { ROLES, UNKNOWN_KEY, ends, problem, refusals } from '../lib/api_common.mjs';
import { request } from '../lib/client.mjs';
import { startUpstream } from '../mock/upstream.mjs';
import { makeCertificates, makeClientCertificate } from '../mock/certs.mjs';

const SECRET = 'sk-canary-0123456789abcdefghijklmnopqrstuvwxyz5f81';
const ALL = { allowed_methods: ['*'], allowed_paths: ['/**'] };

let broker, api, upstream, dir;
const tokens = {};
let serial = 0;

before(async () => {
  broker = await Broker.start({ relays: 1 });
  dir = broker.dir;
  upstream = await startUpstream({ dir, key: SECRET });
  await broker.addConnection('bounds', upstream);
  for (const role of ROLES) tokens[role] = await managementKey(broker, role, role === 'provisioner' ? ['--conn', 'bounds', '--method', 'GET', '--path', '/v1/*'] : []);
  api = await new Api(broker, tokens.admin).open();
});
after(async () => {
  await broker?.end();
  await upstream?.stop();
});

const connectionBody = (more = {}) => ({ name: `conn-${++serial}`, base_url: `${upstream.baseUrl}/v1`, secret: SECRET, allow_private: true, ca_pem: readFileSync(upstream.caFile, 'utf8'), ...more });
const newConnection = (more) => api.ok('createConnection', { body: connectionBody(more) });
const keyBody = (conn, more = {}) => ({ holder: { kind: 'vendor', name: 'acme' }, grants: [{ connection_id: conn, ...ALL }], ...more });
const newKey = (conn, more) => api.ok('createRelayKey', { body: keyBody(conn, more) });

/** An address of a holder of its own: whoever has been given one is not trusted at the test's. */
async function newAddress(address = '198.51.100.0/24') {
  const holder = { kind: 'vendor', name: `ips-${++serial}` };
  await newKey((await newConnection()).id, { holder });
  return api.ok('createTrustedIp', { body: { holder: `vendor:${holder.name}`, address } });
}

/** What these tests say of each operation that has no file of its own. */
const share = {
  api: () => api,
  tokens,
  example: (op) => {
    const bodies = {
      createConnection: { name: '-', base_url: 'ftp://x', secret: 'x' },
      createRelayKey: keyBody('nowhere'),
      rotateConnection: { secret: 'x' },
      setClientCertificate: { certificate: 'x', private_key: 'x' },
      setEgressProxy: { url: 'none' },
      extendRelayKey: { ttl_seconds: 60 },
      updateHolder: { email: 'ada@example.com' },
      createTrustedIp: { holder: 'person:nobody', address: '192.0.2.1' },
    };
    assert.ok(op.operationId in bodies, `no example of a body of ${op.operationId}`);
    return bodies[op.operationId];
  },
  nowhere: (op) => ({ 'Relay keys': 'key_000000000000', Holders: 'person:nobody', 'Trusted addresses': 'ip_4000000' })[op.tags[0]] ?? 'conn_000000000000',
  there: async () => {
    const conn = await newConnection();
    const at = { 'Relay keys': (await newKey(conn.id)).id, Holders: 'vendor:acme', 'Trusted addresses': (await newAddress()).id };
    return (op) => at[op.tags[0]] ?? conn.id;
  },
  roles: {
    getStatus: 'admin operator auditor',
    listConnections: 'admin operator auditor',
    createConnection: 'admin',
    getConnection: 'admin operator auditor',
    deleteConnection: 'admin',
    rotateConnection: 'admin',
    freezeConnection: 'admin operator',
    unfreezeConnection: 'admin operator',
    setClientCertificate: 'admin',
    removeClientCertificate: 'admin',
    setEgressProxy: 'admin',
    resetEgressProxy: 'admin',
    listRelayKeys: 'admin operator auditor provisioner',
    createRelayKey: 'admin operator',
    getRelayKey: 'admin operator auditor provisioner',
    revokeRelayKey: 'admin operator provisioner',
    extendRelayKey: 'admin operator',
    listHolders: 'admin operator auditor',
    getHolder: 'admin operator auditor',
    updateHolder: 'admin operator',
    revokeHolder: 'admin operator',
    listTrustedIps: 'admin operator auditor',
    listApprovals: 'admin operator auditor',
    createTrustedIp: 'admin operator',
    getTrustedIp: 'admin operator auditor',
    approveTrustedIp: 'admin operator',
    deleteTrustedIp: 'admin operator',
    listAudit: 'admin operator auditor',
    streamAudit: 'admin operator auditor',
    exportAudit: 'admin operator auditor',
    verifyAudit: 'admin operator auditor',
  },
};

/* ---- resources ---- */

test('holders are listed, shown, given an address for mail, and revoked with all their keys', async () => {
  const conn = await newConnection();
  const holder = { kind: 'person', name: `ada-${++serial}` };
  const at = `person:${holder.name}`;
  const keys = [await newKey(conn.id, { holder }), await newKey(conn.id, { holder, any_ip: true })];
  assert.deepEqual(keys.map((k) => k.trusted_only), [true, false]);
  const shown = await api.ok('getHolder', { at });
  assert.deepEqual([shown.id, shown.kind, shown.email, shown.keys, shown.live_keys], [at, 'person', null, 2, 2]);
  const changed = await api.run('updateHolder', { at, body: { email: 'ada@example.com' }, headers: { 'if-match': `"${shown.revision}"` } });
  assert.deepEqual([changed.json.email, changed.headers.etag], ['ada@example.com', `"${shown.revision + 1}"`]);
  problem(await api.run('updateHolder', { at, body: { email: 'no address' } }), 422, 'invalid');
  assert.equal((await api.ok('updateHolder', { at, body: { email: null } })).email, null);
  const people = await api.ok('listHolders', { query: 'kind=person&limit=200' });
  assert.ok(people.data.every((h) => h.kind === 'person') && people.data.some((h) => h.id === at));
  problem(await api.run('listHolders', { query: 'kind=robot' }), 422);
  await newKey(conn.id, { holder: { kind: 'app', name: 'web' } });
  const first = await api.ok('listHolders', { query: 'limit=1' });
  assert.notEqual((await api.ok('listHolders', { query: `limit=1&cursor=${first.next_cursor}` })).data[0].id, first.data[0].id);
  assert.equal((await api.ok('revokeHolder', { at })).revoked, 2);
  for (const k of keys) assert.equal((await api.ok('getRelayKey', { at: k.id })).state, 'revoked');
  assert.equal((await api.ok('getHolder', { at })).live_keys, 0);
});

test('addresses of a holder are added, approved, listed and removed', async () => {
  const conn = await newConnection();
  const holder = { kind: 'vendor', name: `ips-${++serial}` };
  await newKey(conn.id, { holder });
  const at = `vendor:${holder.name}`;
  const made = await api.run('createTrustedIp', { body: { holder: at, address: '203.0.113.0/24' } });
  assert.deepEqual([made.status, made.json.state, made.json.trusted_by, made.json.address], [201, 'trusted', 'manager', '203.0.113.0/24']);
  const { id } = made.json;
  assert.deepEqual(await api.ok('getTrustedIp', { at: id }), made.json);
  assert.deepEqual(await api.ok('approveTrustedIp', { at: id }), made.json);
  problem(await api.run('createTrustedIp', { body: { holder: at, address: '0.0.0.0/0' } }), 422, 'invalid');
  problem(await api.run('createTrustedIp', { body: { holder: 'vendor:nobody', address: '203.0.113.1' } }), 404);
  assert.ok((await api.ok('listTrustedIps', { query: `holder=${encodeURIComponent(at)}&state=trusted&limit=200` })).data.some((t) => t.id === id));
  problem(await api.run('listTrustedIps', { query: 'holder=vendor%3Anobody' }), 404);
  problem(await api.run('listTrustedIps', { query: 'state=removed' }), 422);
  problem(await api.run('listApprovals', { query: 'key=key_000000000000' }), 404);
  assert.deepEqual((await api.ok('listApprovals')).data, []);
  assert.equal((await api.ok('deleteTrustedIp', { at: id })).state, 'removed');
  problem(await api.run('getTrustedIp', { at: id }), 404, 'not_found');
});

test('a connection is made, shown, listed, rotated, frozen and removed, and its secret never comes back', async () => {
  const made = await api.run('createConnection', { body: connectionBody({ provider: 'openai', auth: ['header:x-key:Token '] }) });
  assert.equal(made.status, 201);
  assert.equal(made.headers.location, `/api/v1/connections/${made.json.id}`);
  assert.equal(made.headers.etag, `"${made.json.revision}"`);
  assert.ok(!made.text.includes(SECRET.slice(4, 20)) && made.json.secret_hint.endsWith('5f81'));
  assert.deepEqual([made.json.provider, made.json.auth, made.json.allow_private, made.json.enabled], ['openai', ['header:x-key:Token '], true, true]);
  const { id, name } = made.json;
  for (const at of [id, name]) assert.deepEqual(await api.ok('getConnection', { at }), made.json);
  assert.ok((await api.ok('listConnections')).data.some((c) => c.id === id));
  const rotated = await api.ok('rotateConnection', { at: id, body: { secret: 'another-secret-value-9999' } });
  assert.deepEqual([rotated.credential_version, rotated.secret_hint.slice(-4)], [2, '9999']);
  assert.equal((await api.ok('freezeConnection', { at: name })).enabled, false);
  assert.equal((await api.ok('unfreezeConnection', { at: id })).enabled, true);
  const gone = await api.run('deleteConnection', { at: id });
  assert.deepEqual([gone.status, gone.text, gone.headers['content-length']], [204, '', undefined]);
  problem(await api.run('getConnection', { at: id }), 404, 'not_found');
});

test('client certificate and egress proxy are set and taken back', async () => {
  makeCertificates(dir);
  const identity = makeClientCertificate(dir, 'mock', 'api-client');
  const pem = { certificate: identity.cert ?? readFileSync(identity.certFile, 'utf8'), private_key: identity.key };
  const { id } = await newConnection({ client_certificate: pem, egress_proxy: 'http://127.0.0.1:3128', egress_proxy_secret: 'svc:proxy-password-1' });
  const shown = await api.ok('getConnection', { at: id });
  assert.match(shown.client_certificate.subject, /api-client/);
  assert.ok(Date.parse(shown.client_certificate.expires_at) > Date.now());
  assert.deepEqual([shown.egress_proxy, shown.egress_proxy_secret_set], ['http://127.0.0.1:3128', true]);
  assert.equal((await api.ok('removeClientCertificate', { at: id })).client_certificate, null);
  assert.match((await api.ok('setClientCertificate', { at: id, body: pem })).client_certificate.subject, /api-client/);
  const direct = await api.ok('setEgressProxy', { at: id, body: { url: 'none' } });
  assert.deepEqual([direct.egress_proxy, direct.egress_proxy_secret_set], ['none', false]);
  assert.equal((await api.ok('resetEgressProxy', { at: id })).egress_proxy, null);
});

test('a relay key is issued with its text once, works, is extended, and revoked for good', async () => {
  const conn = await newConnection();
  const made = await api.run('createRelayKey', { body: keyBody(conn.id, { name: 'nightly', environment: 'staging', allowed_ips: ['127.0.0.0/8', '2001:db8::/32'],
    ttl_seconds: 900, limits: { per_minute: 600, per_day: null, concurrent: 4 } }) });
  assert.equal(made.status, 201);
  assert.equal(made.headers.location, `/api/v1/relay-keys/${made.json.id}`);
  const { key, ...rest } = made.json;
  assert.match(key, /^rk_vendor_[0-9A-Za-z]{46}$/);
  assert.ok(Math.abs(Date.parse(rest.expires_at) - Date.now() - 900_000) < 10_000);
  assert.deepEqual(rest.limits, { per_minute: 600, per_day: null, concurrent: 4 });
  assert.deepEqual(rest.allowed_ips, ['127.0.0.0/8', '2001:db8::/32']);
  assert.deepEqual(rest.grants, [{ connection_id: conn.id, connection_name: conn.name, ...ALL, deny_query_params: [] }]);
  assert.deepEqual(await api.ok('getRelayKey', { at: made.json.id }), rest);
  assert.deepEqual(await api.ok('getRelayKey', { at: rest.masked }), rest);
  assert.equal((await request(broker, 'GET', `/${conn.name}/things`, { key })).status, 200);
  const later = await api.ok('extendRelayKey', { at: rest.id, body: { expires_at: '2099-01-01T00:00:00Z' } });
  assert.equal(later.expires_at, '2099-01-01T00:00:00.000Z');
  assert.equal((await api.ok('revokeRelayKey', { at: rest.id })).state, 'revoked');
  assert.equal((await request(broker, 'GET', `/${conn.name}/things`, { key })).status, 401);
  problem(await api.run('extendRelayKey', { at: rest.id, body: { ttl_seconds: 60 } }), 409, 'not_now');
  problem(await api.run('createRelayKey', { body: keyBody('nowhere') }), 404, 'not_found');
});

test('the status is that of the broker', async () => {
  const status = await api.ok('getStatus');
  assert.deepEqual([status.sealed, status.token.state, status.audit.ok], [false, 'ready', true]);
  assert.ok(status.connections >= 1);
});

/* ---- pages ---- */

test('lists come in pages, and a cursor goes on behind the last one', async () => {
  const conn = await newConnection();
  const ids = [];
  for (let i = 0; i < 7; i++) ids.push((await newKey(conn.id, { holder: { kind: 'agent', name: 'pages' } })).id);
  await api.ok('revokeRelayKey', { at: ids[3] });
  const walk = async (query) => {
    const got = [];
    for (let cursor = null, pages = 0; pages < 20; pages++) {
      const page = await api.ok('listRelayKeys', { query: `${query}${cursor ? `&cursor=${cursor}` : ''}` });
      got.push(page.data.map((k) => k.id));
      cursor = page.next_cursor;
      if (!cursor) break;
    }
    return got;
  };
  assert.deepEqual(await walk('limit=3&holder=agent:pages'), [ids.slice(0, 3), ids.slice(3, 6), ids.slice(6)]);
  assert.deepEqual(await walk('limit=7&holder=agent:pages'), [ids], 'no page behind the last one');
  assert.deepEqual(await walk(`holder=agent:&connection_id=${conn.name}&live=true`), [ids.filter((_, i) => i !== 3)]);
  problem(await api.run('listRelayKeys', { query: 'connection_id=nowhere' }), 404);
  problem(await api.run('listRelayKeys', { query: 'holder=robot:x' }), 422);
  const [first] = [await api.ok('listConnections', { query: 'limit=1' })];
  problem(await api.run('listRelayKeys', { query: `cursor=${first.next_cursor}` }), 422, 'bad_cursor');
  problem(await api.run('listConnections', { query: 'cursor=AAAAAAAA' }), 422, 'bad_cursor');
  for (const limit of ['0', '201', '-1', 'x', '']) problem(await api.run('listRelayKeys', { query: `limit=${limit}` }), 422);
});

/* ---- the audit log ---- */

test('the audit log is filtered and paged, newest first', async () => {
  const conn = await newConnection();
  const { key, id } = await newKey(conn.id);
  for (let i = 0; i < 5; i++) await request(broker, 'GET', `/${conn.name}/things`, { key });
  await until(async () => (await api.ok('listAudit', { query: `key_id=${id}&limit=200` })).data.filter((e) => e.outcome === 'complete').length === 5, 'five complete requests');
  const all = (await api.ok('listAudit', { query: `key_id=${id}` })).data.filter((e) => e.type === 'request');
  assert.equal(all.length, 5);
  assert.ok(all.every((e, i) => i === 0 || e.seq < all[i - 1].seq));
  assert.deepEqual([all[0].connection, all[0].holder, all[0].decision, all[0].status], [{ id: conn.id, name: conn.name }, { kind: 'vendor', name: 'acme' }, 'allowed', 200]);
  const seqs = [];
  for (let cursor = ''; cursor !== null;) {
    const page = await api.ok('listAudit', { query: `decision=allowed&key_id=${id}&limit=2${cursor && `&cursor=${cursor}`}` });
    seqs.push(...page.data.map((e) => e.seq));
    cursor = page.next_cursor;
  }
  assert.deepEqual(seqs, all.map((e) => e.seq));
  problem(await api.run('listAudit', { query: 'decision=perhaps' }), 422);
  problem(await api.run('listAudit', { query: 'status=99' }), 422);
  problem(await api.run('listAudit', { query: 'since=yesterday' }), 422);
  for (const id of ['listAudit', 'exportAudit']) problem(await api.run(id, { query: 'key_id=key_000000000000' }), 404);
  assert.deepEqual((await api.ok('listAudit', { query: 'until=2001-01-01T00:00:00Z' })).data, []);
});

test('verify says that the chain is whole', async () => {
  const v = await api.ok('verifyAudit');
  assert.deepEqual([v.ok, v.first_seq, v.bad_seq, v.error], [true, 1, null, null]);
});

/** The events of a stream as they come. */
function events(got) {
  const list = [];
  let text = '';
  got.res.on('data', (d) => {
    text += d;
    for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
      const lines = text.slice(0, end).split('\n');
      if (lines[0].startsWith(':')) list.comments = (list.comments ?? 0) + 1;
      else list.push(Object.fromEntries(lines.map((l) => [l.slice(0, l.indexOf(':')), l.slice(l.indexOf(':') + 2)])));
    }
  });
  got.res.on('error', () => {});
  return list;
}

test('the live stream begins at once, and brings entries as they become durable', async () => {
  const got = await api.run('streamAudit', { stream: true });
  assert.deepEqual([got.status, got.headers['content-type']], [200, 'text/event-stream']);
  const list = events(got);
  await until(() => list.comments, 'the first comment', 2000);
  const conn = await newConnection();
  await until(() => list.some((e) => e.event === 'audit' && JSON.parse(e.data).target === conn.id), 'the event', 2000);
  const entry = JSON.parse(list.find((e) => JSON.parse(e.data).target === conn.id).data);
  const validate = api.schemaAt('components', 'schemas', 'AuditEntry');
  assert.ok(validate(entry), api.ajv.errorsText(validate.errors));
  assert.equal(Number(list.at(-1).id), JSON.parse(list.at(-1).data).seq);
  api.seen.add('streamAudit 200');
  got.req.destroy();
});

test('a stream that is refused is a problem document and no stream', async () => {
  problem(await api.run('streamAudit', { token: tokens.provisioner }), 403, 'forbidden');
  problem(await api.run('streamAudit', { query: 'key_id=key_000000000000' }), 404);
  problem(await api.run('streamAudit', { headers: { 'last-event-id': 'x' } }), 400, 'bad_last_event_id');
});

/** Rows by the thousand: refusals are cheap to make. */
async function fill(rows) {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 32 });
  for (let i = 0; i < rows; i += 64) {
    await Promise.all(Array.from({ length: 64 }, () => request(broker, 'GET', '/nothing/here', { key: 'rk_app_none', agent })));
  }
  agent.destroy();
}

test('an export brings every row while its client is slow and others are served', async () => {
  await fill(4096);
  const got = await api.run('exportAudit', { stream: true, headers: { accept: 'application/x-ndjson' } });
  assert.equal(got.headers['content-type'], 'application/x-ndjson');
  let text = '';
  got.res.pause();
  await sleep(500);
  const memory = () => Number(/VmRSS:\s+(\d+)/.exec(readStatus(broker.pidOf('console')))[1]);
  const before = memory();
  for (let i = 0; i < 5; i++) assert.equal((await api.run('getStatus')).status, 200);
  assert.ok(memory() - before < 8192, 'what the client does not read waits in the keeper');
  got.res.on('data', (d) => {
    text += d;
    got.res.pause();
    setTimeout(() => got.res.resume(), 1);
  });
  got.res.resume();
  await new Promise((done, bad) => got.res.on('end', done).on('error', bad));
  const rows = text.split('\n').filter(Boolean).map((l) => JSON.parse(l));
  assert.ok(rows.length > 4096);
  assert.ok(rows.every((r, i) => r.seq === i + 1 && (i === 0 || r.prev_hash === rows[i - 1].hash)));
  const validate = api.schemaAt('components', 'schemas', 'AuditEntry');
  for (const row of rows.slice(0, 200)) assert.ok(validate(row), api.ajv.errorsText(validate.errors));
  api.seen.add('exportAudit 200');
});

test('an export is CSV when the parameter or Accept says so', async () => {
  const lines = (text) => text.split('\r\n').filter(Boolean);
  const one = await api.run('exportAudit', { query: 'format=csv&until=2099-01-01' });
  const two = await api.run('exportAudit', { headers: { accept: 'text/csv' } });
  assert.match(one.headers['content-type'], /^text\/csv/);
  assert.match(two.headers['content-type'], /^text\/csv/);
  assert.match(one.headers['content-disposition'], /attachment/);
  assert.match(lines(one.text)[0], /^seq,time,type,request_id/);
  assert.ok(lines(one.text).length > 4096);
  problem(await api.run('exportAudit', { query: 'format=xml' }), 422);
  problem(await api.run('exportAudit', { headers: { accept: 'application/xml' } }), 406, 'not_acceptable');
  problem(await api.run('exportAudit', { token: tokens.provisioner }), 403);
});

function readStatus(pid) {
  return readFileSync(`/proc/${pid}/status`, 'utf8');
}

/* ---- what is refused ---- */

test('a key that is not good is told apart from none by nobody', async () => {
  const bad = [UNKNOWN_KEY, `${tokens.admin}x`, tokens.admin.slice(0, -1), 'rk_mgmt_admin_', 'rk_app_123'];
  const answers = [];
  for (const token of bad) answers.push(problem(await api.run('getStatus', { token }), 401, 'unauthorized'));
  assert.equal(new Set(answers.slice(0, 4).map((a) => a.detail)).size, 1, 'one constant text');
  for (const authorization of ['', 'Basic abc', `bearer`, `Bearer  ${tokens.admin}`, `Token ${tokens.admin}`]) {
    problem(await api.run('getStatus', { token: '', headers: { authorization } }), 401);
  }
  assert.equal((await api.run('getStatus', { token: '', headers: { authorization: `bearer ${tokens.admin}` } })).status, 200);
});

refusals(share);

test('unknown members, wrong types and values over their limits are refused, each with its pointer', async () => {
  const cases = [
    [{ nope: 1 }, ['/nope']],
    [{ name: 7 }, ['/name']],
    [{ name: 'x'.repeat(65) }, ['/name']],
    [{ name: '' }, ['/name']],
    [{ auth: 'bearer' }, ['/auth']],
    [{ auth: ['bearer', 5] }, ['/auth/1']],
    [{ allow_private: 'yes' }, ['/allow_private']],
    [{ secret: null }, ['/secret']],
    [{ secret: 's'.repeat(16385) }, ['/secret']],
    [{ client_certificate: { certificate: 'x' } }, ['/client_certificate/private_key']],
    [{ client_certificate: [] }, ['/client_certificate']],
    [{ base_url: undefined, name: undefined }, ['/name', '/base_url']],
  ];
  for (const [more, pointers] of cases) {
    const got = problem(await api.run('createConnection', { body: connectionBody(more) }), 422, 'invalid');
    assert.deepEqual(got.errors.map((e) => e.pointer).sort(), [...pointers].sort(), JSON.stringify(more));
  }
  const keys = [
    [{ holder: { kind: 'robot', name: 'x' } }, ['/holder/kind']],
    [{ holder: { kind: 'app', name: 'x', more: 1 } }, ['/holder/more']],
    [{ ttl_seconds: -5 }, ['/ttl_seconds']],
    [{ ttl_seconds: 1.5 }, ['/ttl_seconds']],
    [{ ttl_seconds: '900' }, ['/ttl_seconds']],
    [{ expires_at: 'tomorrow' }, ['/expires_at']],
    [{ limits: { per_minute: 0 } }, ['/limits/per_minute']],
    [{ limits: { per_minute: 1e10 } }, ['/limits/per_minute']],
    [{ grants: [{ connection_id: 'a', ...ALL }, { allowed_paths: [1] }] }, ['/grants/1/allowed_paths/0', '/grants/1/connection_id']],
    [{ grants: {} }, ['/grants']],
    [{ allowed_ips: ['x'.repeat(9000)] }, ['/allowed_ips']],
  ];
  for (const [more, pointers] of keys) {
    const got = problem(await api.run('createRelayKey', { body: keyBody('a', more) }), 422, 'invalid');
    assert.deepEqual(got.errors.map((e) => e.pointer).sort(), [...pointers].sort(), JSON.stringify(more));
  }
  // what only the keeper knows
  problem(await api.run('createConnection', { body: connectionBody({ base_url: 'http://api.openai.com' }) }), 422);
  const { name } = await newConnection();
  problem(await api.run('createConnection', { body: connectionBody({ name }) }), 409, 'exists');
  // twins that pass
  await newConnection({ provider: null, client_certificate: null, egress_proxy: null });
});

test('what is not JSON, is JSON twice over, or is of another type is refused', async () => {
  const send = (raw, headers = {}) => api.run('createConnection', { raw, headers: { 'content-type': 'application/json', ...headers } });
  const good = () => JSON.stringify(connectionBody());
  for (const raw of ['', '{', '{"name":}', '[', '"x"', '{"a":1}x', '{"name":"\\ud800"}', '{"name":"a\\u0000b"}', Buffer.from([0x7b, 0xff, 0x7d]), '[1]'.repeat(3)]) {
    problem(await send(raw), 400, 'bad_json');
  }
  problem(await send('[]'), 422);
  problem(await send('{"name":"a","name":"b"}'), 400, 'bad_json');
  problem(await send(`{"limits":${'['.repeat(5000)}`), 400, 'bad_json');
  const many = problem(await send(`{${Array.from({ length: 7000 }, (_, i) => `"${i}":1`).join(',')}}`), 503, 'overloaded');
  assert.ok(many);
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', 'application/merge-patch+json']) {
    problem(await send(good(), { 'content-type': type }), 415);
  }
  assert.equal((await send(good(), { 'content-type': 'Application/JSON; charset=utf-8' })).status, 201);
  assert.equal((await send(good(), { 'transfer-encoding': 'chunked' })).status, 201);
  problem(await api.run('freezeConnection', { at: 'x', body: {} }), 400, 'unexpected_body');
  assert.equal((await api.run('freezeConnection', { at: 'x', headers: { 'content-length': '0' } })).status, 404);
});

test('parameters that are not encoded as they should be are refused', async () => {
  for (const query of ['limit', 'limit=%zz', 'limit=%00', '&', 'holder=a%0ab']) problem(await api.run('listRelayKeys', { query }), 400);
});

test('an ETag is good for one change', async () => {
  const conn = await newConnection();
  const frozen = await api.run('freezeConnection', { at: conn.id, headers: { 'if-match': `"${conn.revision}"` } });
  assert.equal(frozen.status, 200);
  assert.notEqual(frozen.headers.etag, `"${conn.revision}"`);
  problem(await api.run('unfreezeConnection', { at: conn.id, headers: { 'if-match': `"${conn.revision}"` } }), 412, 'stale');
  assert.equal((await api.run('unfreezeConnection', { at: conn.id, headers: { 'if-match': frozen.headers.etag } })).status, 200);
  assert.equal((await api.run('freezeConnection', { at: conn.id, headers: { 'if-match': '*' } })).status, 200);
});

test('live relay keys keep their connection, unless it is meant', async () => {
  const conn = await newConnection();
  await newKey(conn.id);
  problem(await api.run('deleteConnection', { at: conn.id }), 409, 'not_now');
  problem(await api.run('deleteConnection', { at: conn.id, query: 'force=perhaps' }), 422);
  assert.equal((await api.run('deleteConnection', { at: conn.id, query: 'force=true' })).status, 204);
});

test('a cursor whose connection was removed is 404', async () => {
  const first = await newConnection();
  const before = (await api.ok('listConnections', { query: 'limit=200' })).data.length;
  await newConnection();
  const { next_cursor: cursor } = await api.ok('listConnections', { query: `limit=${before}` });
  await api.ok('deleteConnection', { at: first.id });
  problem(await api.run('listConnections', { query: `cursor=${cursor}` }), 404);
});

test('a masked key that two keys share is ambiguous', async () => {
  const conn = await newConnection();
  const seen = new Map();
  let masked;
  for (let i = 0; i < 40 && !masked; i++) {
    const keys = await Promise.all(Array.from({ length: 50 }, () => newKey(conn.id, { holder: { kind: 'app', name: 'many' } })));
    for (const k of keys) {
      if (seen.has(k.masked)) masked = k.masked;
      seen.set(k.masked, k.id);
    }
  }
  assert.ok(masked, 'no two of 2000 keys look the same');
  problem(await api.run('getRelayKey', { at: masked }), 409, 'ambiguous');
  problem(await api.run('revokeRelayKey', { at: masked }), 409, 'ambiguous');
  for (const id of ['listAudit', 'exportAudit', 'streamAudit']) problem(await api.run(id, { query: `key_id=${masked}` }), 409, 'ambiguous');
  for (const id of ['listTrustedIps', 'listApprovals']) problem(await api.run(id, { query: `key=${masked}` }), 409, 'ambiguous');
});

test('a retry with the same idempotency key does nothing twice', async () => {
  const body = connectionBody();
  const headers = { 'idempotency-key': `retry-${Date.now()}` };
  const once = await api.run('createConnection', { body, headers });
  const twice = await api.run('createConnection', { body, headers });
  assert.deepEqual([once.status, twice.status, twice.json.id], [201, 201, once.json.id]);
  problem(await api.run('createConnection', { body: connectionBody(), headers }), 409, 'exists');
  // containment does not ask whether it was done before
  assert.equal((await api.run('freezeConnection', { at: once.json.id, headers })).json.enabled, false);
});

/* ---- HTTP ---- */

test('methods and paths that there are not: 404 and 405 with Allow', async () => {
  const got = await ask(broker, 'DELETE', '/api/v1/connections', { token: tokens.admin });
  problem(got, 405, 'method_not_allowed');
  assert.equal(got.headers.allow, 'GET, HEAD, POST');
  for (const path of ['/api/v1', '/api/v1/', '/api/v1/connections/', '/api/v1/connections/a/b', '/api/v2/status', '/', '/api/v1/Status']) {
    problem(await ask(broker, 'GET', path, { token: tokens.admin }), 404, 'not_found');
  }
  problem(await ask(broker, 'POST', '/openapi.json', { body: {} }), 405);
  problem(await ask(broker, 'OPTIONS', '/api/v1/status'), 405);
});

test('HEAD is GET without the body, for objects, lists and streams', async () => {
  const { id } = await newConnection();
  for (const path of ['/api/v1/status', '/api/v1/connections', `/api/v1/connections/${id}`, '/api/v1/audit/stream', '/api/v1/audit/export', '/openapi.json', '/healthz']) {
    const got = await ask(broker, 'HEAD', path, { token: tokens.admin });
    assert.deepEqual([got.status, got.text], [200, ''], path);
  }
});

test('every answer has the headers that keep it where it belongs', async () => {
  const ids = new Set();
  for (const path of ['/healthz', '/openapi.json', '/api/v1/status', '/nothing']) {
    const { headers } = await ask(broker, 'GET', path, { token: tokens.admin });
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['x-frame-options'], 'DENY');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.match(headers['content-security-policy'], /default-src 'none'/);
    assert.match(headers['x-request-id'], /^req_[0-9a-f]{32}$/);
    ids.add(headers['x-request-id']);
  }
  assert.equal(ids.size, 4);
});

/** A TLS connection of its own; `text` collects what comes. */
function dial() {
  const socket = tls.connect({ host: '127.0.0.1', port: broker.ports.console, ca: broker.ca, ALPNProtocols: ['http/1.1'] });
  const state = { socket, text: '', closed: false };
  socket.on('data', (d) => { state.text += d; });
  socket.on('close', () => { state.closed = true; });
  socket.on('error', () => {});
  return state;
}

test('a body that does not come in time is 408, and others are served meanwhile', async () => {
  const c = dial();
  c.socket.write(`POST /api/v1/connections HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${tokens.admin}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"na`);
  await sleep(200);
  assert.equal((await api.run('getStatus')).status, 200);
  await until(() => c.closed, 'the end of a slow body', 40000);
  assert.match(c.text, /^HTTP\/1\.1 408 /);
});

test('a body is not asked for when the request is refused anyway', async () => {
  const c = dial();
  c.socket.write('POST /api/v1/connections HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n');
  await until(() => c.closed, 'the refusal', 5000);
  assert.match(c.text, /^HTTP\/1\.1 401 /);
  const d = dial();
  d.socket.write(`POST /api/v1/connections HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${tokens.admin}\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n`);
  await until(() => d.text.startsWith('HTTP/1.1 100 Continue\r\n\r\n'), '100 Continue', 5000);
  d.socket.write('{}');
  await until(() => /HTTP\/1\.1 422 /.test(d.text), 'the answer', 5000);
  d.socket.destroy();
});

test('many callers at once are each answered with what they asked for', async () => {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 40 });
  const conns = await Promise.all(Array.from({ length: 40 }, () => api.run('createConnection', { body: connectionBody(), agent })));
  assert.ok(conns.every((c) => c.status === 201));
  const got = await Promise.all(conns.map((c) => api.run('getConnection', { at: c.json.id, agent })));
  assert.deepEqual(got.map((g) => g.json.id), conns.map((c) => c.json.id));
  agent.destroy();
});

/* ---- the whole of it ---- */

test('the document and the router are the same: no operation was left out, and none was found undocumented', async () => {
  const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];
  for (const path of new Set(api.operations.map((o) => o.path))) {
    const there = api.operations.filter((o) => o.path === path).map((o) => o.method);
    for (const method of methods) {
      const got = await ask(broker, method, path.replace(/\{[^}]+\}/g, 'x'), {});
      assert.equal(got.status === 405, !there.includes(method), `${method} ${path}: ${got.status}`);
      if (got.status === 405) assert.deepEqual(got.headers.allow.split(', ').filter((m) => m !== 'HEAD').sort(), [...there].sort());
    }
  }
  const ids = api.operations.map((o) => o.operationId);
  assert.equal(new Set(ids).size, ids.length);
});

ends(share);
