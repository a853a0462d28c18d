// The management interface: what goes out (settings, mail, webhooks, deliveries) and the panic switch. Each answer is held
// against the document, as in api.test.mjs, and what the broker then does against what the other end received.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readFileSync } from 'node:fs';
import { Broker, until } from '../lib/broker.mjs';
import { Api, managementKey } from '../lib/api.mjs';
import { ROLES, ends, problem, refusals } from '../lib/api_common.mjs';
import { request } from '../lib/client.mjs';
import { signatureHolds, startHookServer } from '../mock/hookserver.mjs';
import { startMailServer } from '../mock/mailserver.mjs';
import { startUpstream } from '../mock/upstream.mjs';

const LOGIN = { user: 'relay', pass: 'smtp-pass-9d22c1f04b-outward' };

let broker, api, hook, mail, upstream;
const tokens = {};
let serial = 0;

before(async () => {
  broker = await Broker.start({ relays: 1 });
  hook = await startHookServer({ dir: broker.dir });
  mail = await startMailServer({ dir: broker.dir, auth: LOGIN });
  upstream = await startUpstream({ dir: broker.dir, key: 'sk-real-0b3fd7a1c2-outward' });
  await broker.addConnection('mock', upstream);
  for (const role of ROLES) tokens[role] = await managementKey(broker, role, role === 'provisioner' ? ['--conn', 'mock', '--method', 'GET', '--path', '/v1/*'] : []);
  api = await new Api(broker, tokens.admin, 'outward').open();
});
after(async () => {
  await broker?.end();
  for (const server of [hook, mail, upstream]) await server?.stop();
});

const hookBody = (more = {}) => ({ name: `hook-${++serial}`, url: hook.url, allow_private: true, ca_pem: readFileSync(hook.caFile, 'utf8'), ...more });
const newHook = (more) => api.ok('createWebhook', { body: hookBody(more) });
const mailBody = () => ({ smtp_host: '127.0.0.1', smtp_port: mail.port, smtp_tls: 'starttls', smtp_user: LOGIN.user, smtp_password: LOGIN.pass,
  smtp_ca: readFileSync(mail.caFile, 'utf8'), mail_from: 'relaykey@example.com' });
const update = (body, options = {}) => api.run('updateSettings', { body, ...options });
const ifMatch = (object) => ({ 'if-match': `"${object.revision}"` });
const received = (type, from = hook) => until(() => from.received.find((r) => r.json.type === type), `the webhook's ${type}`);

const share = {
  api: () => api,
  tokens,
  example: (op) => ({
    updateSettings: { smtp_port: 25, mail_from: 'nobody' },
    sendTestMail: { address: 'nobody' },
    createWebhook: { name: 'hook_x', url: 'https://hooks.example.com/' },
    updateWebhook: { name: 'hook_x' },
    stopTraffic: { reason: 'a test' },
  })[op.operationId] ?? assert.fail(`no example of a body of ${op.operationId}`),
  nowhere: (op) => (op.tags[0] === 'Deliveries' ? 'dlv_4000000' : 'hook_000000000000'),
  there: async () => {
    const { id } = await newHook({ url: 'https://hooks.example.com/' });
    return () => id;
  },
  values: { kind: 'mail', state: 'sent' },
  roles: {
    getSettings: 'admin operator auditor',
    updateSettings: 'admin',
    sendTestMail: 'admin',
    listWebhooks: 'admin operator auditor',
    createWebhook: 'admin',
    getWebhook: 'admin operator auditor',
    updateWebhook: 'admin',
    deleteWebhook: 'admin',
    rotateWebhookSecret: 'admin',
    testWebhook: 'admin',
    listDeliveries: 'admin operator auditor',
    getDelivery: 'admin operator auditor',
    replayDelivery: 'admin operator',
    stopTraffic: 'admin operator',
    resumeTraffic: 'admin',
  },
};

/* ---- settings ---- */

test('settings are shown, and changed member by member: null takes back, and what is not there stays', async () => {
  const fresh = await api.run('getSettings');
  const { revision } = fresh.json;
  assert.equal(fresh.headers.etag, `"${revision}"`);
  assert.deepEqual([fresh.json.public_url, fresh.json.smtp_host, fresh.json.smtp_password_set, fresh.json.alert_mail, fresh.json.trust_first_ip], [null, null, false, [], true]);
  const changed = await update({ public_url: 'https://console.example.com:8444/', alert_mail: ['a@example.com', 'b@example.com'], trust_presets: ['2001:DB8::/32'] }, { headers: ifMatch(fresh.json) });
  assert.deepEqual([changed.status, changed.headers.etag], [200, `"${revision + 1}"`]);
  assert.deepEqual([changed.json.public_url, changed.json.alert_mail, changed.json.trust_presets], ['https://console.example.com:8444', ['a@example.com', 'b@example.com'], ['2001:db8::/32']]);
  assert.ok(Math.abs(Date.parse(changed.json.updated_at) - Date.now()) < 10_000);
  problem(await update({ public_url: null }, { headers: ifMatch(fresh.json) }), 412, 'stale');
  const back = (await update({ public_url: null, alert_mail: [], trust_first_ip: false, mails_per_key_day: 7, confirm_ttl_seconds: 3600 })).json;
  assert.deepEqual([back.public_url, back.alert_mail, back.trust_first_ip, back.mails_per_key_day, back.confirm_ttl_seconds], [null, [], false, 7, 3600]);
  assert.deepEqual(back.trust_presets, ['2001:db8::/32']);
  assert.deepEqual(await api.ok('getSettings'), back);
  assert.equal((await update({})).json.revision, back.revision, 'nothing to change is no change');
  const [row] = (await api.ok('listAudit', { query: 'action=settings.change&limit=1' })).data;
  assert.deepEqual([row.target, row.detail], ['settings', 'public_url alert_mail trust_first_ip mails_per_key_day confirm_ttl']);
});

test('settings that do not fit together are refused, all of them', async () => {
  const had = await api.ok('getSettings');
  const cases = [
    { public_url: 'http://console.example.com' },
    { alert_mail: ['ops@example.com', 'Somebody <a@b.example>'] },
    { alert_mail: ['a@b.example\r\nBcc: c@d.example'] },
    { trust_presets: ['10.0.0.1/8'] },
    { mails_per_key_day: 1001 },
    { confirm_ttl_seconds: 1 },
    { smtp_host: 'mail.example.com' },
    { smtp_user: 'relay' },
    { leak_keys: ['id'] },
    { leak_keys: ['id\nno key'] },
    { smtp_tls: 'ssl' },
    { smtp_port: 0 },
    { smtp_port: 65536 },
    { mails_per_key_day: null },
    { trust_first_ip: 'yes' },
    { smtp_password_set: true },
  ];
  for (const body of cases) problem(await update({ ...body, trust_first_ip: body.trust_first_ip ?? true }), 422, 'invalid');
  // a mail server may be a private one; what answers with credentials to everybody never is
  problem(await update({ smtp_host: '169.254.169.254', mail_from: 'a@example.com' }), 403, 'forbidden');
  assert.deepEqual(await api.ok('getSettings'), had);
});

test('a mail is sent with what is set; the password is never shown and stays with its server', async () => {
  problem(await api.run('sendTestMail', { body: { address: 'ops@example.com' } }), 409, 'not_now');
  const set = await update(mailBody());
  assert.equal(set.status, 200, set.text);
  assert.equal(set.json.smtp_password_set, true);
  assert.equal(set.json.smtp_ca, readFileSync(mail.caFile, 'utf8'));
  assert.ok(!set.text.includes(LOGIN.pass));
  problem(await api.run('sendTestMail'), 422, 'invalid'); // to which address?
  problem(await api.run('sendTestMail', { body: { address: 'a@b.example\r\nRCPT TO:<c@d.example>' } }), 422, 'invalid');
  const headers = { 'idempotency-key': `mail-${Date.now()}` };
  for (let i = 0; i < 2; i++) {
    const got = await api.run('sendTestMail', { body: { address: 'ops@example.com' }, headers });
    assert.deepEqual([got.status, got.text], [202, '']);
  }
  const got = await until(() => mail.received.at(-1), 'the mail');
  assert.deepEqual([got.to, got.from, got.user, got.secure], [['ops@example.com'], 'relaykey@example.com', LOGIN.user, true]);
  await update({ alert_mail: ['one@example.com', 'two@example.com'] });
  assert.equal((await api.run('sendTestMail')).status, 202);
  await until(() => mail.received.length === 3, 'those to the addresses of alerts');
  assert.deepEqual(mail.received.map((m) => m.to[0]).sort(), ['one@example.com', 'ops@example.com', 'two@example.com']);
  for (const body of [{ smtp_host: 'mail.attacker.example' }, { smtp_port: 26 }, { smtp_tls: 'tls' }, { smtp_user: 'other' }, { smtp_ca: null }]) problem(await update(body), 422, 'invalid');
  const none = (await update({ smtp_password: null, smtp_user: null, alert_mail: [] })).json;
  assert.deepEqual([none.smtp_password_set, none.smtp_user], [false, null]);
  assert.ok(!(await broker.cli(['audit', 'export'])).stdout.includes(LOGIN.pass));
});

/* ---- webhooks ---- */

test('a webhook is made with its secret once, shown, listed, changed and removed', async () => {
  const made = await api.run('createWebhook', { body: hookBody({ events: ['token.lost', 'traffic.panic'] }) });
  assert.equal(made.status, 201);
  const { secret, ...rest } = made.json;
  assert.match(secret, /^whsec_[0-9A-Za-z]{40}$/);
  assert.deepEqual([made.headers.location, made.headers.etag], [`/api/v1/webhooks/${rest.id}`, '"1"']);
  assert.deepEqual([rest.url, rest.events, rest.allow_private, rest.private_ca, rest.enabled], [hook.url, ['token.lost', 'traffic.panic'], true, true, true]);
  for (const at of [rest.id, rest.name]) assert.deepEqual(await api.ok('getWebhook', { at }), rest);
  const change = (body, options = {}) => api.run('updateWebhook', { at: rest.id, body, ...options });
  const changed = await change({ events: ['key.leaked'], enabled: false }, { headers: ifMatch(rest) });
  assert.deepEqual([changed.json.events, changed.json.enabled, changed.json.name, changed.json.private_ca, changed.headers.etag], [['key.leaked'], false, rest.name, true, '"2"']);
  problem(await api.run('testWebhook', { at: rest.id }), 409, 'not_now'); // it is disabled
  problem(await change({ allow_private: false }), 403, 'forbidden');
  problem(await change({ events: ['key.lost'] }), 422, 'invalid');
  problem(await change({ name: 'hook_mine' }), 422, 'invalid');
  problem(await change({ url: 'http://hooks.example.com/' }), 422, 'invalid');
  const other = await newHook();
  problem(await change({ name: other.name }), 409, 'exists');
  problem(await api.run('createWebhook', { body: hookBody({ name: other.name }) }), 409, 'exists');
  problem(await api.run('createWebhook', { body: hookBody({ url: 'https://10.0.0.1/', allow_private: false }) }), 403, 'forbidden');
  const all = (await change({ events: null, ca_pem: null, enabled: true })).json;
  assert.deepEqual([all.events.length, all.private_ca, all.enabled], [10, false, true]);
  assert.deepEqual(other.events, all.events, 'without any it hears of all');
  const first = await api.ok('listWebhooks', { query: 'limit=1' });
  const second = await api.ok('listWebhooks', { query: `limit=1&cursor=${first.next_cursor}` });
  assert.notEqual(second.data[0].id, first.data[0].id);
  assert.ok(!JSON.stringify([first, second]).includes('whsec_'));
  const gone = await api.run('deleteWebhook', { at: other.id });
  assert.deepEqual([gone.status, gone.text], [204, '']);
  problem(await api.run('getWebhook', { at: other.id }), 404, 'not_found');
  await api.run('deleteWebhook', { at: rest.id });
  // a page behind one that is gone
  const [a, b] = [await newHook(), await newHook()];
  const { next_cursor: cursor } = await api.ok('listWebhooks', { query: 'limit=1' });
  assert.ok(cursor);
  await api.run('deleteWebhook', { at: a.id });
  problem(await api.run('listWebhooks', { query: `cursor=${cursor}` }), 404, 'not_found');
  await api.run('deleteWebhook', { at: b.id });
});

test('a test is signed with the secret, and after a rotation with the other one', async () => {
  const made = await newHook();
  hook.received.length = 0;
  assert.equal((await api.run('testWebhook', { at: made.name })).status, 202);
  const got = await received('test');
  assert.ok(signatureHolds(got.headers['relaykey-signature'], made.secret, got.body));
  const headers = { 'idempotency-key': `rotate-${Date.now()}`, ...ifMatch(made) };
  const rotated = await api.ok('rotateWebhookSecret', { at: made.id, headers });
  assert.deepEqual([rotated.revision, rotated.secret === made.secret], [2, false]);
  const again = await api.ok('rotateWebhookSecret', { at: made.id, headers });
  assert.deepEqual([again.revision, again.secret], [2, undefined], 'shown once');
  hook.received.length = 0;
  await api.run('testWebhook', { at: made.id });
  const next = await received('test');
  assert.ok(signatureHolds(next.headers['relaykey-signature'], rotated.secret, next.body));
  assert.ok(!signatureHolds(next.headers['relaykey-signature'], made.secret, next.body));
  await api.run('deleteWebhook', { at: made.id });
});

test('what is made twice under one idempotency key is there once', async () => {
  const body = hookBody();
  const headers = { 'idempotency-key': `hook-${Date.now()}` };
  const [once, twice] = [await api.run('createWebhook', { body, headers }), await api.run('createWebhook', { body, headers })];
  assert.deepEqual([once.status, twice.status, twice.json.id, twice.json.secret], [201, 201, once.json.id, undefined]);
  problem(await api.run('createWebhook', { body: { ...body, name: 'another' }, headers }), 409, 'exists');
  await api.run('deleteWebhook', { at: once.json.id });
});

/* ---- deliveries ---- */

test('deliveries are listed newest first, filtered, paged, shown, and sent again', async () => {
  const made = await newHook();
  const list = (query) => api.ok('listDeliveries', { query });
  hook.answer = 410;
  for (let i = 0; i < 3; i++) await api.run('testWebhook', { at: made.id });
  const failed = await until(async () => {
    const { data } = await list(`webhook=${made.name}&state=failed`);
    return data.length === 3 && data;
  }, 'three failures');
  hook.answer = 200;
  const numbers = failed.map((d) => Number(d.id.slice(4)));
  assert.deepEqual(numbers, [...numbers].sort((a, b) => b - a));
  const [one] = failed;
  assert.deepEqual([one.kind, one.target, one.event, one.attempts, one.status, one.next_attempt_at], ['webhook', made.id, 'test', 1, 410, null]);
  assert.deepEqual(await api.ok('getDelivery', { at: one.id }), one);
  const heard = hook.received.find((r) => r.headers['relaykey-delivery'] === one.id);
  assert.equal(heard.json.id, one.event_id);
  const pages = [];
  for (let cursor = ''; cursor !== null;) {
    const page = await list(`webhook=${made.id}&limit=2${cursor && `&cursor=${cursor}`}`);
    pages.push(page.data.map((d) => d.id));
    cursor = page.next_cursor;
  }
  assert.deepEqual(pages, [failed.slice(0, 2).map((d) => d.id), [failed[2].id]]);
  assert.ok((await list('kind=mail&limit=200')).data.every((d) => d.kind === 'mail'));
  assert.deepEqual((await list(`webhook=${made.id}&kind=mail`)).data, []);
  for (const query of ['kind=fax', 'state=lost', 'kind=%21']) problem(await api.run('listDeliveries', { query }), 422);
  problem(await api.run('listDeliveries', { query: 'webhook=nobody' }), 404, 'not_found');
  const again = await api.ok('replayDelivery', { at: one.id, token: tokens.operator });
  assert.deepEqual([again.id, again.state, again.attempts], [one.id, 'waiting', 0]);
  await until(async () => (await api.ok('getDelivery', { at: one.id })).state === 'sent', 'the one that was sent again');
  await api.run('deleteWebhook', { at: made.id });
  problem(await api.run('replayDelivery', { at: failed[1].id }), 409, 'not_now');
  assert.equal((await list(`webhook=${made.id}`)).data.length, 3, 'they are still listed under its id');
  problem(await api.run('getDelivery', { at: 'nonsense' }), 404, 'not_found');
});

/* ---- the panic switch ---- */

test('the panic switch stops all traffic, says so, tells the webhooks, and is taken back', async () => {
  const { key } = await broker.issueKey('mock');
  const status = async () => (await request(broker, 'GET', '/mock/things', { key })).status;
  const made = await newHook({ events: ['traffic.panic'] });
  hook.received.length = 0;
  assert.equal(await status(), 200);
  problem(await api.run('stopTraffic', { token: tokens.auditor }), 403, 'forbidden');
  assert.equal(await status(), 200);
  const stopped = await api.ok('stopTraffic', { body: { reason: 'keys on a forum' }, token: tokens.operator });
  assert.deepEqual([stopped.panic.on, stopped.panic.reason], [true, 'keys on a forum']);
  assert.match(stopped.panic.by, /^mkey_/);
  assert.equal(await status(), 403);
  const told = await received('traffic.panic');
  assert.ok(signatureHolds(told.headers['relaykey-signature'], made.secret, told.body));
  assert.match(told.body, /stopped: keys on a forum/);
  assert.equal((await api.ok('stopTraffic')).panic.reason, 'keys on a forum', 'without a body; the first reason stays');
  assert.deepEqual((await api.ok('getStatus')).panic, stopped.panic);
  problem(await api.run('resumeTraffic', { token: tokens.operator }), 403, 'forbidden');
  assert.equal(await status(), 403);
  assert.equal((await api.ok('resumeTraffic', { query: 'reason=all%20revoked' })).panic.on, false);
  assert.equal(await status(), 200);
  await until(() => hook.received.some((r) => r.body.includes('resumed: all revoked')), 'the news of the end');
  const rows = (await api.ok('listAudit', { query: 'target=traffic' })).data.map((e) => [e.action, e.detail]);
  assert.deepEqual(rows, [['traffic.resume', 'all revoked'], ['traffic.stop', 'keys on a forum']]);
  problem(await api.run('stopTraffic', { body: { reason: 'x'.repeat(257) } }), 422, 'invalid');
  problem(await api.run('resumeTraffic', { query: `reason=${'x'.repeat(257)}` }), 422, 'invalid');
  assert.equal(await status(), 200);
  await api.run('deleteWebhook', { at: made.id });
});

refusals(share);

ends(share);
