// What a stranger needs: the pages of the proxy, what a key may do, the import of a .env file, completion and manuals.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { chownSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker, relaykey, run } from '../lib/broker.mjs';
import { raw, request } from '../lib/client.mjs';
import { startUpstream } from '../mock/upstream.mjs';

const REAL_KEY = 'sk-real-5d20f7be91c3a846-upstream-only';
const ROOT = join(import.meta.dirname, '..', '..');
const PAGES = ['/llms.txt', '/_agent', '/_reference'];
let dir, upstream, broker;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'relaykey-guide-'));
  upstream = await startUpstream({ dir, key: REAL_KEY });
  broker = await Broker.start({ relays: 1 });
  await broker.addConnection('mock', upstream, { extra: ['--provider', 'openai'] });
  await broker.addConnection('bare', upstream, { path: '', extra: ['--provider', 'openai'] });
});

after(async () => {
  await broker?.end();
  await upstream?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const rows = async () => (await broker.lines(['audit', 'list', '--limit', '20'])).filter((r) => r.type === 'request');
const last = async () => (await rows()).sort((a, b) => a.seq - b.seq).at(-1);
const count = async () => (await broker.json(['status'])).audit.rows;

// ---- pages

test('pages are served without a key, cacheable, and speak of the host they were asked at', async () => {
  for (const path of PAGES) {
    const got = await request(broker, 'GET', path, { headers: { host: 'localhost:9' } });
    assert.equal(got.status, 200, path);
    assert.match(got.headers['content-type'], path === '/llms.txt' ? /^text\/plain; charset=utf-8$/ : /^text\/markdown; charset=utf-8$/);
    assert.match(got.text, /^# /);
    assert.match(got.text, /https:\/\/localhost:9\//);
    assert.match(got.headers['cache-control'], /public, max-age=\d+/);
    assert.match(got.headers['x-relaykey-request-id'], /^req_/);
    const again = await request(broker, 'GET', path, { headers: { host: 'localhost:9', 'if-none-match': got.headers.etag } });
    assert.equal(again.status, 304);
    assert.equal(again.text, '');
    const other = await request(broker, 'GET', path, { headers: { host: '127.0.0.1', 'if-none-match': got.headers.etag } });
    assert.equal(other.status, 200, 'another host is another page');
  }
});

test('HEAD has the head of GET and no body; other methods are 405 with Allow', async () => {
  for (const path of PAGES) {
    const get = await request(broker, 'GET', path);
    const head = await request(broker, 'HEAD', path);
    assert.equal(head.status, 200);
    assert.equal(head.text, '');
    assert.equal(head.headers['content-length'], get.headers['content-length']);
    assert.equal(Number(get.headers['content-length']), Buffer.byteLength(get.text));
  }
  for (const path of [...PAGES, '/_discover']) {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const got = await request(broker, method, path, { body: method === 'POST' ? 'x=1' : undefined });
      assert.equal(got.status, 405, `${method} ${path}`);
      assert.equal(got.headers.allow, 'GET, HEAD');
      assert.equal(got.json().error.code, 'method_not_supported');
    }
  }
});

test('a browser gets HTML of the pages for people, with a policy that lets nothing in', async () => {
  const accept = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
  for (const path of ['/_agent', '/_reference']) {
    const got = await request(broker, 'GET', path, { headers: { accept } });
    assert.equal(got.headers['content-type'], 'text/html; charset=utf-8');
    assert.equal(got.headers.vary, 'Accept');
    assert.match(got.headers['content-security-policy'], /default-src 'none'/);
    assert.match(got.text, /^<!doctype html>/);
    assert.doesNotMatch(got.text, /```|\{base\}|<script/);
  }
  assert.match((await request(broker, 'GET', '/llms.txt', { headers: { accept } })).headers['content-type'], /^text\/plain/);
});

test('the reference tells of every reason that the broker has', async () => {
  const source = readFileSync(join(ROOT, 'broker/policy/reason.c'), 'utf8').replaceAll(/\s+/g, ' ');
  const codes = [...source.matchAll(/(?:REFUSED|FAILED)\( ?(\d{3}), "([a-z_]+)"|LIMITED\( ?"([a-z_]+)"/g)].map((m) => [m[1] ?? '429', m[2] ?? m[3]]);
  assert.ok(codes.length >= 20);
  const page = (await request(broker, 'GET', '/_reference')).text;
  for (const [status, code] of codes) assert.ok(page.includes(`| ${status} | \`${code}\` |`), code);
});

test('pages are neither audited nor in the way of the next request on the connection', async () => {
  const before = await count();
  const head = (path, close = '') => `GET ${path} HTTP/1.1\r\nHost: a.example\r\n${close}\r\n`;
  const got = await raw(broker, PAGES.map((p) => head(p)).join('') + head('/_reference', 'Connection: close\r\n'));
  assert.equal(got.match(/HTTP\/1\.1 200 OK/g).length, 4);
  assert.ok(got.endsWith('must fit the same one.\n'), 'whole to the end');
  assert.equal(await count(), before);
});

test('a host that could be read as something else is refused before it is in a page', async () => {
  for (const host of ['a"><script>', 'a b', '<x>']) {
    const got = await raw(broker, `GET /_agent HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    assert.match(got, /^HTTP\/1\.1 400/);
  }
});

// ---- /_discover

test('a key is told what it may do, where, and with which settings of an SDK', async () => {
  const args = ['key', 'issue', '--conn', 'mock', '--method', 'GET', '--method', 'POST', '--path', '/v1/things', '--path', '/v1/files/*', '--path', '/**', '--path', '/*/x', '--deny-query', 'debug',
    '--conn', 'bare', '--method', 'GET', '--path', '/v1/things', '--holder', 'agent:bot', '--env', 'staging', '--name', 'n1', '--ttl', '1d', '--rate', '60/min', '--rate', '100/day', '--concurrent', '4', '--ip', '127.0.0.0/8'];
  const key = await broker.json(args);
  const got = await request(broker, 'GET', '/_discover', { key: key.key, headers: { host: 'localhost:9' } });
  assert.equal(got.status, 200);
  assert.equal(got.headers['cache-control'], 'no-store');
  assert.equal(got.headers['x-relaykey-decision'], 'allowed');
  assert.match(got.headers.ratelimit, /"relaykey-minute";r=60/);
  const doc = got.json();
  const { expires_at: expires, ...rest } = doc.key;
  assert.ok(Math.abs(Date.parse(expires) - Date.now() - 86400e3) < 60e3);
  assert.match(expires, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.ok(rest.limits.per_day.reset_seconds > 0);
  delete rest.limits.per_day.reset_seconds;
  assert.deepEqual(rest, { id: key.id, masked: key.masked, name: 'n1', environment: 'staging', holder: { kind: 'agent', name: 'bot' }, allowed_ips: ['127.0.0.0/8'],
    limits: { per_minute: { limit: 60, remaining: 60, reset_seconds: rest.limits.per_minute.reset_seconds }, per_day: { limit: 100, remaining: 100 }, concurrent: { limit: 4, remaining: 4 } } });
  assert.equal(doc.connections_left_out, 0);
  assert.deepEqual(doc.connections.map(({ id, ...c }) => { assert.match(id, /^conn_/); return c; }), [
    { name: 'mock', provider: 'openai', state: 'active', base_url: 'https://localhost:9/mock', allowed_methods: ['GET', 'POST'],
      allowed_paths: [{ upstream: '/v1/things', proxy: '/mock/things' }, { upstream: '/v1/files/*', proxy: '/mock/files/*' }, { upstream: '/**', proxy: '/mock/**' }, { upstream: '/*/x', proxy: null }],
      deny_query_params: ['debug'], sdk: { key_variable: 'OPENAI_API_KEY', base_url_variable: 'OPENAI_BASE_URL', note: null } },
    { name: 'bare', provider: 'openai', state: 'active', base_url: 'https://localhost:9/bare', allowed_methods: ['GET'],
      allowed_paths: [{ upstream: '/v1/things', proxy: '/bare/v1/things' }], deny_query_params: [],
      sdk: { key_variable: 'OPENAI_API_KEY', base_url_variable: null, note: "the SDK expects the base path '/v1', this connection has another one" } },
  ]);
  // what it says is true
  assert.equal((await request(broker, 'GET', doc.connections[0].allowed_paths[0].proxy, { key: key.key })).status, 200);
  assert.ok(!got.text.includes(key.key) && !got.text.includes(REAL_KEY));
});

test('asking uses up nothing, and is on record as a request with its answer', async () => {
  const key = await broker.issueKey('mock', { extra: ['--method', '*', '--path', '/**', '--rate', '2/min'] });
  for (let i = 0; i < 5; i++) assert.equal((await request(broker, 'GET', '/_discover', { key: key.key })).json().key.limits.per_minute.remaining, 2);
  assert.equal((await request(broker, 'GET', '/mock/things', { key: key.key })).status, 200);
  assert.equal((await request(broker, 'GET', '/_discover', { key: key.key })).json().key.limits.per_minute.remaining, 1);
  const got = await request(broker, 'HEAD', '/_discover', { key: key.key });
  assert.equal(got.status, 200);
  assert.equal(got.text, '');
  const row = await last();
  assert.equal(row.path, '/_discover');
  assert.deepEqual([row.method, row.decision, row.reason, row.status, row.outcome, row.key_id, row.detail], ['HEAD', 'allowed', 'ok', 200, 'complete', key.id, 'discover']);
  assert.equal(got.headers['x-relaykey-request-id'], row.request_id);
  assert.equal(upstream.seen.filter((r) => r.path.includes('_discover')).length, 0);
});

test('a key is taken from every place where an SDK puts one', async () => {
  const { key } = await broker.issueKey('mock');
  for (const headers of [{ 'x-api-key': key }, { 'x-goog-api-key': key }, { 'x-relaykey': key }, { authorization: `Basic ${Buffer.from(`x:${key}`).toString('base64')}` }]) {
    assert.equal((await request(broker, 'GET', '/_discover', { headers })).status, 200, Object.keys(headers)[0]);
  }
});

test('no key, an unknown, revoked or second one, and one in the query are the constant 401; another address is 403', async () => {
  const [good, other, gone] = [await broker.issueKey('mock'), await broker.issueKey('mock'), await broker.issueKey('mock')];
  await broker.json(['key', 'revoke', gone.id]);
  const ask = (options) => request(broker, 'GET', '/_discover', options);
  const strip = (r) => r.text.replaceAll(/req_[0-9a-f]{32}/g, 'req_');
  const none = await ask({});
  assert.equal(none.status, 401);
  assert.equal((await last()).detail, 'none');
  const normal = await request(broker, 'GET', '/mock/things');
  for (const [options, detail] of [[{ key: gone.key }, 'revoked'], [{ key: good.key.slice(0, -1) }, 'unknown'], [{ key: good.key, headers: { 'x-api-key': other.key } }, 'conflict']]) {
    const got = await ask(options);
    assert.equal(got.status, 401);
    assert.equal(strip(got), strip(normal), detail);
    assert.equal(got.headers['x-relaykey-block-reason'], 'invalid_api_key');
    const row = await last();
    assert.deepEqual([row.path, row.decision, row.reason, row.detail], ['/_discover', 'denied', 'invalid_api_key', detail]);
  }
  assert.equal((await request(broker, 'GET', `/_discover?api_key=${good.key}`)).status, 401);
  const elsewhere = await broker.issueKey('mock', { extra: ['--method', '*', '--path', '/**', '--ip', '198.51.100.0/24'] });
  const denied = await ask({ key: elsewhere.key });
  assert.deepEqual([denied.status, denied.headers['x-relaykey-block-reason']], [403, 'ip_not_allowed']);
  assert.equal((await ask({ key: good.key })).status, 200);
});

test('a frozen connection is shown as frozen, a removed one not at all', async () => {
  await broker.addConnection('short-lived', upstream);
  const { key } = await broker.issueKey('short-lived');
  await broker.json(['conn', 'disable', 'short-lived']);
  const ask = async () => (await request(broker, 'GET', '/_discover', { key })).json().connections;
  assert.equal((await ask())[0].state, 'frozen');
  await broker.json(['conn', 'remove', 'short-lived', '--force']);
  assert.deepEqual(await ask(), []);
});

test('the names of the proxy’s own paths are no names of connections', async () => {
  for (const name of ['_discover', '_agent', '_reference', 'llms.txt']) {
    const got = await broker.cli(['conn', 'add', name, '--base-url', 'https://api.example.com', '--secret-file', '-'], REAL_KEY);
    assert.equal(got.status, 1, name);
  }
});

test('the largest key that there can be is answered, and says what was left out', async () => {
  const paths = Array.from({ length: 30 }, (_, i) => ['--path', `/v1/${'x'.repeat(200)}/${i}/*`]).flat();
  const grants = Array.from({ length: 4 }, () => ['--conn', 'mock', '--method', 'GET', ...paths]).flat();
  const key = await broker.json(['key', 'issue', ...grants, '--holder', 'app:large']);
  const got = await request(broker, 'GET', '/_discover', { key: key.key });
  assert.equal(got.status, 200);
  assert.equal(got.json().connections.length + got.json().connections_left_out, 4);
  assert.equal(Number(got.headers['content-length']), Buffer.byteLength(got.text));
});

// ---- import

// made up here; they open nothing
const A20 = 'aB3dE6gH9jK2mN5pQ8sT';
const OPENAI = `sk-proj-${A20}T3BlbkFJ${A20}`;
const TWILIO = '0123456789abcdef0123456789abcdef';
const RELAY = /rk_app_[0-9A-Za-z]{46}/g;
let project, openai, twilio;

before(() => {
  project = join(dir, 'shop front');
  mkdirSync(project);
});

/** A project's .env, with mocks where the providers are. */
async function envFile(name = '.env') {
  openai ??= await startUpstream({ dir, key: OPENAI });
  twilio ??= await startUpstream({ dir, key: TWILIO });
  const text = `\ufeff# settings\r\nPORT=3000\r\nOPENAI_BASE_URL='${openai.baseUrl}/v1' # ours\r\nexport OPENAI_API_KEY="${OPENAI}"  # production\r\n`
    + `AGAIN=${OPENAI}\r\nDATABASE_URL=postgres://app:hunter2@db/app\r\nSESSION_SECRET='s3cret # not a comment'\r\n`
    + `MULTI="-----BEGIN X-----\nabc\n-----END X-----"\n\nbroken line\nTWILIO_ACCOUNT_SID=AC0123456789abcdef0123456789abcdef\nTWILIO_AUTH_TOKEN = ${TWILIO}`;
  const file = join(project, name);
  writeFileSync(file, text, { mode: 0o640 });
  return { file, text };
}

const importArgs = (file, more = []) => ['import', file, '--ca', openai.caFile, '--allow-private', '--base-url', `twilio=${twilio.baseUrl}`, ...more];
const conns = async () => (await broker.lines(['conn', 'list'])).map((c) => c.name).sort();
const liveKeys = async () => (await broker.lines(['key', 'list', '--live'])).map((k) => k.id).sort();
const noSecrets = (got) => {
  for (const secret of [OPENAI, TWILIO, 'hunter2', 's3cret']) assert.ok(!`${got.stdout}${got.stderr}`.includes(secret), `${secret} is shown`);
};

after(() => Promise.all([openai?.stop(), twilio?.stop()]));

test('a dry run says what would be made, makes nothing and shows no secret', async () => {
  const { file, text } = await envFile();
  const before = [await conns(), await liveKeys(), await count()];
  const got = await broker.cli(importArgs(file, ['--dry-run']));
  assert.equal(got.status, 0, got.stderr);
  assert.match(got.stderr, /OPENAI_API_KEY: OpenAI sk-••••Q8sT/);
  assert.match(got.stderr, /relay key rk_\.\.\. for app:shop-front/);
  assert.match(got.stderr, /AGAIN: OpenAI .*\n  the same key as in OPENAI_API_KEY/);
  assert.match(got.stderr, /perhaps secret: DATABASE_URL, SESSION_SECRET\n/);
  noSecrets(got);
  assert.equal(got.stdout, '');
  const { keys, ...doc } = await broker.json(importArgs(file, ['--dry-run']));
  assert.deepEqual(doc, { dry_run: true, proxy: broker.url, looks_secret: ['DATABASE_URL', 'SESSION_SECRET'], relay_keys: 0, written: null });
  assert.deepEqual(keys.map((k) => [k.variable, k.provider, k.connection, k.base_url_variable]),
    [['OPENAI_API_KEY', 'openai', 'openai', 'OPENAI_BASE_URL'], ['AGAIN', 'openai', 'openai', 'OPENAI_BASE_URL'], ['TWILIO_AUTH_TOKEN', 'twilio', 'twilio', 'TWILIO_BASE_URL']]);
  assert.deepEqual([await conns(), await liveKeys(), await count()], before);
  assert.equal(readFileSync(file, 'utf8'), text);
});

test('an import makes connections and relay keys, and the new file works where the old one did', async () => {
  const { file, text } = await envFile();
  const target = join(project, '.env.relay');
  const got = await broker.cli(importArgs(file, ['--write', target, '--env', 'staging', '--ttl', '1d']));
  assert.equal(got.status, 0, got.stderr);
  noSecrets(got);
  assert.equal(readFileSync(file, 'utf8'), text, 'the original is untouched');
  assert.equal(statSync(target).mode & 0o777, 0o600);
  const made = readFileSync(target, 'utf8');
  const keys = made.match(RELAY);
  assert.equal(keys.length, 3);
  assert.equal(keys[0], keys[1], 'one key for the same secret');
  // every other byte is what it was
  const want = text.replace(`${openai.baseUrl}/v1`, `${broker.url}/openai`).replaceAll(OPENAI, keys[0]).replace(`TOKEN = ${TWILIO}`, `TOKEN = ${keys[2]}`);
  assert.equal(made, `${want}\nTWILIO_BASE_URL=${broker.url}/twilio\n`);
  // as an application would use it
  const env = Object.fromEntries([...made.matchAll(/^(?:export )?([A-Z_]+) ?= ?["']?([^"'\s]+)/gm)].map((m) => [m[1], m[2]]));
  const path = (base, rest) => `${env[base].slice(broker.url.length)}${rest}`;
  const list = await request(broker, 'GET', path('OPENAI_BASE_URL', '/files/a'), { key: env.OPENAI_API_KEY });
  assert.notEqual(list.status, 401);
  assert.deepEqual([openai.seen.at(-1).path, openai.seen.at(-1).authorized], ['/v1/files/a', true]);
  const basic = Buffer.from(`${env.TWILIO_ACCOUNT_SID}:${env.TWILIO_AUTH_TOKEN}`).toString('base64');
  await request(broker, 'GET', path('TWILIO_BASE_URL', '/2010-04-01/Accounts.json'), { headers: { authorization: `Basic ${basic}` } });
  assert.equal(twilio.seen.at(-1).authorized, true);
  assert.equal(Buffer.from(twilio.last.headers.authorization.slice(6), 'base64').toString(), `AC0123456789abcdef0123456789abcdef:${TWILIO}`);
  // the twin: what an application does not need is refused
  const admin = await request(broker, 'GET', path('OPENAI_BASE_URL', '/organization/users'), { key: env.OPENAI_API_KEY });
  assert.deepEqual([admin.status, admin.headers['x-relaykey-block-reason']], [403, 'path_not_allowed']);
  const shown = (await broker.lines(['key', 'list', '--holder', 'app:shop-front', '--live']));
  assert.deepEqual(shown.map((k) => [k.name, k.environment]).sort(), [['OPENAI_API_KEY', 'staging'], ['TWILIO_AUTH_TOKEN', 'staging']]);
  assert.deepEqual([...openai.complaints, ...twilio.complaints], []);
  assert.ok(!broker.log.includes(OPENAI) && !broker.log.includes(TWILIO));
});

test('a second import uses the connections again, makes new relay keys and names the earlier ones', async () => {
  const { file } = await envFile();
  const before = { conns: await conns(), keys: await liveKeys() };
  const got = await broker.cli(importArgs(file));
  assert.equal(got.status, 0, got.stderr);
  assert.deepEqual(await conns(), before.conns);
  assert.equal((await liveKeys()).length, before.keys.length + 2);
  for (const [, id] of got.stderr.matchAll(/(key_\w+) of an earlier import/g)) assert.ok(before.keys.includes(id));
  assert.equal([...got.stderr.matchAll(/of an earlier import/g)].length, 2);
  assert.match(got.stderr, /connection openai, which was there, at/);
  assert.equal(got.stdout.match(RELAY).length, 3, 'without --write the new file is standard output');
  // the new file has no key of a provider any more
  const again = await broker.cli(['import', '-', '--dry-run'], got.stdout);
  assert.match(again.stderr, /no key of a known provider was found/);
  assert.match(again.stderr, /3 relay keys left as they are/);
});

test('another secret of the same provider gets a connection of its own', async () => {
  const other = `sk-proj-${A20}T3BlbkFJxxxxxxxxxxxxxxxxxxxx`;
  const got = await broker.cli(['import', '-', '--ca', openai.caFile, '--allow-private', '--base-url', `openai=${openai.baseUrl}/v1`],
    `A_OPENAI_KEY=${OPENAI}\nB_OPENAI_KEY=${other}\n`);
  assert.equal(got.status, 0, got.stderr);
  assert.match(got.stdout, new RegExp(`^A_OPENAI_KEY=rk_app_\\w+\nOPENAI_BASE_URL=${broker.url}/openai\nB_OPENAI_KEY=rk_app_\\w+\nB_OPENAI_BASE_URL=${broker.url}/openai-2\n$`));
});

test('in place: the file keeps its mode, and the warning says where the old secret still is', async () => {
  const { file } = await envFile('.env.place');
  if (process.getuid() === 0) chownSync(file, 65534, 65534);
  const link = join(dir, '.env.link');
  symlinkSync(file, link);
  const got = await broker.cli(importArgs(link, ['--in-place']));
  assert.equal(got.status, 0, got.stderr);
  assert.match(got.stderr, /earlier contents may be in version control/);
  assert.equal(statSync(file).mode & 0o777, 0o640);
  if (process.getuid() === 0) assert.deepEqual([statSync(file).uid, statSync(file).gid], [65534, 65534], 'it stays its owner’s, also when root imports');
  assert.ok(!readFileSync(file, 'utf8').includes(OPENAI));
  assert.ok(lstatSync(link).isSymbolicLink(), 'a link stays a link');
  assert.equal(got.stdout, '');
});

test('an import that fails in the middle takes back what it made and writes nothing', async () => {
  const { file } = await envFile();
  const before = [await conns(), await liveKeys()];
  const target = join(project, '.env.never');
  // the first key is imported, the second one's upstream is on a private network
  const text = `TAVILY_API_KEY=tvly-${A20}${A20}\nXAI_API_KEY=xai-${A20}${A20}${A20}${A20}\n`;
  const got = await broker.cli(['import', '-', '--base-url', 'xai=https://127.0.0.1:1/v1', '--write', target], text);
  assert.equal(got.status, 1, got.stderr);
  assert.match(got.stderr, /--allow-private/);
  assert.deepEqual([await conns(), await liveKeys()], before);
  assert.ok(!existsSync(target));
  // a file that cannot be written
  const nowhere = await broker.cli(importArgs(file, ['--write', join(dir, 'no', 'such', 'place')]));
  assert.equal(nowhere.status, 1);
  assert.deepEqual([await conns(), await liveKeys()], before);
  // the twin
  const good = await broker.cli(['import', '-', '--base-url', 'xai=https://127.0.0.1:1/v1', '--allow-private', '--write', target], text);
  assert.equal(good.status, 0, good.stderr);
});

test('what cannot be imported stays as it is, with the reason', async () => {
  const text = `GRAFANA_TOKEN=glsa_${A20}aB3dE6gH9jK2_01234567\nGROQ_API_KEY=gsk_${A20}${A20}aB3dE6gH9jK2\nGROQ_BASE_URL=http://localhost:9\nTWILIO_AUTH_TOKEN=${TWILIO}\n`;
  const got = await broker.cli(['import', '-'], text);
  assert.equal(got.status, 0, got.stderr);
  assert.equal(got.stdout, text);
  assert.match(got.stderr, /GRAFANA_TOKEN[^\n]*\n  stays as it is: its base URL is not known/);
  assert.match(got.stderr, /GROQ_API_KEY[^\n]*\n  stays as it is: GROQ_BASE_URL is no https URL/);
  assert.match(got.stderr, /TWILIO_AUTH_TOKEN[^\n]*\n  stays as it is: the user that belongs to it is missing/);
});

test('wrong usage of import changes nothing', async () => {
  const { file } = await envFile();
  const existing = join(project, '.env.kept');
  writeFileSync(existing, 'kept');
  for (const more of [['--json'], ['--dry-run', '--in-place'], ['--holder', 'robot:x'], ['--ttl', 'soon'], ['--proxy-url', 'http://x']]) {
    assert.equal((await broker.cli(importArgs(file, more))).status, 2, more.join(' '));
  }
  assert.equal((await broker.cli(['import'])).status, 2);
  assert.equal((await broker.cli(['import', '-', '--in-place'])).status, 2);
  for (const args of [importArgs(file, ['--write', existing]), ['import', join(project, 'missing')], ['import', project]]) {
    assert.equal((await broker.cli(args)).status, 1, args.join(' '));
  }
  assert.equal(readFileSync(existing, 'utf8'), 'kept');
  assert.equal((await broker.cli(['import', '-'], 'x'.repeat(40000))).status, 1);
});

// ---- help, completion, manual pages

/** [{name, usages: [{words, usage}]}] of everything behind "relaykey", from --help. */
async function commands() {
  const top = (await run(relaykey, ['--help'])).stdout;
  const entries = [...top.matchAll(/^ {2}([a-z][a-z-]*) +\S/gm)].map((m) => m[1]);
  assert.ok(entries.length >= 8 && entries.includes('import'));
  return Promise.all(entries.map(async (name) => {
    const { stdout } = await run(relaykey, [name, '--help']);
    const usages = stdout.split(/^(?=usage: )/m).map((usage) => {
      const [, , second, third] = usage.split(/\s+/);
      return { words: /^[a-z][a-z-]*$/.test(third ?? '') ? [second, third] : [second], usage };
    });
    return { name, usages };
  }));
}

const complete = async (words, env = {}) => (await run(relaykey, ['completion', 'words', '--', ...words], { env })).stdout.split('\n').filter(Boolean);

test('each command is completed, with each of its options, from its own usage', async () => {
  const all = await commands();
  assert.deepEqual((await complete([''])).sort(), all.map((c) => c.name).sort());
  for (const { name, usages } of all) {
    if (usages[0].words.length === 2) assert.deepEqual(await complete([name, '']), usages.map((u) => u.words[1]));
    for (const { words, usage } of usages) {
      const options = [...new Set(usage.match(/--[a-z][a-z-]*/g) ?? [])];
      const offered = await complete([...words, '--']);
      for (const option of options) assert.ok(offered.includes(option), `${words.join(' ')} ${option}`);
    }
  }
});

test('each command has help with an example, and a section of a manual page that mandoc finds no fault with', async (t) => {
  const out = join(dir, 'man');
  execFileSync(join(ROOT, 'provisioning/man/build'), [relaykey, out]);
  for (const { name, usages } of await commands()) {
    assert.ok(existsSync(join(ROOT, `provisioning/man/relaykey-${name}.in`)), `prose for relaykey-${name}(1)`);
    const page = readFileSync(join(out, `relaykey-${name}.1`), 'utf8');
    for (const { words, usage } of usages) {
      assert.ok(page.includes(`\n.Ss relaykey ${words.join(' ')}\n`), `${words.join(' ')} in relaykey-${name}(1)`);
      assert.match(usage, /^example: .*relaykey /m, words.join(' '));
    }
  }
  const config = readFileSync(join(ROOT, 'broker/base/config.c'), 'utf8');
  const manual = readFileSync(join(out, 'relaykeyd.conf.5'), 'utf8');
  for (const [, key] of config.matchAll(/\{\.name = "([a-z-]+)"/g)) assert.ok(manual.includes(`.It Ic ${key} `), `${key} in relaykeyd.conf(5)`);
  if (spawnSync('mandoc', ['-V']).error) return t.skip('mandoc is not installed');
  for (const file of readdirSync(out)) {
    // the pages refer to each other, and are not installed here
    const lint = spawnSync('mandoc', ['-Tlint', '-Wall', join(out, file)], { encoding: 'utf8' }).stdout.split('\n').filter((l) => l && !l.includes('referenced manual not found'));
    assert.deepEqual(lint, [], file);
  }
});

test('each example is a command that the program takes, with options that its usage tells of', async () => {
  const cwd = mkdtempSync(join(dir, 'examples-'));
  for (const { name, usages } of await commands()) {
    for (const { words, usage } of usages) {
      const text = usage.split(/^example: /m)[1].replaceAll(/\\\n {9} */g, '');
      const lines = text.trim().split(/\n {9}/);
      for (const line of lines) {
        // without what stands before and behind it in a pipeline
        const command = line.slice(line.indexOf('relaykey ')).split(/ [|<>]/)[0];
        const said = command.split(' ');
        assert.equal(said[1], name, line);
        if (name !== 'panic') assert.deepEqual(said.slice(1, 1 + words.length), words, line);
        for (const option of command.match(/ --[a-z-]+/g) ?? []) assert.ok(usage.split('example: ')[0].includes(option.trim()), `${line}: ${option}`);
        if (name === 'setup') continue; // would make one
        // 2 is wrong usage; without a broker each one fails some other way. A prompt wants a terminal.
        const got = spawnSync('sh', ['-c', command.replace('relaykey', '"$RELAYKEY"')], { cwd, input: 'secret', encoding: 'utf8', env: { ...process.env, RELAYKEY: relaykey, RELAYKEY_CONFIG: join(cwd, 'none.conf') } });
        if (!got.stderr.startsWith('relaykey: no secret: ')) assert.notEqual(got.status, 2, `${line}: ${got.stderr}`);
      }
    }
  }
});

test('values are completed: choices, files, and names that the broker knows', async () => {
  const env = { RELAYKEY_CONFIG: broker.config };
  assert.deepEqual(await complete(['audit', 'export', '--format', '']), ['jsonl', 'csv']);
  assert.deepEqual(await complete(['key', 'issue', '--holder', 'a']), ['app:', 'agent:']);
  assert.deepEqual(await complete(['conn', 'add', 'x', '--ca', '']), [':files']);
  assert.deepEqual(await complete(['conn', 'show', 'mo'], env), ['mock']);
  assert.deepEqual(await complete(['key', 'issue', '--conn', 'mo'], env), ['mock']);
  assert.deepEqual(await complete(['--config', broker.config, 'conn', 'show', 'mo']), ['mock']);
  assert.deepEqual(await complete(['conn', 'add', 'mo'], env), [], 'a new one has no name yet');
  const { id } = await broker.issueKey('mock');
  assert.ok((await complete(['revoke', ''], env)).includes(id));
  assert.deepEqual(await complete(['revoke', id.slice(0, 12)], env), [id]);
  for (const unreachable of [{ RELAYKEY_CONFIG: '/nonexistent' }, { RELAYKEY_CONFIG: undefined }]) {
    const got = await run(relaykey, ['completion', 'words', '--', 'conn', 'show', ''], { env: unreachable });
    assert.deepEqual([got.status, got.stdout], [0, '']);
  }
});

test('bash completes with the script, as a person would type', () => {
  const script = `eval "$(relaykey completion bash)"
    try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { echo "compopt $*"; }; _relaykey; printf '%s,' "\${COMPREPLY[@]}"; echo; }
    try relaykey co; try relaykey conn sh; try relaykey conn show ba; try relaykey audit export --format c; try relaykey import ./x; complete -p relaykey`;
  const got = spawnSync('bash', ['--norc', '-c', script], { encoding: 'utf8', env: { ...process.env, PATH: `${join(relaykey, '..')}:${process.env.PATH}`, RELAYKEY_CONFIG: broker.config } });
  assert.equal(got.stderr, '');
  assert.deepEqual(got.stdout.trimEnd().split('\n'), ['conn,completion,', 'show,', 'bare,', 'csv,', 'compopt -o default', ',', 'complete -F _relaykey relaykey']);
});

test('the scripts for zsh and fish are read by those without complaint', (t) => {
  let tried = 0;
  for (const shell of ['zsh', 'fish']) {
    if (spawnSync(shell, ['--version']).error) continue;
    tried++;
    const script = join(dir, `completion.${shell}`);
    writeFileSync(script, execFileSync(relaykey, ['completion', shell]));
    const got = spawnSync(shell, ['-n', script], { encoding: 'utf8' });
    assert.deepEqual([got.status, got.stderr], [0, ''], shell);
    if (shell !== 'fish') continue;
    const env = { ...process.env, PATH: `${join(relaykey, '..')}:${process.env.PATH}`, RELAYKEY_CONFIG: broker.config, HOME: dir };
    const asked = spawnSync('fish', ['-c', `source ${script}; complete -C 'relaykey conn sh'; complete -C 'relaykey '; complete -C 'relaykey conn show ba'`], { encoding: 'utf8', env });
    const offered = asked.stdout.trim().split('\n');
    assert.deepEqual([offered[0], offered.at(-1)], ['show', 'bare'], asked.stderr);
    assert.ok(offered.includes('import'));
  }
  if (!tried) t.skip('neither is installed');
});

test('nothing of progress is printed where nobody looks', async () => {
  for (const args of [['audit', 'export'], ['audit', 'verify']]) assert.equal((await broker.cli(args)).stderr, '');
});
