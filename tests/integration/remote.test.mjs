// The command line from elsewhere: over the management interface it does, says and exits as it does over the control socket.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Broker, relaykey, run, sleep, until } from '../lib/broker.mjs';
import { managementKey } from '../lib/api.mjs';
import { request } from '../lib/client.mjs';
import { docs, ENV, Remote } from '../lib/remote.mjs';
import { makeCertificates, misissue } from '../mock/certs.mjs';
import { startUpstream } from '../mock/upstream.mjs';

const REAL_KEY = 'sk-real-b61e07d5a9f2c384-upstream-only';
const ALL = ['--method', '*', '--path', '/**'];
let dir, upstream, broker, remote;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'relaykey-remote-'));
  upstream = await startUpstream({ dir, key: REAL_KEY });
  broker = await Broker.start({ relays: 1 });
  remote = await Remote.of(broker, dir);
});

after(async () => {
  await broker?.end();
  await upstream?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const far = (args, options) => remote.cli(args, options);
const farJson = (args, options) => remote.json(args, options);
const farLines = (args, options) => remote.lines(args, options);
const same = (args, options) => remote.same(args, options);

const connArgs = (name, more = []) => ['conn', 'add', name, '--base-url', `${upstream.baseUrl}/v1`, '--ca', upstream.caFile, '--allow-private', '--secret-file', '-', ...more];

/** What differs between two objects that were made by the same command. */
function alike(doc) {
  return JSON.parse(JSON.stringify(doc), (key, value) => (/^(id|key|masked|created_at|updated_at|expires_at|revoked_at|last_used_at|name|connection_id|connection_name|masked_key)$/.test(key) ? typeof value : value));
}

// ---- the same over both ways

test('a connection and its keys are made, shown, changed and ended as over the control socket', async () => {
  const made = [];
  for (const [name, cli] of [['near', (a, i) => broker.json(a, i)], ['far', (a, i) => farJson(a, { input: i })]]) {
    const out = [];
    out.push(await cli(connArgs(name), REAL_KEY));
    out.push(await cli(['conn', 'rotate', name, '--secret-file', '-'], `${REAL_KEY}-2`));
    out.push(await cli(['conn', 'disable', name]));
    out.push(await cli(['conn', 'enable', name]));
    out.push(await cli(['conn', 'set-proxy', name, '--egress-proxy', 'none']));
    const key = await cli(['key', 'issue', '--conn', name, '--holder', 'vendor:acme', '--ttl', '7d', '--env', 'ci', '--ip', '127.0.0.0/8', '--deny-query', 'a b',
      '--rate', '100/min', '--method', 'GET', '--method', 'POST', '--path', '/v1/**']);
    assert.match(key.key, /^rk_vendor_/);
    out.push(key);
    out.push(await cli(['key', 'extend', key.id, '--ttl', '14d']));
    out.push(await cli(['key', 'show', key.masked]));
    out.push(await cli(['revoke', key.key]));
    made.push(out.map(alike));
  }
  assert.deepEqual(made[1], made[0]);
  await same(['conn', 'show', 'far', '--json']);
  await same(['conn', 'show', 'far']);
  await same(['conn', 'list', '--json']);
  await same(['conn', 'list']);
  await same(['key', 'list', '--json']);
  await same(['key', 'list']);
  await same(['key', 'list', '--conn', 'far', '--holder', 'vendor:', '--json']);
});

test('a key that was issued from elsewhere reaches the upstream', async () => {
  await far(connArgs('works'), { input: REAL_KEY });
  const { key } = await farJson(['key', 'issue', '--conn', 'works', '--holder', 'app:web', ...ALL]);
  assert.equal((await request(broker, 'GET', '/works/things', { key })).status, 200);
  await far(['revoke', key]);
  assert.equal((await request(broker, 'GET', '/works/things', { key })).status, 401);
});

test('a list of several pages comes whole, and a limit cuts it where it says', async () => {
  await far(connArgs('many'), { input: REAL_KEY });
  for (let i = 0; i < 230; i++) await broker.issueKey('many', { holder: `app:n${i % 7}` });
  await same(['key', 'list', '--conn', 'many', '--json']);
  assert.equal((await farLines(['key', 'list', '--conn', 'many'])).length, 230);
});

test('status, holders, addresses and approvals look the same', async () => {
  const strip = ({ proxy: _p, console: _c, ...rest }) => rest;
  await same(['status', '--json'], { strip });
  assert.match((await far(['status'])).stdout, new RegExp(`^interface +${remote.url}$`, 'm'));
  const address = await farJson(['trust', 'add', 'person:ada', '198.51.100.7']).catch(() => null);
  if (!address) {
    await broker.issueKey('works', { holder: 'person:ada' });
    await farJson(['trust', 'add', 'person:ada', '198.51.100.7']);
  }
  await farJson(['holder', 'set', 'person:ada', '--email', 'ada@example.com']);
  for (const args of [['holder', 'list'], ['holder', 'show', 'person:ada'], ['trust', 'list'], ['trust', 'list', '--holder', 'person:ada'], ['approvals']]) {
    await same([...args, '--json']);
    await same(args);
  }
  const [one] = await farLines(['trust', 'list', '--holder', 'person:ada']);
  assert.equal((await farJson(['trust', 'remove', one.id])).state, 'removed');
});

test('a new address is approved from elsewhere', async () => {
  const { key } = await farJson(['key', 'issue', '--conn', 'works', '--holder', 'person:eve', ...ALL]);
  await request(broker, 'GET', '/works/things', { key });
  const waits = await farLines(['approvals']);
  for (const { id } of waits) assert.equal((await farJson(['trust', 'approve', id])).state, 'trusted');
  await same(['approvals', '--json']);
});

test('refusals have the same reason and the same exit status', async () => {
  await same(['conn', 'show', 'nothing']);
  await same(['key', 'show', 'key_nothing0000']);
  await same(['revoke', 'rk_vendor...zzz']);
  await same(['key', 'issue', '--conn', 'nothing', '--holder', 'app:x', ...ALL]);
  await same(['conn', 'remove', 'nothing']);
  await same(['key', 'list', '--nonsense']);
  const odd = await far(connArgs('bad name!'), { status: 1, input: REAL_KEY });
  assert.ok(!odd.stderr.includes(REAL_KEY));
});

// ---- the audit log

test('the audit log is listed, filtered, exported and verified as over the control socket', async () => {
  for (const args of [
    ['list', '--type', 'request'], ['list', '--limit', '7', '--type', 'request'], ['list', '--limit', '3', '--order', 'falling', '--type', 'request'],
    ['list', '--limit', '3', '--order', 'rising'], ['list', '--limit', '5', '--order', 'rising', '--cursor', '4'],
    ['list', '--decision', 'allowed', '--conn', 'works'], ['list', '--status', '401', '--since', '2020-01-01'],
  ]) {
    await same(['audit', ...args, '--json']);
    await same(['audit', ...args]);
  }
  const near = (await broker.cli(['audit', 'export', '--format', 'jsonl', '--until', new Date().toISOString()])).stdout;
  const until_ = docs(near).at(-1).time;
  for (const format of ['jsonl', 'csv']) {
    await same(['audit', 'export', '--format', format, '--until', until_]);
    await same(['audit', 'export', '--format', format, '--limit', '9', '--cursor', '5']);
  }
  assert.match((await far(['audit', 'verify'])).stdout, /^ok: \d+ rows/);
  assert.equal((await farJson(['audit', 'verify'])).ok, true);
});

test('a list of more entries than a page has the last of them, the oldest first', async () => {
  const seqs = (list) => list.map((e) => e.seq);
  const got = await farLines(['audit', 'list', '--limit', '450']);
  const near = await broker.lines(['audit', 'list', '--limit', '500']);
  assert.deepEqual(seqs(got), seqs(near).filter((s) => s <= got.at(-1).seq).slice(-450));
  assert.ok(got.length > 200);
});

test('a tail shows what happens and ends with an interrupt', async () => {
  const child = spawn(relaykey, [...remote.way(), 'audit', 'tail', '--json'], { env: { ...process.env, ...ENV } });
  const ended = new Promise((done) => child.once('exit', (code, signal) => done({ code, signal })));
  let out = '';
  let err = '';
  child.stdout.on('data', (d) => { out += d; });
  child.stderr.on('data', (d) => { err += d; });
  await sleep(600);
  const { key } = await broker.issueKey('works');
  await request(broker, 'GET', '/works/tail-me', { key });
  await until(() => docs(out.slice(0, out.lastIndexOf('\n') + 1)).some((e) => e.path === '/v1/tail-me' && e.outcome === 'complete'), `the request (${err}${out})`);
  child.kill('SIGINT');
  assert.equal((await ended).signal, 'SIGINT');
  const behind = docs(out).at(-1).seq;
  const later = spawn(relaykey, [...remote.way(), 'audit', 'tail', '--json', '--cursor', String(behind - 1)], { env: { ...process.env, ...ENV } });
  let more = '';
  later.stdout.on('data', (d) => { more += d; });
  await until(() => more.includes('\n'), 'what came before it was asked for');
  later.kill('SIGINT');
  assert.ok(docs(more.slice(0, more.lastIndexOf('\n') + 1))[0].seq >= behind - 1);
});

// ---- what is not let in, and what cannot be reached

test('without a right the answer is the keeper\'s, and nothing is done', async () => {
  const auditor = remote.keep('auditor', await managementKey(broker, 'auditor'));
  await far(['key', 'list'], { token: auditor });
  const refused = await far(['key', 'issue', '--conn', 'works', '--holder', 'app:x', ...ALL], { token: auditor, status: 1 });
  assert.match(refused.stderr, /role|allowed|may/i);
  const before = (await broker.lines(['conn', 'list'])).length;
  await far(connArgs('no'), { token: auditor, status: 1, input: REAL_KEY });
  assert.equal((await broker.lines(['conn', 'list'])).length, before);
});

test('a wrong management key, a file that holds none, or that others can read is refused', async () => {
  const wrong = `${remote.key.slice(0, -3)}aaa`;
  assert.match((await far(['status'], { token: remote.keep('wrong', wrong), status: 1 })).stderr, /management key/);
  const none = await far(['status'], { token: remote.keep('none', 'sk-something\r\nHost: x'), status: 1 });
  assert.match(none.stderr, /holds no management key/);
  assert.ok(!none.stderr.includes('sk-something'));
  await far(['status'], { token: remote.keep('open', remote.key, 0o644), status: 1 });
  await far(['status'], { token: join(dir, 'missing'), status: 1 });
  assert.match((await run(relaykey, ['--url', remote.url, 'status'], { env: ENV })).stderr, /--token-file/);
  const typed = await run(relaykey, [...remote.way({ token: '-' }), 'status'], { input: `${remote.key}\n`, env: ENV });
  assert.equal(typed.status, 0, typed.stderr);
});

test('a certificate that is not trusted, or of another host, gets no key', async () => {
  const { caFile } = makeCertificates(dir, 'other');
  assert.match((await far(['status'], { ca: caFile, status: 3 })).stderr, /certificate/);
  assert.match((await far(['status'], { ca: null, status: 3 })).stderr, /certificate/);
  assert.match((await far(['status'], { ca: join(dir, 'missing.pem'), status: 1 })).stderr, /missing\.pem/);
  const seen = [];
  for (const wrong of [{ san: 'DNS:elsewhere.example' }, { selfSigned: true, san: 'IP:127.0.0.1' }, { days: -1, san: 'IP:127.0.0.1' }]) {
    await withOdd((req, res) => { seen.push(req.headers); res.end(); }, async (url) => {
      assert.match((await far(['status'], { url, ca: caFile, status: 3 })).stderr, /certificate/);
    }, wrong);
  }
  assert.deepEqual(seen, []);
});

test('a broker that is away, and an address that is none', async () => {
  assert.match((await far(['status'], { url: 'https://127.0.0.1:1', status: 3 })).stderr, /does not answer/);
  for (const url of ['http://127.0.0.1:1', '127.0.0.1:1', 'https://', 'https://a b', 'https://x@127.0.0.1', 'https://127.0.0.1/?a']) {
    assert.match((await far(['status'], { url, status: 2 })).stderr, /address of a broker/);
  }
  const both = await run(relaykey, ['--config', broker.config, ...remote.way(), 'status'], { env: ENV });
  assert.equal(both.status, 2);
});

test('the variables do instead of the options, which go first', async () => {
  const env = { ...ENV, RELAYKEY_URL: remote.url, RELAYKEY_TOKEN_FILE: remote.tokenFile, RELAYKEY_CA: broker.caFile };
  assert.equal((await run(relaykey, ['conn', 'list'], { env })).status, 0);
  assert.match((await run(relaykey, ['status'], { env })).stdout, /^interface /m);
  assert.match((await run(relaykey, ['--config', broker.config, 'status'], { env })).stdout, /^console /m);
  assert.equal((await run(relaykey, ['--url', 'https://127.0.0.1:1', 'status'], { env })).status, 3);
});

/** A server that is no broker, with a certificate of the CA `other`, or a wrong one. */
async function withOdd(answer, use, wrong) {
  const certs = makeCertificates(dir, 'other');
  const server = https.createServer(wrong ? misissue(dir, 'other', wrong) : certs, answer);
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  try {
    await use(`https://127.0.0.1:${server.address().port}`, certs.caFile);
  } finally {
    await new Promise((done) => { server.close(done); server.closeAllConnections(); });
  }
}

test('a server that is no broker is said to be none; a redirect is not followed', async () => {
  const seen = [];
  await withOdd((req, res) => {
    seen.push(req.url);
    if (req.url.includes('status')) return res.writeHead(302, { location: `${remote.url}/api/v1/status` }).end();
    if (req.url.includes('connections')) return res.writeHead(200, { 'content-type': 'application/json' }).end('{"data":[{"id":17}],"next_cursor":null}');
    if (req.url.includes('holders')) return res.writeHead(200, { 'content-type': 'application/json' }).end('{"data":[],"next_cursor":"again"}');
    if (req.url.includes('export')) {
      res.writeHead(200, { 'content-type': 'application/x-ndjson' }).write('{"seq":1,');
      return setTimeout(() => res.destroy(), 50);
    }
    return res.writeHead(404, { 'content-type': 'text/html' }).end('<h1>no</h1>');
  }, async (url, ca) => {
    assert.match((await far(['status'], { url, ca, status: 1 })).stderr, /not RelayKey's/);
    assert.equal(seen.length, 1);
    for (const args of [['conn', 'list'], ['holder', 'list'], ['key', 'list']]) assert.match((await far(args, { url, ca, status: 1 })).stderr, /not RelayKey's/);
    assert.match((await far(['audit', 'export', '--format', 'jsonl'], { url, ca, status: 3 })).stderr, /closed the connection/);
  });
});

// ---- how much it needs

/** Peak memory in KiB of a command that goes to /dev/null. */
async function peakOf(args) {
  const child = spawn('/bin/sh', ['-c', 'exec "$0" "$@" >/dev/null', relaykey, ...remote.way(), ...args], {
    // AddressSanitizer would keep what was freed
    env: { ...process.env, ...ENV, ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:quarantine_size_mb=1` }, stdio: ['ignore', 'ignore', 'inherit'],
  });
  let peak = 0;
  const timer = setInterval(() => {
    try {
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? 0));
    } catch { /* it has ended */ }
  }, 2);
  const code = await new Promise((done) => child.once('exit', done));
  clearInterval(timer);
  assert.equal(code, 0);
  return peak;
}

test('an export of twenty thousand rows takes no more memory than one of two thousand', async () => {
  const { key } = await broker.issueKey('works');
  const wrong = `${key.slice(0, -2)}zz`;
  const batch = async () => Promise.all(Array.from({ length: 16 }, async () => {
    for (let i = 0; i < 640; i++) await request(broker, 'GET', '/works/x', { key: i % 2 ? key : wrong });
  }));
  await batch();
  const rows = async () => (await broker.json(['audit', 'verify'])).rows;
  while ((await rows()) < 20000) await batch();
  const small = await peakOf(['audit', 'export', '--format', 'jsonl', '--limit', '2000']);
  const large = await peakOf(['audit', 'export', '--format', 'jsonl']);
  assert.ok(large < small + 2048, `${large} KiB instead of ${small} KiB`);
  const got = await far(['audit', 'export', '--format', 'jsonl', '--limit', '20000']);
  const seqs = docs(got.stdout).map((e) => e.seq);
  assert.equal(seqs.length, 20000);
  assert.ok(seqs.every((s, i) => i === 0 || s > seqs[i - 1]));
});

// ---- what people see of it

test('usage, completion and manual know the options', async () => {
  const help = (await run(relaykey, ['--help'], { env: ENV })).stdout;
  for (const word of ['--url', '--token-file', '--ca', 'RELAYKEY_URL', 'RELAYKEY_TOKEN_FILE']) assert.ok(help.includes(word), word);
  const complete = async (words, env = {}) => (await run(relaykey, ['completion', 'words', '--', ...words], { env: { ...ENV, ...env } })).stdout.split('\n').filter(Boolean);
  assert.deepEqual((await complete(['--'])).filter((w) => /url|token|ca$/.test(w)), ['--url', '--token-file', '--ca']);
  assert.deepEqual(await complete(['--token-file', '']), [':files']);
  assert.deepEqual(await complete(['--url', '']), []);
  assert.ok((await complete([...remote.way(), 'conn', 'show', 'wor'])).includes('works'));
  assert.deepEqual(await complete(['--url', remote.url, '--token-file', '-', 'conn', 'show', 'wor']), []);
});
