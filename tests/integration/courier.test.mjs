// What leaves the broker on its own account: mail through a real SMTP server program, webhooks to a receiver that checks
// their signatures. What they get, what is refused, what is tried again, and that nothing is lost when a process dies.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker, sleep, until } from '../lib/broker.mjs';
import { misissue, makeCertificates } from '../mock/certs.mjs';
import { signatureHolds, startHookServer } from '../mock/hookserver.mjs';
import { startMailServer } from '../mock/mailserver.mjs';
import { startProxy } from '../mock/proxy.mjs';

const LOGIN = { user: 'relay', pass: 'smtp-pass-51c07e9ab3' };
let dir, broker, mail, hook, secret;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'relaykey-courier-'));
  mail = await startMailServer({ dir, auth: LOGIN });
  hook = await startHookServer({ dir });
  broker = await Broker.start({ relays: 1 });
  await useMail(mail);
  ({ secret } = await addHook('main', hook));
});

after(async () => {
  await broker?.end();
  await mail?.stop();
  await hook?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const set = (args, input = '') => broker.cli(['settings', 'set', ...args, '--json'], input);

/** Sends mail through `server` from now on. */
async function useMail(server, { tls = 'starttls', login = LOGIN, host = '127.0.0.1', ca = server.caFile, to = broker } = {}) {
  const got = await to.cli(['settings', 'set', '--smtp-host', host, '--smtp-port', String(server.port), '--smtp-tls', tls,
    '--smtp-user', login?.user ?? '', '--smtp-password-file', login ? '-' : 'none', '--smtp-ca', ca,
    '--mail-from', 'relaykey@example.com', '--public-url', 'https://console.example.com:8444/', '--json'], login?.pass ?? '');
  assert.equal(got.status, 0, got.stderr);
  return JSON.parse(got.stdout);
}

function addHook(name, server, extra = ['--allow-private'], { to = broker } = {}) {
  return to.json(['webhook', 'add', name, '--url', server.url, '--ca', server.caFile, ...extra]);
}

/** The newest delivery, once it is in one of `states`. */
function newest(states, { args = [], to = broker, ms = 20000 } = {}) {
  return until(async () => {
    const [first] = await to.lines(['delivery', 'list', '--limit', '1', ...args]);
    return first && states.includes(first.state) && first.attempts > 0 ? first : null;
  }, `a delivery that is ${states}`, ms);
}

async function testMail(address = 'ops@example.com') {
  const got = await broker.cli(['settings', 'test-mail', address]);
  assert.equal(got.status, 0, got.stderr);
}

async function refused(promise, text) {
  const got = await promise;
  assert.equal(got.status, 1, got.stdout);
  assert.match(got.stderr, text);
}

test('a mail arrives over STARTTLS with a login, as text and HTML, from nobody who reads answers', async () => {
  await testMail('"who"@example.com').catch(() => {});
  await testMail();
  const got = await until(() => mail.received.at(-1), 'the mail');
  assert.deepEqual([got.to, got.from, got.user, got.secure], [['ops@example.com'], 'relaykey@example.com', LOGIN.user, true]);
  assert.equal(got.mail.subject, 'RelayKey: test message');
  assert.match(got.mail.text, /This is a test/);
  assert.match(got.mail.html, /<table>/);
  assert.equal(got.mail.headers.get('auto-submitted'), 'auto-generated');
  const row = await newest(['sent'], { args: ['--kind', 'mail'] });
  assert.deepEqual([row.target, row.status, row.attempts, row.event], ['ops@example.com', 250, 1, 'test']);
  assert.equal(got.mail.messageId, `<${row.event_id.slice(4)}@example.com>`);
  // each command is in the audit log, no password in it
  const rows = (await broker.cli(['audit', 'export', '--format', 'jsonl'])).stdout;
  assert.match(rows, /"action":"mail.test"/);
  assert.match(rows, /"action":"settings.change"[^\n]*/);
  assert.ok(!rows.includes(LOGIN.pass));
});

test('the password is never shown, and does not follow the settings to another server', async () => {
  const shown = await broker.json(['settings', 'show']);
  assert.equal(shown.smtp_password_set, true);
  assert.ok(!JSON.stringify(shown).includes('smtp-pass'));
  for (const args of [['--smtp-host', 'mail.attacker.example'], ['--smtp-port', '26'], ['--smtp-tls', 'tls'], ['--smtp-user', 'other'], ['--smtp-ca', 'none']]) {
    await refused(set(args), /give smtp_password again/);
  }
  assert.equal((await set(['--mails-per-key-day', '21'])).status, 0); // what has nothing to do with it may change
  assert.equal((await broker.json(['settings', 'show'])).revision, shown.revision + 1);
});

test('settings that do not fit are refused with what would be right', async () => {
  await refused(set(['--public-url', 'http://console.example.com']), /public_url is where people reach the console/);
  await refused(set(['--mail-from', 'Somebody <a@b.example>']), /mail_from: a mail address looks like/);
  await refused(set(['--alert-mail', 'a@b.example\r\nBcc: c@d.example']), /alert_mail: a mail address looks like/);
  await refused(set(['--trust-preset', '10.0.0.1/8']), /an address prefix looks like/);
  await refused(set(['--mails-per-key-day', '0']), /from 1 to 1000/);
  await refused(set(['--confirm-ttl', '5m']), /ten minutes to seven days/);
  await refused(set(['--smtp-tls', 'none', '--smtp-password-file', '-'], 'pw'), /a password is not sent without TLS/);
  await refused(set(['--smtp-host', '169.254.169.254', '--smtp-password-file', '-'], 'pw'), /no mail server has/);
  await refused(set(['--smtp-host', 'mail.example.com:25', '--smtp-password-file', '-'], 'pw'), /without a port/);
  assert.equal((await set(['--trust-preset', '10.0.0.0/8', '--trust-preset', '2001:DB8::/32', '--alert-mail', 'none'])).status, 0);
  assert.deepEqual((await broker.json(['settings', 'show'])).trust_presets, ['10.0.0.0/8', '2001:db8::/32']);
});

test('mail goes over TLS from the first byte as well, and to a server without a login', async () => {
  const secure = await startMailServer({ dir, tls: 'tls', auth: LOGIN });
  await useMail(secure, { tls: 'tls', host: 'localhost' });
  await testMail();
  await until(() => secure.received.length === 1, 'the mail over TLS');
  const open = await startMailServer({ dir, tls: 'none' });
  await useMail(open, { tls: 'none', login: null });
  await testMail();
  await until(() => open.received.length === 1, 'the mail without TLS');
  assert.equal(open.received[0].secure, false);
  await secure.stop();
  await open.stop();
  await useMail(mail);
});

test('a mail server whose certificate is another one, or of a CA that is not its own, gets no mail and no password', async () => {
  makeCertificates(dir, 'stranger');
  for (const certs of [misissue(dir, 'mail', { san: 'DNS:other.example' }), makeCertificates(dir, 'stranger')]) {
    const wrong = await startMailServer({ dir, auth: LOGIN, certs });
    await useMail(wrong);
    await testMail();
    const row = await newest(['waiting'], { args: ['--kind', 'mail'] });
    assert.match(row.error, /certificate/i);
    assert.deepEqual([wrong.received, wrong.state.logins], [[], []]);
    await wrong.stop();
  }
  // and the CA of a webhook is trusted for that webhook alone
  const ofHook = await startMailServer({ dir, auth: LOGIN, certs: makeCertificates(dir, 'mock') });
  await useMail(ofHook, { ca: mail.caFile });
  await broker.json(['webhook', 'test', 'main']).catch(() => {});
  await testMail();
  assert.match((await newest(['waiting'], { args: ['--kind', 'mail'] })).error, /certificate/i);
  await ofHook.stop();
  await useMail(mail);
});

test('a server that does not offer STARTTLS, or a wrong password, is tried again and not told anything', async () => {
  const plain = await startMailServer({ dir, tls: 'none' });
  await useMail(plain);
  await testMail();
  assert.equal((await newest(['waiting'], { args: ['--kind', 'mail'] })).state, 'waiting');
  assert.deepEqual([plain.received, plain.state.logins], [[], []]);
  await plain.stop();
  await useMail(mail, { login: { user: 'relay', pass: 'wrong-one' } });
  await testMail();
  const row = await newest(['waiting'], { args: ['--kind', 'mail'] });
  assert.equal(row.state, 'waiting');
  await useMail(mail);
});

test('greylisting is waited out, a refusal for good is not repeated and can be replayed', async () => {
  mail.received.length = 0;
  let asked = 0;
  mail.manner = (step) => (step === 'rcpt' && ++asked === 1 ? 451 : null);
  await testMail('grey@example.com');
  await until(() => mail.received.some((m) => m.to[0] === 'grey@example.com'), 'the second attempt', 30000);
  const grey = (await broker.lines(['delivery', 'list', '--kind', 'mail'])).find((d) => d.target === 'grey@example.com');
  assert.ok(asked >= 2);
  await until(async () => (await broker.json(['delivery', 'show', grey.id])).state === 'sent', 'sent');
  for (const step of ['rcpt', 'data']) {
    mail.manner = (now) => (now === step ? 550 : null);
    await testMail(`gone-${step}@example.com`);
    const row = await newest(['failed'], { args: ['--kind', 'mail'] });
    assert.deepEqual([row.target, row.status, row.attempts], [`gone-${step}@example.com`, 550, 1]);
    assert.match(row.error, /refused by the test/);
    mail.manner = null;
    const replayed = await broker.json(['delivery', 'replay', row.id]);
    assert.deepEqual([replayed.state, replayed.attempts], ['waiting', 0]);
    await until(async () => (await broker.json(['delivery', 'show', row.id])).state === 'sent', 'the replayed one');
  }
});

test('a webhook is signed: its receiver accepts it, and would not accept it changed, old or under another secret', async () => {
  hook.received.length = 0;
  assert.equal((await broker.cli(['webhook', 'test', 'main'])).status, 0);
  const got = await until(() => hook.received[0], 'the webhook');
  const header = got.headers['relaykey-signature'];
  assert.match(secret, /^whsec_[0-9A-Za-z]{40}$/);
  assert.ok(signatureHolds(header, secret, got.body));
  assert.ok(!signatureHolds(header, secret, `${got.body} `));
  assert.ok(!signatureHolds(header, `${secret}x`, got.body));
  assert.ok(!signatureHolds(header, secret, got.body, { now: Date.now() / 1000 + 3600 }));
  assert.deepEqual([got.method, got.path, got.headers['content-type'], got.headers['relaykey-event']], ['POST', '/hook', 'application/json', 'test']);
  assert.match(got.headers['relaykey-delivery'], /^dlv_\d+$/);
  assert.deepEqual(Object.keys(got.json), ['id', 'type', 'created_at', 'data']);
  assert.equal(got.json.type, 'test');
  assert.equal((await broker.json(['webhook', 'show', 'main'])).secret, undefined);
  const rotated = await broker.json(['webhook', 'rotate', 'main']);
  assert.notEqual(rotated.secret, secret);
  await broker.cli(['webhook', 'test', 'main']);
  const next = await until(() => hook.received[1], 'the webhook after the rotation');
  assert.ok(signatureHolds(next.headers['relaykey-signature'], rotated.secret, next.body));
  assert.ok(!signatureHolds(next.headers['relaykey-signature'], secret, next.body));
  secret = rotated.secret;
});

test('the receiver that the manual shows takes what is genuine, and nothing else', async (t) => {
  if (spawnSync('python3', ['--version']).error) return t.skip('python3 is not installed');
  const page = readFileSync(join(import.meta.dirname, '../../provisioning/man/relaykey-webhook.in'), 'utf8');
  const code = page.match(/^import hashlib[^]*?(?=^\.Ed)/m)[0].replaceAll('\\-', '-');
  const ask = `${code}\nimport json, sys\nfor c in json.load(sys.stdin): print(genuine(c[0], c[1].encode(), c[2].encode()))`;
  hook.received.length = 0;
  await broker.cli(['webhook', 'test', 'main']);
  const got = await until(() => hook.received[0], 'the webhook');
  const header = got.headers['relaykey-signature'];
  const then = Math.floor(Date.now() / 1000) - 400;
  const old = `t=${then},v1=${createHmac('sha256', secret).update(`${then}.${got.body}`).digest('hex')}`;
  const cases = [[header, got.body, secret], [header, `${got.body} `, secret], [header, got.body, `${secret}x`], [old, got.body, secret]];
  const said = spawnSync('python3', ['-c', ask], { input: JSON.stringify(cases), encoding: 'utf8' });
  assert.deepEqual([said.stderr, said.stdout.trim().split('\n')], ['', ['True', 'False', 'False', 'False']]);
});

test('a webhook hears of the events that it asked for, and of none while it is disabled', async () => {
  const other = await startHookServer({ dir });
  await addHook('picky', other, ['--allow-private', '--event', 'token.lost', '--event', 'token.back']);
  const before = hook.received.length;
  await loseToken();
  await until(() => other.received.length >= 2 && hook.received.length >= before + 2, 'both, twice', 20000);
  assert.deepEqual(other.received.map((r) => r.json.type), ['token.lost', 'token.back']);
  assert.deepEqual((await broker.json(['webhook', 'show', 'picky'])).events, ['token.lost', 'token.back']);
  await broker.json(['webhook', 'update', 'picky', '--disable']);
  await loseToken();
  await until(() => hook.received.length >= before + 4, 'the other webhook');
  assert.equal(other.received.length, 2);
  await refused(broker.cli(['webhook', 'test', 'picky']), /is disabled/);
  assert.equal((await broker.cli(['webhook', 'remove', 'picky'])).status, 0);
  await refused(broker.cli(['webhook', 'show', 'picky']), /there is no webhook/);
  await other.stop();
});

/** Takes the token's files away until the main webhook has heard of it: what signs that is no longer the token's to give. */
async function loseToken() {
  const tokens = join(broker.dir, 'tokens');
  const aside = `${tokens}.aside`;
  const before = hook.received.length;
  const lost = async () => (await broker.json(['status'])).sealed;
  renameSync(tokens, aside);
  await until(lost, 'a lost token', 15000);
  const got = await until(() => hook.received.slice(before).find((r) => r.json.type === 'token.lost'), 'the news of it', 15000);
  assert.ok(signatureHolds(got.headers['relaykey-signature'], secret, got.body));
  assert.equal(await lost(), true);
  renameSync(aside, tokens);
  await until(async () => !(await lost()), 'the token again', 15000);
}

test('what a receiver answers decides what becomes of a delivery', async () => {
  const own = await startHookServer({ dir });
  await addHook('answers', own);
  const after = async (answer, states) => {
    own.answer = answer;
    await broker.cli(['webhook', 'test', 'answers']);
    return newest(states, { args: ['--webhook', 'answers'] });
  };
  const gone = await after(410, ['failed', 'waiting']);
  assert.deepEqual([gone.state, gone.attempts, gone.status], ['failed', 1, 410]);
  const missing = await after(404, ['waiting', 'failed']);
  assert.equal(missing.state, 'waiting');
  const later = await after([429, { 'retry-after': '1000' }], ['waiting']);
  const wait = (Date.parse(later.next_attempt_at) - Date.now()) / 1000;
  assert.ok(wait > 900 && wait <= 1000, `${wait}`);
  const failed = await after(500, ['waiting']);
  own.answer = 200;
  await until(async () => (await broker.json(['delivery', 'show', failed.id])).state === 'sent', 'the second attempt', 20000);
  // the same event, with the same id, in each attempt
  const attempts = own.received.filter((r) => r.headers['relaykey-delivery'] === failed.id);
  assert.equal(attempts.length, 2);
  assert.equal(attempts[0].json.id, attempts[1].json.id);
  // a redirect is an answer like any other: nobody follows it
  const elsewhere = await startHookServer({ dir });
  const redirected = await after([302, { location: elsewhere.url }], ['waiting']);
  assert.equal(redirected.status, 302);
  assert.equal(elsewhere.received.length, 0);
  own.answer = [200, {}, 'x'.repeat(1 << 20)]; // what it says is bounded and thrown away
  await broker.cli(['webhook', 'test', 'answers']);
  assert.equal((await newest(['sent'], { args: ['--webhook', 'answers'] })).status, 200);
  await broker.cli(['webhook', 'remove', 'answers']);
  const rest = await broker.lines(['delivery', 'list', '--webhook', gone.target, '--state', 'waiting']);
  assert.deepEqual(rest, []); // what waited for it is given up
  await refused(broker.cli(['delivery', 'replay', gone.id]), /its webhook was removed/);
  await own.stop();
  await elsewhere.stop();
});

test('private addresses are refused unless they are allowed, others never are', async () => {
  const at = (url) => broker.cli(['webhook', 'add', 'where', '--url', url]);
  await refused(at(hook.url), /is a loopback address/);
  await refused(at('https://10.1.2.3/hook'), /is a private address/);
  await refused(broker.cli(['webhook', 'add', 'where', '--allow-private', '--url', 'https://169.254.169.254/latest']), /never an upstream/);
  await refused(at('http://hooks.example.com/'), /https/);
  await refused(at('https://user:pw@hooks.example.com/'), /./);
  // a name that leads there is found out when it is looked up
  const before = hook.received.length;
  await broker.json(['webhook', 'add', 'where', '--url', `https://localhost:${hook.port}/hook`, '--ca', hook.caFile]);
  await broker.cli(['webhook', 'test', 'where']);
  assert.match((await newest(['waiting'], { args: ['--webhook', 'where'] })).error, /address is not allowed/);
  assert.equal(hook.received.length, before);
  await broker.json(['webhook', 'update', 'where', '--allow-private']);
  await broker.cli(['webhook', 'test', 'where']);
  await newest(['sent'], { args: ['--webhook', 'where'] });
  assert.equal((await broker.cli(['webhook', 'remove', 'where'])).status, 0);
});

test('a slow receiver does not hold the others', async () => {
  const slow = await startHookServer({ dir });
  slow.answer = 'hang';
  await addHook('slow', slow);
  for (let i = 0; i < 12; i++) await broker.cli(['webhook', 'test', 'slow']);
  await until(() => slow.received.length >= 3, 'the slow one has some');
  const before = hook.received.length;
  const began = Date.now();
  await broker.cli(['webhook', 'test', 'main']);
  await until(() => hook.received.length > before, 'the quick one', 5000);
  assert.ok(Date.now() - began < 3000);
  assert.ok(slow.received.length <= 3, `${slow.received.length} at once`);
  slow.answer = 200;
  slow.release();
  await until(() => new Set(slow.received.map((r) => r.json.id)).size === 12, 'all of them', 30000);
  await broker.cli(['webhook', 'remove', 'slow']);
  await slow.stop();
});

test('deliveries are listed newest first, by target, kind and state, with a limit', async () => {
  const all = await broker.lines(['delivery', 'list', '--limit', '1000']);
  const numbers = all.map((d) => Number(d.id.slice(4)));
  assert.ok(all.length > 10);
  assert.deepEqual(numbers, [...numbers].sort((a, b) => b - a));
  assert.equal((await broker.lines(['delivery', 'list', '--limit', '3'])).length, 3);
  const mails = await broker.lines(['delivery', 'list', '--kind', 'mail', '--limit', '1000']);
  assert.deepEqual(mails, all.filter((d) => d.kind === 'mail'));
  const sent = await broker.lines(['delivery', 'list', '--state', 'sent', '--webhook', 'main', '--limit', '1000']);
  assert.ok(sent.length && sent.every((d) => d.state === 'sent' && d.kind === 'webhook'));
  await refused(broker.cli(['delivery', 'show', 'dlv_999999']), /no such delivery/);
  await refused(broker.cli(['delivery', 'replay', 'nonsense']), /there is no delivery/);
  assert.match((await broker.cli(['delivery', 'list'])).stdout, /dlv_\d+ .* sent .* test/);
});

test('nothing is lost when the courier or the whole broker is killed in the middle', async () => {
  const own = await startHookServer({ dir });
  const { target } = await broker.json(['webhook', 'add', 'killed', '--url', own.url, '--ca', own.caFile, '--allow-private']).then((h) => ({ target: h.id }));
  own.answer = (n) => (n % 3 ? 'hang' : 200);
  const begin = async (count) => { for (let i = 0; i < count; i++) assert.equal((await broker.cli(['webhook', 'test', 'killed'])).status, 0); };
  await begin(6);
  await until(() => own.received.length >= 3, 'some are under way');
  process.kill(broker.pidOf('courier'), 'SIGKILL');
  await until(async () => broker.pidOf('courier'), 'another courier');
  await begin(4);
  await testMail('killed@example.com');
  for (const { pid } of broker.processes()) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // gone with the supervisor
    }
  }
  await broker.exited;
  own.answer = 200;
  await broker.launch();
  const accepted = await until(async () => {
    const rows = await broker.lines(['delivery', 'list', '--webhook', target, '--limit', '100']);
    return rows.length === 10 && rows.every((d) => d.state === 'sent') && rows;
  }, 'every delivery sent', 60000);
  const heard = new Set(own.received.map((r) => r.json.id));
  for (const row of accepted) assert.ok(heard.has(row.event_id), row.id);
  await until(() => mail.received.some((m) => m.to[0] === 'killed@example.com'), 'the mail', 30000);
  await broker.cli(['webhook', 'remove', 'killed']);
  await own.stop();
});

test('a broker that stops and starts again goes on with what it has', async () => {
  const late = await startMailServer({ dir, auth: LOGIN });
  await late.stop();
  await useMail(late);
  await testMail('late@example.com');
  assert.match((await newest(['waiting'], { args: ['--kind', 'mail'] })).error, /./);
  await broker.stop();
  await broker.launch();
  assert.equal((await broker.json(['settings', 'show'])).smtp_password_set, true);
  await useMail(mail);
  await until(() => mail.received.some((m) => m.to[0] === 'late@example.com'), 'the mail', 40000);
});

test('mail and webhooks go through the configured egress proxy', async () => {
  const proxy = await startProxy();
  const behind = await Broker.start({ relays: 1, config: [`egress-proxy ${proxy.url}`] });
  try {
    await useMail(mail, { to: behind });
    await addHook('proxied', { url: `https://api.upstream.example:${hook.port}/hook`, caFile: hook.caFile }, [], { to: behind });
    const before = [mail.received.length, hook.received.length];
    await behind.cli(['settings', 'test-mail', 'proxied@example.com']);
    await behind.cli(['webhook', 'test', 'proxied']);
    await until(() => mail.received.length > before[0] && hook.received.length > before[1], 'both', 20000);
    assert.deepEqual(new Set(proxy.seen.map((s) => s.target)), new Set([`127.0.0.1:${mail.port}`, `api.upstream.example:${hook.port}`]));
    await refused(behind.cli(['webhook', 'add', 'local', '--url', 'https://10.0.0.1/']), /private address/);
    await behind.json(['webhook', 'add', 'local', '--url', 'https://vault.internal/hook']);
    await behind.cli(['webhook', 'test', 'local']);
    assert.match((await newest(['waiting'], { args: ['--webhook', 'local'], to: behind })).error, /address is not allowed/);
  } finally {
    await behind.end();
    await proxy.stop();
  }
});
