// The command line that scripts rely on: commands, exit statuses, JSON, and what never happens to a secret.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker, freePort, relaykey, run, sleep, until } from '../lib/broker.mjs';
import { request } from '../lib/client.mjs';
import { startUpstream } from '../mock/upstream.mjs';

const REAL_KEY = 'sk-real-5d20f7be91c3a846-upstream-only';
const KEY = /^rk_(app|agent|person|vendor)_[0-9A-Za-z]{46}$/;
const ALL = ['--method', '*', '--path', '/**'];
let dir, upstream, broker;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'relaykey-cli-'));
  upstream = await startUpstream({ dir, key: REAL_KEY });
  broker = await Broker.start({ relays: 1 });
  await broker.addConnection('mock', upstream);
});

after(async () => {
  await broker?.end();
  await upstream?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** Runs it and checks the exit status; gives {stdout, stderr}. */
async function cli(args, status = 0, input = '') {
  const got = await broker.cli(args, input);
  assert.equal(got.status, status, `relaykey ${args.join(' ')}: ${got.stderr}${got.stdout}`);
  if (status !== 0) assert.match(got.stderr, /^relaykey: .+/, 'a refusal has a reason');
  return got;
}

const connArgs = (name, more = []) => ['conn', 'add', name, '--base-url', `${upstream.baseUrl}/v1`, '--ca', upstream.caFile, '--allow-private', ...more];
const issue = (args = [], conn = 'mock') => broker.json(['key', 'issue', '--conn', conn, '--holder', 'app:cli', ...ALL, ...args]);
const statusWith = async (key) => (await request(broker, 'GET', '/mock/things', { key })).status;

/** What there is, so that a test can see that nothing changed. */
async function everything() {
  const parts = await Promise.all([broker.lines(['conn', 'list']), broker.lines(['key', 'list'])]);
  return parts.map((list) => list.map(({ last_used_at: _used, in_flight: _now, ...rest }) => rest));
}

// ---- set-up

test('set-up makes what it says, refuses a second time and changes nothing then', async () => {
  const at = join(dir, 'twice');
  const ports = [await freePort(), await freePort()].map((p) => `127.0.0.1:${p}`);
  const args = ['setup', '--dir', at, '--proxy', ports[0], '--console', ports[1], '--token-label', 'cli test', '--json'];
  const first = await run(relaykey, args);
  assert.equal(first.status, 0, first.stderr);
  const doc = JSON.parse(first.stdout);
  assert.deepEqual([doc.config, doc.ca, doc.proxy, doc.console, doc.token], [join(at, 'relaykeyd.conf'), join(at, 'ca.pem'), ports[0], ports[1], 'cli test']);
  for (const name of ['relaykeyd.conf', 'ca.pem', 'policy.db', 'journal.db']) assert.ok(existsSync(join(at, name)), name);
  const before = readdirSync(at).map((name) => [name, name.includes('.') && readFileSync(join(at, name), 'latin1')]);
  const again = await run(relaykey, args);
  assert.equal(again.status, 1);
  assert.match(again.stderr, /exists already.*nothing was changed/);
  assert.equal(again.stdout, '');
  assert.deepEqual(readdirSync(at).map((name) => [name, name.includes('.') && readFileSync(join(at, name), 'latin1')]), before);
});

test('a set-up that fails leaves nothing behind and says what was wrong', async () => {
  const at = join(dir, 'failed');
  const missing = await run(relaykey, ['setup', '--dir', at, '--module', '/nonexistent.so']);
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /\/nonexistent\.so/);
  assert.ok(!existsSync(at));
  mkdirSync(at);
  writeFileSync(join(at, 'mine.txt'), 'kept');
  const again = await run(relaykey, ['setup', '--dir', at, '--module', '/nonexistent.so']);
  assert.equal(again.status, 1);
  assert.deepEqual(readdirSync(at), ['mine.txt']);
  const good = await run(relaykey, ['setup', '--dir', at, '--proxy', `127.0.0.1:${await freePort()}`, '--console', `127.0.0.1:${await freePort()}`]);
  assert.equal(good.status, 0, good.stderr);
});

test('set-up with arguments that make no sense is wrong usage', async () => {
  const at = join(dir, 'never');
  for (const more of [['--proxy', 'nowhere'], ['--console', '127.0.0.1'], ['--proxy', '127.0.0.1:70000'], ['--token-label', ''], ['--token-label', 'x'.repeat(33)], ['--pin-file', 'x'], ['--colour'], ['more']]) {
    const got = await run(relaykey, ['setup', '--dir', at, ...more]);
    assert.equal(got.status, 2, more.join(' '));
    assert.match(got.stderr, /relaykey:|setup:/);
    assert.ok(!existsSync(at));
  }
  assert.equal((await run(relaykey, ['setup'])).status, 2);
});

// ---- usage and reaching the broker

test('wrong usage is 2, with the usage on standard error and nothing on standard output', async () => {
  const wrong = [[], ['frobnicate'], ['conn'], ['conn', 'frobnicate'], ['key'], ['audit', 'frobnicate'], ['conn', 'add'], ['conn', 'add', 'x'],
    ['conn', 'show'], ['conn', 'show', 'a', 'b'], ['conn', 'list', 'more'], ['conn', 'show', 'mock', '--colour'], ['key', 'issue', '--conn', 'mock'],
    ['key', 'issue', '--holder', 'app:x'], ['key', 'issue', '--method', 'GET', '--conn', 'mock', '--holder', 'app:x'], ['key', 'show'], ['key', 'extend', 'x'],
    ['key', 'extend', 'x', '--ttl', '1d', '--expires', '2099-01-01'], ['revoke'], ['status', 'more'], ['audit', 'list', 'more'], ['audit', 'list', '--limit', '-1'],
    ['audit', 'list', '--status', '1000'], ['audit', 'export', '--format', 'xml'], ['audit', 'list', '--since', 'yesterday'],
    ['key', 'issue', '--conn', 'mock', '--holder', 'app:x', '--ttl', '7y'], ['key', 'issue', '--conn', 'mock', '--holder', 'robot:x'], ['key', 'issue', '--conn', 'mock', '--holder', 'app'],
    ...[['--rate', '60'], ['--rate', '0/min'], ['--rate', '-1/min'], ['--rate', '60/hour'], ['--rate', '/day'], ['--rate', '1.5/min'], ['--rate', '1000000001/day'], ['--rate', '1/min', '--rate', '2/min'],
      ['--concurrent', '0'], ['--concurrent', 'four'], ['--concurrent']].map((more) => ['key', 'issue', '--conn', 'mock', '--holder', 'app:x', ...more])];
  for (const args of wrong) {
    const got = await broker.cli(args);
    assert.equal(got.status, 2, `${args.join(' ')}: ${got.stderr}`);
    assert.match(got.stderr, /usage: relaykey/, args.join(' '));
    assert.equal(got.stdout, '', args.join(' '));
  }
});

test('--help is on standard output with status 0, everywhere', async () => {
  for (const args of [['--help'], ['setup', '--help'], ['status', '--help'], ['conn', '--help'], ['conn', 'add', '--help'], ['key', 'issue', '--help'], ['revoke', '--help'], ['audit', 'tail', '--help']]) {
    const got = await run(relaykey, args, { env: { RELAYKEY_CONFIG: '/nonexistent' } });
    assert.equal(got.status, 0, args.join(' '));
    assert.match(got.stdout, /usage: relaykey/);
    assert.equal(got.stderr, '');
  }
  assert.match((await run(relaykey, ['--version'])).stdout, /^relaykey \d+\.\d+/);
});

test('options are taken by their whole name only', async () => {
  assert.match((await cli(['conn', 'add', 'short', '--base', 'https://api.example.com', '--secret-file', '-'], 2, REAL_KEY)).stderr, /--base/);
  await cli(['conn', 'remove', 'mock', '--fo'], 2);
  await cli(['key', 'list', '--li=1'], 2);
});

test('RELAYKEY_CONFIG names the configuration, --config goes before it, neither is 2', async () => {
  const named = await run(relaykey, ['conn', 'show', 'mock', '--json'], { env: { RELAYKEY_CONFIG: broker.config } });
  assert.equal(named.status, 0, named.stderr);
  assert.equal(JSON.parse(named.stdout).name, 'mock');
  const both = await run(relaykey, ['--config', broker.config, 'status', '--json'], { env: { RELAYKEY_CONFIG: '/nonexistent' } });
  assert.equal(both.status, 0, both.stderr);
  const none = await run(relaykey, ['status'], { env: { RELAYKEY_CONFIG: undefined } });
  assert.equal(none.status, 2);
  assert.match(none.stderr, /RELAYKEY_CONFIG/);
});

test('a configuration that is missing or wrong is 1 and named', async () => {
  const missing = await run(relaykey, ['--config', join(dir, 'missing.conf'), 'status']);
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /missing\.conf/);
  writeFileSync(join(dir, 'wrong.conf'), 'proxy 127.0.0.1:1\ncolour blue\n');
  const wrong = await run(relaykey, ['--config', join(dir, 'wrong.conf'), 'status']);
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /wrong\.conf:\d+.*colour/);
});

test('status tells the state of token, audit and keys', async () => {
  const s = await broker.json(['status']);
  assert.equal(s.sealed, false);
  assert.equal(s.token.label, 'relaykey');
  assert.equal(s.audit.ok, true);
  assert.ok(s.audit.rows > 0 && s.connections >= 1 && s.relays === 1);
  assert.equal(typeof s.token.unwraps, 'number');
  assert.equal(s.proxy, `127.0.0.1:${broker.proxy}`);
  assert.match((await cli(['status'])).stdout, /state +unsealed/);
});

// ---- JSON

test('--json prints one document or JSON Lines, and nothing else', async () => {
  const key = await issue();
  const one = [['status'], ['conn', 'show', 'mock'], ['conn', 'disable', 'mock'], ['conn', 'enable', 'mock'], ['key', 'show', key.id], ['key', 'extend', key.id, '--ttl', '1d'],
    ['key', 'revoke', key.id], ['audit', 'verify']];
  for (const args of one) {
    for (const place of [[...args, '--json'], ['--json', ...args]]) {
      const got = await cli(place);
      assert.equal(got.stdout.trimEnd().split('\n').length, 1, place.join(' '));
      assert.equal(typeof JSON.parse(got.stdout), 'object');
      assert.equal(got.stderr, '', place.join(' '));
    }
  }
  for (const args of [['conn', 'list'], ['key', 'list'], ['audit', 'list'], ['audit', 'export']]) {
    const got = await cli([...args, '--json']);
    const docs = got.stdout.trimEnd().split('\n').map((l) => JSON.parse(l));
    assert.ok(docs.length >= 1 && docs.every((d) => typeof d === 'object'), args.join(' '));
    assert.equal(got.stderr, '');
  }
  const refused = await cli(['conn', 'show', 'nothing', '--json'], 1);
  assert.equal(refused.stdout, '');
});

test('without --json a key that was issued is shown once, the masked form elsewhere', async () => {
  const got = await cli(['key', 'issue', '--conn', 'mock', '--holder', 'vendor:acme', ...ALL]);
  const key = /rk_vendor_\w+/.exec(got.stdout)[0];
  assert.match(key, KEY);
  assert.match(got.stdout, /once only/);
  const list = await cli(['key', 'list']);
  assert.ok(!list.stdout.includes(key) && list.stdout.includes(`rk_vendor...${key.slice(-3)}`));
});

// ---- connections

test('a connection is added with a secret from a file and from standard input', async () => {
  const file = join(dir, 'secret');
  writeFileSync(file, `${REAL_KEY}\n`, { mode: 0o600 });
  const made = await broker.json(connArgs('fromfile', ['--provider', 'openai', '--secret-file', file]));
  assert.match(made.id, /^conn_[0-9A-Za-z]+$/);
  assert.deepEqual([made.name, made.provider, made.base_url, made.auth, made.enabled, made.allow_private, made.private_ca, made.credential_version, made.live_keys],
    ['fromfile', 'openai', `${upstream.baseUrl}/v1`, ['bearer'], true, true, true, 1, 0]);
  assert.ok(made.secret_hint.endsWith(REAL_KEY.slice(-4)) && !made.secret_hint.includes(REAL_KEY.slice(4, 20)));
  await broker.json(connArgs('frominput', ['--secret-file', '-']), REAL_KEY);
  for (const name of ['fromfile', 'frominput']) {
    const { key } = await issue([], name);
    assert.equal((await request(broker, 'GET', `/${name}/things`, { key })).status, 200, name);
  }
});

test('a secret is never taken from the command line or the environment, and never printed', async () => {
  for (const option of ['--secret', '--password', '--key', '--token']) {
    const got = await cli(connArgs('argv', [option, REAL_KEY]), 2);
    assert.ok(!(got.stdout + got.stderr).includes(REAL_KEY), option);
  }
  await cli(connArgs('argv', [REAL_KEY]), 2);
  for (const name of ['RELAYKEY_SECRET', 'SECRET', 'OPENAI_API_KEY']) {
    const got = await run(relaykey, ['--config', broker.config, ...connArgs('env')], { env: { [name]: REAL_KEY } });
    assert.notEqual(got.status, 0);
  }
  assert.ok((await broker.lines(['conn', 'list'])).every((c) => c.name !== 'argv' && c.name !== 'env'));
  for (const args of [['conn', 'show', 'mock'], ['conn', 'list'], ['status'], ['audit', 'export']]) assert.ok(!(await cli([...args, '--json'])).stdout.includes(REAL_KEY));
});

test('a secret that cannot be read or used is 1, with a message that says why, and nothing is made', async () => {
  const empty = join(dir, 'empty');
  writeFileSync(empty, '\n', { mode: 0o600 });
  const before = await everything();
  const cases = [
    [['--secret-file', join(dir, 'missing')], '', /missing.*No such file/],
    [['--secret-file', dir], '', new RegExp(`${dir}.*directory`)],
    [['--secret-file', empty], '', /empty/],
    [['--secret-file', '-'], '', /empty/],
    [['--secret-file', '-'], 'two\nlines', /control character|line/],
    [['--secret-file', '-'], 'with a space', /space/],
    [['--secret-file', '-'], 'nul\0byte', /NUL/],
    [['--secret-file', '-'], 'x'.repeat(20000), /at most/],
    [['--secret-file', '-', '--auth', 'basic'], 'no-colon', /user:password/],
  ];
  for (const [more, input, says] of cases) {
    const got = await cli(connArgs('unusable', more), 1, input);
    assert.match(got.stderr, says);
    if (input) assert.ok(!got.stderr.includes(input));
  }
  assert.deepEqual(await everything(), before);
});

test('a secret file that others may not read is unreadable for others', { skip: process.getuid() === 0 && 'root reads every file' }, async () => {
  const file = join(dir, 'locked');
  writeFileSync(file, REAL_KEY);
  chmodSync(file, 0);
  assert.match((await cli(connArgs('locked', ['--secret-file', file]), 1)).stderr, /locked.*Permission denied/);
});

test('wrong values name the problem and change nothing', async () => {
  const before = await everything();
  const add = (url, more = [], name = 'wrong') => ['conn', 'add', name, '--base-url', url, '--secret-file', '-', ...more];
  const good = 'https://api.example.com/v1';
  const notCa = join(dir, 'no-ca.pem');
  writeFileSync(notCa, 'nothing\n');
  const cases = [
    [add('http://api.example.com/v1'), /https/], [add('ftp://api.example.com'), /https/], [add('https://user:pw@api.example.com'), /user|password/],
    [add('https://api.example.com/v1?x=1'), /query/], [add('https://api.example.com/a/../b'), /two ways/], [add('https://api.example.com:99999'), /port/],
    [add('https://exa mple.com'), /space|DNS/], [add('https://127.0.0.1/v1'), /loopback.*allow-private/], [add('https://10.0.0.1/v1'), /private/],
    [add('https://169.254.169.254/latest', ['--allow-private']), /never/],
    [add(good, ['--auth', 'magic']), /bearer, basic/], [add(good, ['--auth', 'header:']), /header:NAME/], [add(good, ['--auth', 'header:Host']), /belongs to the proxy/],
    [add(good, ['--auth', 'header:Transfer-Encoding']), /belongs to the proxy/], [add(good, ['--auth', 'bearer', '--auth', 'query:k']), /only header styles/],
    [add(good, ['--auth', 'query:a b']), /query:NAME/], [add(good, ['--ca', notCa]), /certificate/], [add(good, ['--ca', join(dir, 'absent')]), /absent/],
    [add(good, [], 'mock'), /"mock" exists already/], [add(good, [], 'conn_mine'), /conn_/], [add(good, [], 'a/b'), /letters, digits/], [add(good, [], ''), /letters|NAME/],
    [add(good, [], 'healthz'), /proxy itself/], [add(good, [], 'x'.repeat(65)), /1 to|longer/],
  ];
  const issueArgs = (...more) => ['key', 'issue', '--conn', 'mock', '--holder', 'app:x', ...more];
  cases.push(
    [issueArgs(...ALL, '--ip', '10.0.0.1/8'), /prefix/], [issueArgs(...ALL, '--ip', '300.0.0.0/8'), /prefix/], [issueArgs(...ALL, '--ip', 'localhost'), /prefix/],
    [issueArgs('--method', '*', '--path', 'v1/x'), /starts with/], [issueArgs('--method', '*', '--path', '/a//b'), /glob/], [issueArgs('--method', '*', '--path', '/a/../b'), /glob/],
    [issueArgs('--method', 'get', '--path', '/**'), /capitals/], [issueArgs('--method', 'G T', '--path', '/**'), /method/],
    [issueArgs(...ALL, '--expires', '2001-01-01'), /future/], [['key', 'issue', '--conn', 'nothing', '--holder', 'app:x', ...ALL], /no such connection/],
    [['key', 'issue', '--conn', 'mock', '--holder', 'app:a b', ...ALL], /holder/], [issueArgs(...ALL, '--env', 'a b'), /environment/],
    [['conn', 'show', 'nothing'], /no such connection/], [['conn', 'disable', 'nothing'], /no such connection/], [['conn', 'remove', 'nothing'], /no such connection/],
    [['conn', 'rotate', 'nothing', '--secret-file', '-'], /no such connection/], [['key', 'show', 'key_nothing'], /no such key/], [['revoke', 'nothing'], /no such key/],
    [['revoke', 'rk_person...zzz'], /looks like/], [['key', 'list', '--conn', 'nothing'], /no such connection/], [['key', 'list', '--holder', 'robot:x'], /KIND/],
    [['audit', 'list', '--decision', 'maybe'], /maybe/], [['audit', 'list', '--kind', 'robot'], /robot/], [['audit', 'list', '--key', 'key_nothing'], /no such key/],
  );
  for (const [args, says] of cases) {
    const got = await broker.cli(args, REAL_KEY);
    assert.ok(got.status === 1 || got.status === 2, `${args.join(' ')}: status ${got.status}`);
    assert.match(got.stderr, says, args.join(' '));
    assert.equal(got.stdout, '', args.join(' '));
  }
  assert.deepEqual(await everything(), before);
});

test('rotate, disable, enable and remove take the name and the id', async () => {
  const { id } = await broker.json(connArgs('living', ['--secret-file', '-']), 'sk-old-secret-of-the-connection');
  const { key } = await issue([], 'living');
  const ask = async () => (await request(broker, 'GET', '/living/things', { key })).status;
  assert.equal(await ask(), 401);
  const rotated = await broker.json(['conn', 'rotate', id, '--secret-file', '-'], REAL_KEY);
  assert.deepEqual([rotated.id, rotated.credential_version], [id, 2]);
  assert.equal(await ask(), 200);
  assert.equal((await broker.json(['conn', 'disable', id])).enabled, false);
  assert.equal(await ask(), 403);
  assert.equal((await broker.json(['conn', 'disable', 'living'])).enabled, false);
  assert.equal((await broker.json(['conn', 'enable', 'living'])).enabled, true);
  assert.equal(await ask(), 200);
  assert.match((await cli(['conn', 'remove', 'living'], 1)).stderr, /1 live key.*--force/);
  assert.equal(await ask(), 200);
  assert.deepEqual(await broker.json(['conn', 'remove', 'living', '--force']), { connection: 'living', removed: true });
  assert.notEqual(await ask(), 200);
  await cli(['conn', 'show', id], 1);
  await broker.json(connArgs('living', ['--secret-file', '-']), REAL_KEY);
  assert.notEqual(await ask(), 200, 'a new connection of that name is not the one the key was for');
  await broker.json(['conn', 'remove', 'living']);
});

// ---- keys

test('a key is issued with everything that was asked for', async () => {
  const k = await broker.json(['key', 'issue', '--conn', 'mock', '--holder', 'agent:builder', '--method', 'GET', '--method', 'POST', '--path', '/v1/files/*', '--path', '/v1/chat/**',
    '--deny-query', 'purge', '--ttl', '7d', '--ip', '10.0.0.0/8', '--ip', '2001:db8::/32', '--env', 'staging', '--name', 'nightly']);
  assert.deepEqual(Object.keys(k).slice(0, 2), ['id', 'key']);
  assert.match(k.id, /^key_[0-9A-Za-z]{12}$/);
  assert.match(k.key, KEY);
  assert.deepEqual([k.masked, k.state, k.holder, k.name, k.environment, k.allowed_ips], [`rk_agent...${k.key.slice(-3)}`, 'active', { kind: 'agent', name: 'builder' }, 'nightly', 'staging', ['10.0.0.0/8', '2001:db8::/32']]);
  assert.equal(k.grants.length, 1);
  assert.deepEqual({ ...k.grants[0], connection_id: 0 }, { connection_id: 0, connection_name: 'mock', allowed_methods: ['GET', 'POST'], allowed_paths: ['/v1/files/*', '/v1/chat/**'], deny_query_params: ['purge'] });
  assert.ok(Math.abs(Date.parse(k.expires_at) - Date.now() - 7 * 86400_000) < 60_000);
  const { key: shown, ...rest } = k;
  assert.deepEqual(await broker.json(['key', 'show', k.id]), rest);
  assert.ok(!(await cli(['key', 'show', k.id, '--json'])).stdout.includes(shown));
});

test('a key has the limits it was issued with, and shows them', async () => {
  const k = await issue(['--rate', '60/min', '--rate', '10000/day', '--concurrent', '4']);
  assert.deepEqual(k.limits, { per_minute: 60, per_day: 10000, concurrent: 4 });
  assert.deepEqual((await broker.json(['key', 'show', k.id])).limits, k.limits);
  assert.deepEqual((await broker.lines(['key', 'list'])).find((l) => l.id === k.id).limits, k.limits);
  assert.match((await cli(['key', 'show', k.id])).stdout, /^limits +60\/min, 10000\/day, 4 at once$/m);
  const some = await issue(['--rate', '5/day']);
  assert.deepEqual(some.limits, { per_minute: null, per_day: 5, concurrent: null });
  assert.match((await cli(['key', 'show', some.id])).stdout, /^limits +5\/day$/m);
  const none = await issue();
  assert.deepEqual(none.limits, { per_minute: null, per_day: null, concurrent: null });
  assert.ok(!(await cli(['key', 'show', none.id])).stdout.includes('limits'));
  const rows = await broker.lines(['audit', 'list', '--key', k.id]);
  assert.match(rows.find((r) => r.action === 'key.issue').detail, /per_minute=60 per_day=10000 concurrent=4/);
});

test('keys are listed by connection, by holder and by being live', async () => {
  const ids = async (args) => (await broker.lines(['key', 'list', ...args])).map((k) => k.id);
  const k = await broker.json(['key', 'issue', '--conn', 'mock', '--holder', 'person:ada', ...ALL]);
  const { id: connId } = await broker.json(['conn', 'show', 'mock']);
  assert.deepEqual(await ids(['--holder', 'person:ada']), [k.id]);
  assert.ok((await ids(['--holder', 'person:'])).includes(k.id));
  assert.ok((await ids(['--conn', connId])).includes(k.id));
  await broker.json(['key', 'revoke', k.id]);
  assert.deepEqual(await ids(['--holder', 'person:ada', '--live']), []);
  assert.deepEqual(await ids(['--holder', 'person:ada']), [k.id]);
  assert.equal((await ids(['--limit', '1'])).length, 1);
});

test('a key is revoked by id, by itself and by its masked form, and stays revoked', async () => {
  for (const ref of [(k) => k.id, (k) => k.key, (k) => k.masked]) {
    const k = await broker.json(['key', 'issue', '--conn', 'mock', '--holder', 'person:grace', ...ALL]);
    assert.equal(await statusWith(k.key), 200);
    const got = await broker.json(['revoke', ref(k)]);
    assert.deepEqual([got.id, got.state], [k.id, 'revoked']);
    assert.equal(await statusWith(k.key), 401);
    assert.equal((await broker.json(['revoke', ref(k)])).revoked_at, got.revoked_at, 'a second time is no error');
    assert.match((await cli(['key', 'extend', k.id, '--ttl', '1d'], 1)).stderr, /revoked/);
    assert.equal(await statusWith(k.key), 401);
  }
});

test('a masked form that fits two keys revokes neither and names both', async () => {
  const seen = new Map();
  let pair;
  for (let i = 0; i < 400 && !pair; i++) {
    const made = await Promise.all(Array.from({ length: 8 }, () => broker.json(['key', 'issue', '--conn', 'mock', '--holder', 'vendor:many', ...ALL])));
    for (const k of made) {
      if (seen.has(k.masked)) pair = [seen.get(k.masked), k];
      seen.set(k.masked, k);
    }
  }
  assert.ok(pair, 'no two keys looked alike');
  const { stderr } = await cli(['revoke', pair[0].masked], 1);
  assert.ok(stderr.includes(pair[0].id) && stderr.includes(pair[1].id), stderr);
  for (const k of pair) assert.equal(await statusWith(k.key), 200);
  await broker.json(['revoke', pair[0].id]);
  assert.equal((await broker.json(['revoke', pair[1].masked])).id, pair[1].id, 'the one that is left is meant');
});

test('extend moves the end of a key, to either side', async () => {
  const k = await issue(['--ttl', '1h']);
  const later = await broker.json(['key', 'extend', k.id, '--expires', '2099-06-01']);
  assert.equal(Date.parse(later.expires_at), Date.parse('2099-06-01T00:00:00Z'));
  await broker.json(['key', 'extend', k.masked, '--ttl', '1s']);
  await until(async () => await statusWith(k.key) === 401, 'the end of the key', 4000);
  assert.equal((await broker.json(['key', 'show', k.id])).state, 'expired');
  await broker.json(['key', 'extend', k.id, '--ttl', '1h']);
  assert.equal(await statusWith(k.key), 200);
});

test('a key that is on its way to standard output is whole or the command fails', async () => {
  const got = await run('/bin/sh', ['-c', '"$0" --config "$1" key issue --conn mock --holder app:full --method GET --path "/**" --json >/dev/full', relaykey, broker.config]);
  assert.equal(got.status, 1);
  assert.match(got.stderr, /output/);
});

// ---- audit

test('audit list filters by holder, kind, connection, key, environment, decision, status and time', async () => {
  const k = await broker.json(['key', 'issue', '--conn', 'mock', '--holder', 'agent:filter', '--env', 'ci', '--method', 'GET', '--path', '/v1/yes']);
  const start = new Date(Date.now() - 1).toISOString().replace(/\.\d+Z$/, 'Z');
  await request(broker, 'GET', '/mock/yes', { key: k.key });
  await request(broker, 'GET', '/mock/no', { key: k.key });
  const list = async (...args) => (await broker.lines(['audit', 'list', '--limit', '100', ...args])).filter((r) => r.type === 'request' && r.key_id === k.id).map((r) => r.path).sort();
  await until(async () => (await list('--status', '200')).length === 1, 'the response row');
  assert.deepEqual(await list('--holder', 'filter'), ['/v1/no', '/v1/yes']);
  assert.deepEqual(await list('--holder', 'nobody'), []);
  assert.deepEqual(await list('--kind', 'agent'), ['/v1/no', '/v1/yes']);
  assert.deepEqual(await list('--kind', 'person'), []);
  assert.deepEqual(await list('--conn', 'mock'), ['/v1/no', '/v1/yes']);
  assert.deepEqual(await list('--conn', (await broker.json(['conn', 'show', 'mock'])).id), ['/v1/no', '/v1/yes']);
  for (const ref of [k.id, k.key, k.masked]) assert.deepEqual(await list('--key', ref), ['/v1/no', '/v1/yes']);
  assert.deepEqual(await list('--env', 'ci'), ['/v1/no', '/v1/yes']);
  assert.deepEqual(await list('--env', 'prod'), []);
  assert.deepEqual(await list('--decision', 'allowed'), ['/v1/yes']);
  assert.deepEqual(await list('--decision', 'denied'), ['/v1/no']);
  assert.deepEqual(await list('--status', '403'), ['/v1/no']);
  assert.deepEqual(await list('--since', start), ['/v1/no', '/v1/yes']);
  assert.deepEqual(await list('--since', '2099-01-01'), []);
  assert.deepEqual(await list('--until', '2099-01-01'), ['/v1/no', '/v1/yes']);
  assert.equal((await broker.lines(['audit', 'list', '--limit', '1', '--key', k.id])).length, 1);
});

test('every management action is in the audit log, with who did it', async () => {
  const k = await issue();
  await broker.json(['key', 'revoke', k.id]);
  const rows = await broker.lines(['audit', 'list', '--limit', '20']);
  for (const action of ['key.issue', 'key.revoke']) {
    const row = rows.find((r) => r.action === action && r.target === k.id);
    assert.ok(row, action);
    assert.deepEqual([row.type, row.actor], ['management', `uid:${process.getuid()}`]);
  }
});

test('export writes every row, as JSON Lines and as CSV, and the rows are chained', async () => {
  const jsonl = (await cli(['audit', 'export', '--format', 'jsonl'])).stdout.trimEnd().split('\n').map((l) => JSON.parse(l));
  for (let i = 0; i < jsonl.length; i++) {
    assert.equal(jsonl[i].seq, i + 1);
    assert.match(jsonl[i].hash, /^[0-9a-f]{64}$/);
    if (i) assert.equal(jsonl[i].prev_hash, jsonl[i - 1].hash);
  }
  assert.equal((await broker.json(['audit', 'verify'])).rows >= jsonl.length, true);
  const csv = (await cli(['audit', 'export', '--format', 'csv'])).stdout.split('\r\n');
  assert.match(csv[0], /^seq,time,type,request_id,/);
  assert.equal(csv.at(-1), '');
  assert.ok(csv.length - 2 >= jsonl.length);
  const columns = csv[0].split(',').length;
  for (const line of csv.slice(1, -1)) assert.equal(line.match(/("([^"]|"")*"|[^,"]*)(,|$)/g).filter((c, i, all) => c !== '' || i < all.length - 1).length, columns, line);
});

test('verify says that the chain is whole, for people and for programs', async () => {
  const v = await broker.json(['audit', 'verify']);
  assert.deepEqual([v.ok, v.first_seq, v.bad_seq, v.error], [true, 1, null, null]);
  assert.equal(v.rows, v.last_seq);
  assert.match((await cli(['audit', 'verify'])).stdout, /^ok: \d+ rows/);
});

test('tail shows a request as it happens, with its filters, until it is stopped', async () => {
  const k = await issue([]);
  const tail = spawn(relaykey, ['--config', broker.config, 'audit', 'tail', '--json', '--conn', 'mock', '--decision', 'allowed'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  tail.stdout.on('data', (d) => { out += d; });
  const ended = new Promise((done) => tail.once('exit', (code, signal) => done(signal ?? code)));
  await sleep(300);
  assert.equal(out, '', 'nothing of the past');
  await request(broker, 'GET', '/mock/tailed', { key: k.key });
  await request(broker, 'GET', '/mock/tailed', { key: 'rk_app_wrong' });
  await until(() => out.includes('\n'), 'a line of the tail', 3000);
  await sleep(200);
  const rows = out.trimEnd().split('\n').map((l) => JSON.parse(l));
  assert.ok(rows.every((r) => r.decision === 'allowed'));
  assert.ok(rows.some((r) => r.path === '/v1/tailed' && r.key_id === k.id));
  tail.kill('SIGTERM');
  assert.equal(await ended, 'SIGTERM');
});

// ---- without the broker

test('a broker that is not there is 3 for every command, and its state is kept', async () => {
  const k = await issue();
  const tail = spawn(relaykey, ['--config', broker.config, 'audit', 'tail'], { stdio: 'ignore' });
  const ended = new Promise((done) => tail.once('exit', (code) => done(code)));
  await sleep(200);
  await broker.stop();
  assert.equal(await ended, 3, 'a tail notices');
  for (const args of [['status'], ['conn', 'list'], ['key', 'list'], ['key', 'show', k.id], ['revoke', k.id], ['audit', 'list'], ['audit', 'tail'], ['audit', 'export'], ['audit', 'verify'],
    ['conn', 'disable', 'mock'], ['key', 'issue', '--conn', 'mock', '--holder', 'app:x', ...ALL]]) {
    const got = await cli([...args, '--json'], 3);
    assert.match(got.stderr, /control\.sock/, args.join(' '));
    assert.equal(got.stdout, '', args.join(' '));
  }
  await cli(connArgs('late', ['--secret-file', '-']), 3, REAL_KEY);
  await broker.launch();
  assert.equal((await broker.json(['key', 'show', k.id])).state, 'active');
  assert.equal(await statusWith(k.key), 200);
});
