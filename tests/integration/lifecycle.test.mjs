// The broker as its operator meets it: starting, stopping, reloading, losing a process, the token or the disk.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { BIN, Broker, relaykey, relaykeyd, run, setUp, sleep, until } from '../lib/broker.mjs';
import { connect, request } from '../lib/client.mjs';
import { makeCertificates } from '../mock/certs.mjs';
import { startUpstream } from '../mock/upstream.mjs';

const REAL_KEY = 'sk-real-90ab12cd34ef5678-upstream-only';
let dir, upstream;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'relaykey-life-'));
  upstream = await startUpstream({ dir, key: REAL_KEY });
});

after(async () => {
  await upstream?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** Runs `body` with a broker that has the connection "mock" and a key for it. */
async function withBroker(options, body) {
  const broker = await Broker.start(options);
  try {
    await broker.addConnection('mock', upstream);
    const { key } = await broker.issueKey('mock');
    await body(broker, key);
  } finally {
    await broker.end();
  }
}

const ask = (broker, key, path = '/mock/things') => request(broker, 'GET', path, { key });
const status = async (broker, key) => {
  try {
    return (await ask(broker, key)).status;
  } catch {
    return 0;
  }
};

test('set-up writes private files and refuses to run twice', async () => {
  const at = join(dir, 'setup');
  await setUp(at);
  for (const name of readdirSync(at)) {
    const s = statSync(join(at, name));
    if (/pin|\.key$|\.db/.test(name)) assert.equal(s.mode & 0o077, 0, name);
  }
  assert.ok(existsSync(join(at, 'relaykeyd.conf')) && existsSync(join(at, 'ca.pem')));
  const before = readFileSync(join(at, 'relaykeyd.conf'), 'utf8');
  const again = await run(relaykey, ['setup', '--dir', at, '--proxy', '127.0.0.1:1', '--console', '127.0.0.1:2']);
  assert.equal(again.status, 1);
  assert.match(again.stderr, /already|exist/);
  assert.equal(readFileSync(join(at, 'relaykeyd.conf'), 'utf8'), before);
});

test('readiness is one line, and SIGTERM ends everything with status 0', async () => {
  await withBroker({}, async (broker) => {
    assert.match(broker.readyLine, /^relaykeyd ready /);
    assert.equal(broker.readyLine.split('\n').length, 1);
    const pids = broker.processes().map((p) => p.pid);
    assert.ok(pids.length >= 6);
    const end = await broker.stop();
    assert.equal(end.code, 0);
    await until(() => pids.every((pid) => !existsSync(`/proc/${pid}`)), 'all processes to end');
  });
});

test('what was set up is still there after a restart', async () => {
  await withBroker({}, async (broker, key) => {
    assert.equal(await status(broker, key), 200);
    await broker.stop();
    await broker.launch();
    assert.equal(await status(broker, key), 200);
    assert.equal((await broker.json(['audit', 'verify'])).ok, true);
  });
});

test('stopping lets a request in flight finish', async () => {
  await withBroker({}, async (broker, key) => {
    const slow = ask(broker, key, '/mock/slow?ms=700');
    await sleep(200);
    const stopped = broker.stop();
    assert.equal((await slow).status, 200);
    assert.equal((await stopped).code, 0);
  });
});

/** A stream of `n` events, one in 50 ms, of which the first has come; ended: {whole, events}. */
async function openStream(broker, key, n) {
  const res = await new Promise((resolve, reject) => {
    https.get({ host: '127.0.0.1', port: broker.proxy, ca: broker.ca, path: `/mock/sse?n=${n}&ms=50`, agent: false,
      headers: { authorization: `Bearer ${key}` } }, resolve).on('error', reject);
  });
  let text = '';
  res.on('data', (d) => { text += d; }).on('error', () => {});
  await until(() => text.includes('data:'), 'the first event');
  return { res, ended: new Promise((done) => res.once('close', () => done({ whole: res.complete, events: text.split('data:').length - 1 }))) };
}

/** An upload of which half has been sent; end() sends the rest and gives the answer's {status, bytes}. */
async function openUpload(broker, key) {
  const half = Buffer.alloc(500000, 'u');
  const req = https.request({ host: '127.0.0.1', port: broker.proxy, ca: broker.ca, path: '/mock/upload', method: 'POST', agent: false,
    headers: { authorization: `Bearer ${key}`, 'content-length': 2 * half.length } });
  const answer = new Promise((resolve, reject) => {
    req.on('error', reject).on('response', (res) => {
      let text = '';
      res.on('data', (d) => { text += d; }).on('end', () => resolve({ status: res.statusCode, bytes: JSON.parse(text).bytes }));
    });
  });
  req.write(half);
  await sleep(100);
  return { end: () => { req.end(half); return answer; } };
}

test('stopping: streams and uploads in flight end by themselves, idle connections are closed, new ones refused', async () => {
  await withBroker({}, async (broker, key) => {
    const idle = await connect(broker);
    const stream = await openStream(broker, key, 30);
    const upload = await openUpload(broker, key);
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    const slow = request(broker, 'GET', '/mock/slow?ms=600', { key, agent });
    await sleep(100);
    const closed = new Promise((done) => { idle.once('close', done); idle.on('error', () => {}).resume(); });
    const stopped = broker.stop();
    await closed;
    await until(async () => await status(broker, key) === 0, 'new connections to be refused');
    // the client of a kept connection is told that this was its last answer
    const last = await slow;
    assert.deepEqual([last.status, last.headers.connection], [200, 'close']);
    assert.deepEqual(await upload.end(), { status: 200, bytes: 1000000 });
    assert.deepEqual(await stream.ended, { whole: true, events: 30 });
    assert.equal((await stopped).code, 0);
    agent.destroy();
    await broker.launch();
    const rows = (await broker.lines(['audit', 'list', '--limit', '20'])).filter((r) => /sse|upload|slow/.test(r.path) && r.outcome);
    assert.deepEqual(rows.map((r) => r.outcome), ['complete', 'complete', 'complete']);
    assert.equal((await broker.json(['audit', 'verify'])).ok, true);
  });
});

test('stopping: what goes on for longer than the grace is cut, visibly and on record', async () => {
  await withBroker({ relays: 1 }, async (broker, key) => {
    const stream = await openStream(broker, key, 10000);
    const began = Date.now();
    const stopped = broker.stop();
    const { whole } = await stream.ended;
    assert.equal(whole, false);
    assert.ok(Date.now() - began > 8000, `cut after ${Date.now() - began} ms`);
    assert.equal((await stopped).code, 0);
    assert.ok(Date.now() - began < 16000);
    await broker.launch();
    const row = (await broker.lines(['audit', 'list', '--limit', '20'])).find((r) => /sse/.test(r.path) && r.outcome);
    assert.equal(row.outcome, 'broker');
  });
});

for (const role of ['relay', 'keeper', 'console', 'courier']) {
  test(`a killed ${role} is started again and requests are served`, async () => {
    await withBroker({}, async (broker, key) => {
      const pid = broker.pidOf(role);
      process.kill(pid, 'SIGKILL');
      await until(() => broker.pidOf(role) && !broker.processes().some((p) => p.pid === pid), `a new ${role}`);
      await until(async () => await status(broker, key) === 200, 'service', 15000);
      assert.equal((await broker.json(['audit', 'verify'])).ok, true);
    });
  });
}

/** Puts another certificate, of another CA, where the broker has its own. */
function replaceCertificate(broker) {
  const conf = readFileSync(broker.config, 'utf8');
  const keyFile = join(broker.dir, /tls-key\s+(\S+)/.exec(conf)[1]);
  const fresh = makeCertificates(mkdtempSync(join(dir, 'cert-')));
  copyFileSync(fresh.certFile, join(broker.dir, /tls-certificate\s+(\S+)/.exec(conf)[1]));
  copyFileSync(fresh.keyFile, keyFile);
  chmodSync(keyFile, 0o600);
  writeFileSync(join(broker.dir, 'ca.pem'), fresh.ca);
}

const serialOf = (socket) => new X509Certificate(socket.getPeerCertificate(true).raw).serialNumber;

test('over a reload with a new certificate nothing in flight is dropped, and every relay has it', async () => {
  await withBroker({ relays: 2 }, async (broker, key) => {
    const oldCa = broker.ca;
    const kept = await connect(broker);
    const old = serialOf(kept);
    let session;
    kept.on('session', (s) => { session = s; });
    let got = '';
    kept.on('data', (d) => { got += d; });
    const askKept = async () => {
      const before = got.split('HTTP/1.1 200').length;
      kept.write(`GET /mock/things HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\n\r\n`);
      await until(() => got.split('HTTP/1.1 200').length > before, 'an answer on the kept connection');
    };
    await askKept();
    const again = (ca) => new Promise((resolve, reject) => {
      const s = tls.connect({ host: '127.0.0.1', port: broker.proxy, ca, servername: 'localhost', session }, () => resolve(s)).on('error', reject);
    });
    // a session may be taken up again as long as its certificate is the one
    const reused = await until(async () => { const s = await again(oldCa); const is = s.isSessionReused(); s.destroy(); return is; }, 'a resumed session');
    assert.ok(reused);
    const stream = await openStream(broker, key, 40);
    const upload = await openUpload(broker, key);
    const slow = ask(broker, key, '/mock/slow?ms=900');
    await sleep(200);

    replaceCertificate(broker);
    broker.child.kill('SIGHUP');
    await until(async () => {
      const serials = await Promise.all(Array.from({ length: 16 }, () => connect(broker).then((s) => { const n = serialOf(s); s.destroy(); return n; }, () => old)));
      return serials.every((n) => n !== old);
    }, 'the new certificate from both relays');

    await askKept();
    assert.equal(serialOf(kept), old);
    assert.equal((await slow).status, 200);
    assert.deepEqual(await upload.end(), { status: 200, bytes: 1000000 });
    assert.deepEqual(await stream.ended, { whole: true, events: 40 });
    await askKept();
    // the old session is worth nothing any more: the handshake is a whole one
    const fresh = await again(broker.ca);
    assert.equal(fresh.isSessionReused(), false);
    assert.notEqual(serialOf(fresh), old);
    fresh.destroy();
    kept.destroy();
    assert.equal(await status(broker, key), 200);
  });
});

test('SIGHUP takes a new certificate without dropping open connections', async () => {
  await withBroker({ relays: 1 }, async (broker) => {
    const socket = await connect(broker);
    const old = serialOf(socket);
    replaceCertificate(broker);
    broker.child.kill('SIGHUP');
    await until(async () => {
      try {
        const now = await connect(broker);
        const changed = serialOf(now) !== old;
        now.destroy();
        return changed;
      } catch {
        return false;
      }
    }, 'the new certificate');
    let got = '';
    socket.on('data', (d) => { got += d; });
    socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await until(() => got.startsWith('HTTP/1.1 200'), 'an answer on the old connection');
    socket.destroy();
    writeFileSync(join(broker.dir, /tls-certificate\s+(\S+)/.exec(readFileSync(broker.config, 'utf8'))[1]), 'not a certificate');
    broker.child.kill('SIGHUP');
    await sleep(500);
    (await connect(broker)).destroy();
  });
});

test('a token that goes away gives 503, and service returns by itself when it is back', async () => {
  await withBroker({}, async (broker, key) => {
    const conf = readFileSync(join(broker.dir, 'softhsm2.conf'), 'utf8');
    const tokens = /directories\.tokendir\s*=\s*(\S+)/.exec(conf)[1];
    assert.equal(await status(broker, key), 200);
    renameSync(tokens, `${tokens}.away`);
    await until(async () => await status(broker, key) === 503, '503 without the token', 15000);
    assert.equal((await request(broker, 'GET', '/healthz')).status, 503);
    renameSync(`${tokens}.away`, tokens);
    await until(async () => await status(broker, key) === 200, 'service with the token back', 20000);
    assert.equal((await request(broker, 'GET', '/healthz')).status, 200);
  });
});

test('a full disk gives 503 and not one forwarded request; freed space brings the service back', { skip: process.getuid() !== 0 && 'needs root to mount a small file system' }, async () => {
  const base = mkdtempSync(join(tmpdir(), 'relaykey-full-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', base]);
  try {
    await withBroker({ dir: base }, async (broker, key) => {
      assert.equal(await status(broker, key), 200);
      try {
        execFileSync('dd', ['if=/dev/zero', `of=${join(base, 'ballast')}`, 'bs=64k'], { stdio: 'ignore' });
      } catch {
        // dd ends with "no space left", as it should
      }
      // what the WAL has already allocated may be used up first
      await until(async () => await status(broker, key) === 503, '503 on the full disk', 30000);
      const seen = upstream.count;
      for (let i = 0; i < 20; i++) assert.equal(await status(broker, key), 503);
      assert.equal(upstream.count, seen);
      assert.equal((await request(broker, 'GET', '/healthz')).status, 503);
      rmSync(join(base, 'ballast'));
      await until(async () => await status(broker, key) === 200, 'service after space was freed', 15000);
      assert.equal((await broker.json(['audit', 'verify'])).ok, true);
    });
  } finally {
    execFileSync('umount', [base]);
    rmSync(base, { recursive: true, force: true });
  }
});

/** Starts a broker that must not start; returns its log. */
async function mustNotStart(base, spoil) {
  const broker = Object.assign(new Broker(), { base, dir: join(base, 'broker') });
  broker.ports = await setUp(broker.dir);
  broker.config = join(broker.dir, 'relaykeyd.conf');
  spoil(broker);
  try {
    await assert.rejects(broker.launch(), /relaykeyd ended with 1/);
  } finally {
    await broker.stop(); // one that started after all must not outlive the test
  }
  return broker.log;
}

const bad = [
  ['a module that is not there', (b) => edit(b, /token-module .*/, 'token-module /nonexistent/module.so'), /\/nonexistent\/module\.so/],
  ['a configuration key that does not exist', (b) => edit(b, /$/, '\ncolour blue\n'), /relaykeyd\.conf:\d+.*colour/],
  ['a journal that is no database', (b) => writeFileSync(join(b.dir, 'journal.db'), 'x'.repeat(8192)), /journal/],
  ['a policy store of somebody else', (b) => copyFileSync(join(b.dir, 'journal.db'), join(b.dir, 'policy.db')), /policy/],
  ['a certificate that is not one', (b) => writeFileSync(join(b.dir, 'server.pem'), 'nothing'), /server\.pem|certificate/],
];

function edit(broker, what, to) {
  writeFileSync(broker.config, readFileSync(broker.config, 'utf8').replace(what, to));
}

for (const [what, spoil, says] of bad) {
  test(`${what}: refuses to start and says why`, async () => {
    const base = mkdtempSync(join(dir, 'bad-'));
    mkdirSync(base, { recursive: true });
    assert.match(await mustNotStart(base, spoil), says);
  });
}

test('a wrong PIN is tried once only, says so, and the broker stays sealed', async () => {
  const base = mkdtempSync(join(dir, 'pin-'));
  const broker = Object.assign(new Broker(), { base, dir: join(base, 'broker') });
  broker.ports = await setUp(broker.dir);
  broker.config = join(broker.dir, 'relaykeyd.conf');
  const pin = /token-pin-file\s+(\S+)/.exec(readFileSync(broker.config, 'utf8'))[1];
  writeFileSync(join(broker.dir, pin), '00000000\n', { mode: 0o600 });
  await broker.launch();
  try {
    await sleep(1500);
    assert.equal((await request(broker, 'GET', '/healthz')).status, 503);
    const state = await broker.json(['status']);
    assert.equal(state.sealed, true);
    assert.match(state.token.state, /PIN refused/);
    assert.equal((broker.log.match(/PIN/g) ?? []).length >= 1, true);
  } finally {
    await broker.stop();
  }
});

test('a token that is not there yet: stays sealed, says which, and answers 503', async () => {
  const base = mkdtempSync(join(dir, 'notoken-'));
  const broker = Object.assign(new Broker(), { base, dir: join(base, 'broker') });
  broker.ports = await setUp(broker.dir);
  broker.config = join(broker.dir, 'relaykeyd.conf');
  edit(broker, /^token .*/m, 'token nobody');
  await broker.launch();
  try {
    await until(() => broker.log.includes('nobody'), 'the reason in the log');
    assert.equal((await request(broker, 'GET', '/healthz')).status, 503);
    assert.equal((await broker.json(['status'])).sealed, true);
    const got = await broker.cli(['conn', 'list']);
    assert.equal(got.status, 1);
    assert.match(got.stderr, /sealed/);
  } finally {
    await broker.stop();
  }
});

test('a port in use is refused with the address in the message', async () => {
  await withBroker({}, async (first) => {
    const base = mkdtempSync(join(dir, 'port-'));
    const log = await mustNotStart(base, (b) => edit(b, /^console .*/m, `console 127.0.0.1:${first.ports.console}`));
    assert.match(log, new RegExp(`127\\.0\\.0\\.1:${first.ports.console}`));
  });
});

test('a second broker on the same directory is refused', async () => {
  await withBroker({}, async (broker) => {
    const got = await run(relaykeyd, ['--config', broker.config, '--foreground']);
    assert.equal(got.status, 1);
    assert.match(got.stderr, /already|running|lock/);
    assert.equal((await request(broker, 'GET', '/healthz')).status, 200);
  });
});

test('started by root, the roles that face the network run as somebody else', { skip: process.getuid() !== 0 && 'needs root' }, async () => {
  await withBroker({}, async (broker) => {
    // AddressSanitizer needs calls that no filter would allow: its builds have none
    const filter = readFileSync(`/proc/${broker.child.pid}/maps`, 'utf8').includes('libasan') ? 0 : 2;
    const filtered = new RegExp(`^Seccomp:\\s+${filter}$`, 'm');
    for (const role of ['relay', 'console', 'courier']) {
      const text = readFileSync(`/proc/${broker.pidOf(role)}/status`, 'utf8');
      assert.notEqual(/^Uid:\s+(\d+)/m.exec(text)[1], '0', role);
      assert.match(text, /^CapEff:\s+0+$/m);
      assert.match(text, /^NoNewPrivs:\s+1$/m);
      assert.match(text, filtered);
    }
    const keeper = readFileSync(`/proc/${broker.pidOf('keeper')}/status`, 'utf8');
    assert.match(keeper, /^CapEff:\s+0+$/m);
    assert.match(keeper, filtered);
  });
});

test('the console answers its health check over TLS', async () => {
  await withBroker({}, async (broker) => {
    const at = { ...broker, proxy: broker.ports.console, ca: broker.ca };
    assert.equal((await request(at, 'GET', '/healthz')).status, 200);
    const missing = await request(at, 'GET', '/nothing');
    assert.equal(missing.status, 404);
    assert.match(missing.headers['content-type'], /application\/problem\+json/);
  });
});

assert.ok(existsSync(join(BIN, 'relaykeyd')), 'build first: make');
