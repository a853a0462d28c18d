// The canary: after traffic with a planted upstream key (and with keep-alive connections left open), no copy of it may
// be in the memory of any process of the broker, in any file that it wrote, or in its log. The same for private keys of
// client certificates and for the credential of an egress proxy. The mail server's password and the signing secrets of
// webhooks may be in the keeper's secret memory, and nowhere else.
//
//   node canary.mjs            must find nothing; needs root (it reads /proc/PID/mem of undumpable processes)
//   node canary.mjs --expect-leak   for the build without the wipe: must find a copy, or the test proves nothing
//
// The broker runs with "secret-memory locked", because memfd_secret pages cannot be read from outside at all.
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import tls from 'node:tls';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { createPrivateKey, randomBytes } from 'node:crypto';
import { Broker, relaykey, sleep, until } from '../lib/broker.mjs';
import { ask, managementKey } from '../lib/api.mjs';
import { connect, request } from '../lib/client.mjs';
import { makeCertificates, makeClientCertificate } from '../mock/certs.mjs';
import { startHookServer } from '../mock/hookserver.mjs';
import { startMailServer } from '../mock/mailserver.mjs';
import { startProxy } from '../mock/proxy.mjs';
import { startRawServer } from '../mock/rawserver.mjs';
import { startUpstream } from '../mock/upstream.mjs';

const expectLeak = process.argv.includes('--expect-leak');
const CHUNK = 1 << 20;

/** The forms in which the secret could be left behind. */
function needles(secret) {
  const forms = { plain: secret, beginning: secret.slice(0, 24), end: secret.slice(-24), reversed: [...secret].reverse().join(''), 'utf-16': Buffer.from(secret, 'utf16le') };
  // base64 of the secret behind "user:" looks different at each of three alignments: search the part that does not
  for (const user of ['svc:', '', 'ab:']) forms[`base64 (${user || 'bare'})`] = Buffer.from(user + secret).toString('base64').slice(8, -4);
  forms.hex = Buffer.from(secret).toString('hex');
  return Object.entries(forms).map(([form, text]) => ({ form, bytes: Buffer.from(text) }));
}

/** What could be left of a private key: lines of its PEM, and its numbers in either order of bytes. */
function keyNeedles(name, pem) {
  const found = pem.split('\n').filter((line) => line.length > 40 && !line.startsWith('---'))
    .map((line, i) => ({ form: `${name} PEM line ${i + 1}`, bytes: Buffer.from(line) }));
  const jwk = createPrivateKey(pem).export({ format: 'jwk' });
  for (const part of ['d', 'p', 'q', 'dp', 'dq', 'qi']) {
    if (!jwk[part]) continue;
    // the middle: OpenSSL's limbs may be padded at either end
    const number = Buffer.from(jwk[part], 'base64url').subarray(3, -3);
    found.push({ form: `${name} ${part}`, bytes: number }, { form: `${name} ${part} reversed`, bytes: Buffer.from(number).reverse() });
  }
  return found;
}

function search(buffer, wanted) {
  return wanted.filter(({ bytes }) => buffer.includes(bytes)).map(({ form }) => form);
}

/** Searches all readable memory of a process; returns {found: [...], bytes}. */
function searchMemory(pid, wanted) {
  const found = [];
  let bytes = 0;
  const mem = openSync(`/proc/${pid}/mem`, 'r');
  const overlap = Math.max(...wanted.map((w) => w.bytes.length));
  for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
    const m = /^([0-9a-f]+)-([0-9a-f]+) (r)...\s+\S+\s+\S+\s+\S+\s*(.*)$/.exec(line);
    if (!m || m[4] === '[vvar]' || m[4] === '[vsyscall]' || m[4] === '[vvar_vclock]') continue;
    const [start, end] = [BigInt(`0x${m[1]}`), BigInt(`0x${m[2]}`)];
    const buffer = Buffer.alloc(CHUNK + overlap);
    for (let at = start; at < end; at += BigInt(CHUNK)) {
      const want = Number(end - at < BigInt(buffer.length) ? end - at : BigInt(buffer.length));
      let got = 0;
      try {
        got = readSync(mem, buffer, 0, want, at);
      } catch {
        continue; // unmapped meanwhile, or a mapping that cannot be read
      }
      bytes += got;
      for (const form of search(buffer.subarray(0, got), wanted)) {
        found.push(`${form} at ${m[1]} ${m[4] || '(anonymous)'}+0x${(at - start + BigInt(buffer.indexOf(wanted.find((w) => w.form === form).bytes))).toString(16)}`);
      }
    }
  }
  closeSync(mem);
  return { found, bytes };
}

/** Answers of an upstream that sends back what it was sent, in ways that leave it in different places of a relay. */
function echoes(secret) {
  const head = 'HTTP/1.1 200 OK\r\n';
  const chunk = (text) => `${text.length.toString(16)}\r\n${text}\r\n`;
  return {
    whole: (socket, text) => socket.write(`HTTP/1.1 103 Early Hints\r\nLink: <${secret}>\r\n\r\n${head}X-Echo: ${secret}\r\nSet-Cookie: a=${secret}\r\n`
      + `Content-Length: ${text.length}\r\n\r\n${text}`),
    pieces: async (socket, text) => {
      const body = `${secret} ${text}`;
      socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n`);
      for (let at = 0; at < body.length; at += 35) {
        socket.write(chunk(body.slice(at, at + 35)));
        await sleep(2);
      }
      socket.write('0\r\n\r\n');
    },
    extras: (socket) => socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n4;a=${secret}\r\ntext\r\n0\r\nX-Echo: ${secret}\r\n\r\n`),
    surplus: (socket) => socket.write(`${head}Content-Length: 2\r\n\r\nok${secret}`),
    garbage: (socket) => socket.write(`this is not HTTP, ${secret}\r\n\r\n`),
    badchunk: (socket) => socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n${chunk(`it is ${secret}`)}xyz\r\n`),
    cutoff: (socket) => { socket.write(`${head}Content-Length: 1000\r\n\r\n${secret.slice(0, 40)}`); setTimeout(() => socket.destroy(), 30); },
    // these are never ended: the client leaves
    begun: (socket, text) => socket.write(`${head}\r\n${text} ${secret.slice(0, 40)}`),
    begunhead: (socket) => socket.write(`${head}X-Echo: ${secret}\r\nX-More: ${secret.slice(0, 40)}`),
    // and these are open while memory is searched: less of the secret than the search looks for is on its way
    waits: (socket, text) => socket.write(`${head}\r\n${text} ${secret.slice(0, 20)}`),
    waitshead: (socket) => socket.write(`${head}X-Echo: ${secret}\r\nX-More: ${secret.slice(0, 20)}`),
    flood: (socket, text) => { for (let i = 0; i < 400; i++) socket.write(i ? text.repeat(64) : `${head}\r\n`); },
  };
}

/** Sends a request and leaves in the middle of the answer, without reading any of it. */
async function leave(broker, path, key, ms = 60) {
  const socket = await connect(broker);
  socket.pause();
  socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\n\r\n`);
  await sleep(ms);
  socket.destroy();
}

/** Stops an import of many keys in the middle and searches the memory of the command line; what was found, or why it could not be. */
async function searchImport(broker, upstream, way = ['--config', broker.config], more = []) {
  const keys = Array.from({ length: 30 }, () => `sk_${randomBytes(24).toString('hex')}`);
  const child = spawn(relaykey, [...way, 'import', '-', '--ca', upstream.caFile, '--allow-private', '--base-url', `elevenlabs=${upstream.baseUrl}`,
    '--proxy-url', broker.url]);
  child.stdout.resume();
  child.stderr.resume();
  const ended = new Promise((done) => child.once('exit', done));
  const before = (await broker.lines(['conn', 'list'])).length;
  child.stdin.end(keys.map((key, i) => `K${i}=${key}\n`).join(''));
  while (child.exitCode === null && (await broker.lines(['conn', 'list'])).length < before + 3);
  if (child.exitCode !== null) return ['the import was over too soon'];
  child.kill('SIGSTOP');
  await sleep(50);
  // where the kernel hides the arena, whatever is found is a copy
  const hidden = readFileSync(`/proc/${child.pid}/maps`, 'utf8').includes('/secretmem');
  const { found, bytes } = searchMemory(child.pid, [...keys, ...more].flatMap((key) => [{ form: 'plain', bytes: Buffer.from(key) }, { form: 'end', bytes: Buffer.from(key.slice(-24)) }]));
  child.kill('SIGCONT');
  const status = await ended;
  if (status !== 0) return [`the import ended with ${status}`];
  return bytes < 1048576 ? ['memory could not be read'] : hidden ? found : [];
}

function* files(dir) {
  for (const name of readdirSync(dir)) {
    const path = join(dir, name);
    const stat = statSync(path);
    if (stat.isDirectory()) yield* files(path);
    else if (stat.isFile()) yield path;
  }
}

/** Traffic over an upstream that asks for a certificate, through a proxy that asks for a credential, with ends of all kinds. */
async function driveEgress(broker, dir, upstreamKey, proxySecret, clients) {
  const certs = makeCertificates(dir);
  const upstreams = [];
  const proxy = await startProxy({ auth: proxySecret });
  const secretFile = join(dir, 'proxy-secret');
  writeFileSync(secretFile, proxySecret, { mode: 0o600 });
  const problems = [];
  for (const [i, maxVersion] of ['TLSv1.3', 'TLSv1.2'].entries()) {
    const server = https.createServer({ cert: certs.cert, key: certs.key, ca: certs.ca, requestCert: true, rejectUnauthorized: true,
      maxVersion }, (req, res) => {
      req.resume();
      if (req.url.endsWith('/drop')) return req.socket.destroy();
      return req.on('end', () => res.end(req.socket.getPeerCertificate().subject.CN));
    });
    server.on('tlsClientError', () => {});
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    upstreams.push(server);
    const name = `egress${i}`;
    const to = { baseUrl: `https://127.0.0.1:${server.address().port}`, caFile: certs.caFile, key: upstreamKey };
    const proxied = ['--egress-proxy', proxy.url, '--egress-proxy-secret-file', secretFile];
    await broker.addConnection(name, to, { extra: [...proxied, '--client-cert', clients[0].certFile, '--client-key-file', clients[0].keyFile] });
    const { key } = await broker.issueKey(name);
    const get = (path = 'x') => request(broker, 'GET', `/${name}/${path}`, { key });
    const expect = async (cn) => {
      const answer = await get();
      if (answer.text !== cn) problems.push(`${answer.status} instead of ${cn}: ${answer.text.slice(0, 300)}`);
    };
    for (const client of clients) {
      await broker.json(['conn', 'set-identity', name, '--client-cert', client.certFile, '--client-key-file', client.keyFile]);
      for (let n = 0; n < 8; n++) {
        await Promise.all([expect(client.cn), expect(client.cn), expect(client.cn)]);
        await get('drop').catch(() => {});
        for (const socket of proxy.tunnels) socket.destroy();
      }
      // dials that fail: refused by the proxy, cut off in the answer, no TLS behind it
      for (const manner of [(socket) => socket.end('HTTP/1.1 407 No\r\n\r\n'), (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'), (socket) => socket.destroy()]) {
        proxy.manner = (socket) => { manner(socket); return true; };
        for (const socket of proxy.tunnels) socket.destroy();
        await sleep(20);
        if ((await get()).status !== 502) problems.push('a dial that must fail did not');
      }
      await broker.cli(['conn', 'test', name]);
      proxy.manner = null;
      await broker.cli(['conn', 'test', name, '--path', '/drop']);
      await expect(client.cn);
    }
    // a key that does not belong to the certificate, and one that is taken back
    await broker.cli(['conn', 'set-identity', name, '--client-cert', clients[0].certFile, '--client-key-file', clients[1].keyFile]);
  }
  return { problems, stop: () => Promise.all([proxy.stop(), ...upstreams.map((u) => new Promise((done) => { u.close(done); u.closeAllConnections(); }))]) };
}

/** Mail with a login and signed webhooks, with ends of all kinds; returns what they must not leave behind. */
async function driveCourier(broker, dir, password) {
  const auth = { user: 'svc', pass: password };
  const servers = { good: await startMailServer({ dir, auth }), direct: await startMailServer({ dir, auth, tls: 'tls' }), wrong: await startMailServer({ dir, auth: { user: 'svc', pass: 'x' } }) };
  const hook = await startHookServer({ dir });
  const problems = [];
  const use = (server, tls = 'starttls', ca = server.caFile) => broker.json(['settings', 'set', '--smtp-host', '127.0.0.1', '--smtp-port', String(server.port), '--smtp-tls', tls,
    '--smtp-user', 'svc', '--smtp-password-file', '-', '--smtp-ca', ca, '--mail-from', 'relaykey@example.com'], password);
  const { secret } = await broker.json(['webhook', 'add', 'canary', '--url', hook.url, '--ca', hook.caFile, '--allow-private']);
  const send = async (n = 3) => {
    for (let i = 0; i < n; i++) {
      await broker.cli(['settings', 'test-mail', `canary${i}@example.com`]);
      await broker.cli(['webhook', 'test', 'canary']);
    }
    await sleep(600);
  };
  await use(servers.wrong);
  await send();
  await use(servers.good, 'starttls', hook.caFile); // a certificate that does not verify: no login
  await send();
  await use(servers.good);
  await send(6);
  servers.good.manner = (step) => (step === 'rcpt' ? 550 : null);
  await send();
  await use(servers.direct, 'tls');
  await send(6);
  const rotated = (await broker.json(['webhook', 'rotate', 'canary'])).secret;
  hook.answer = 500;
  await send();
  hook.answer = 200;
  await send();
  // what is under way has its password in secret memory: the search is for what is left behind
  await until(async () => !(await broker.lines(['delivery', 'list', '--state', 'waiting'])).length, 'an empty outbox', 60000);
  if (servers.good.received.length < 6 || servers.direct.received.length < 6) problems.push('mails are missing');
  if (!servers.wrong.state.logins.length) problems.push('the wrong server was not asked');
  if (hook.received.length < 20) problems.push(`${hook.received.length} webhooks`);
  return { problems, secrets: [secret, rotated], stop: () => Promise.all([hook.stop(), ...Object.values(servers).map((s) => s.stop())]) };
}

/** The same secret brought through the management interface, in requests of all kinds of ends. Returns an issued relay key. */
async function driveInterface(broker, upstream, secret, proxySecret, problems) {
  const token = await managementKey(broker);
  const body = (more) => ({ name: 'interface', base_url: `${upstream.baseUrl}/v1`, secret, allow_private: true, ca_pem: readFileSync(upstream.caFile, 'utf8'), ...more });
  const post = (path, document, options = {}) => ask(broker, 'POST', path, { token, body: document, ...options });
  const expect = async (status, answer) => {
    const got = await answer;
    if (got.status !== status) problems.push(`${got.status} instead of ${status}: ${got.text.slice(0, 200)}`);
    if (got.text.includes(secret)) problems.push('the secret came back');
    return got;
  };
  const json = { 'content-type': 'application/json' };
  await expect(201, post('/api/v1/connections', body({ egress_proxy: 'http://127.0.0.1:3128', egress_proxy_secret: proxySecret })));
  await expect(200, post('/api/v1/connections/interface/rotate', { secret }));
  // refused: by its schema, by the keeper, as JSON, as a parameter, in the wrong member, without a key
  await expect(422, post('/api/v1/connections', body({ auth: 7 })));
  await expect(422, post('/api/v1/connections', { ...body(), name: secret.repeat(2) }));
  await expect(409, post('/api/v1/connections', body()));
  await expect(400, post('/api/v1/connections', undefined, { headers: json, raw: `{"secret":"${secret}","secret":"${secret}"}` }));
  await expect(400, post('/api/v1/connections', undefined, { headers: json, raw: `{"secret":"${secret}` }));
  await expect(400, post('/api/v1/connections', undefined, { headers: json, raw: `{"secret":"\\u0063${secret.slice(1)}" "` }));
  await expect(422, post('/api/v1/connections', { [secret]: 1 }));
  await expect(400, post(`/api/v1/connections?secret=${secret}`, body()));
  await expect(404, post(`/api/v1/connections/${secret}/rotate`, { secret }));
  await expect(413, post('/api/v1/connections', body({ ca_pem: 'x'.repeat(70000) })));
  await expect(401, ask(broker, 'POST', '/api/v1/connections', { body: body(), token: 'none' }));
  await expect(401, ask(broker, 'GET', '/api/v1/status', { token: `rk_mgmt_admin_${secret}` }));
  await expect(201, post('/api/v1/connections', undefined, { raw: JSON.stringify(body({ name: 'chunked' })), headers: { ...json, 'transfer-encoding': 'chunked' } }));
  // changed, brought back, tested
  const patch = (path, document) => ask(broker, 'PATCH', path, { token, body: document });
  await expect(200, patch('/api/v1/connections/interface', { base_url: `${upstream.baseUrl}/v2`, secret }));
  await expect(422, patch('/api/v1/connections/interface', { secret, more: 1 }));
  await expect(409, patch('/api/v1/connections/interface', { name: 'chunked', secret }));
  await expect(200, patch('/api/v1/connections/chunked', { secret }));
  await expect(200, post('/api/v1/connections/chunked/rollback', { version: 1 }));
  await expect(200, post('/api/v1/connections/chunked/test', { path: '/things' }));
  // clients that leave in the middle
  for (const part of [0.5, 0.9]) {
    const text = JSON.stringify(body({ name: 'left' }));
    const socket = tls.connect({ host: '127.0.0.1', port: broker.ports.console, ca: broker.ca });
    socket.on('error', () => {});
    socket.write(`POST /api/v1/connections HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n`
      + `Content-Length: ${text.length}\r\n\r\n${text.slice(0, text.length * part)}`);
    await sleep(100);
    socket.destroy();
  }
  const key = await expect(201, post('/api/v1/relay-keys', { holder: { kind: 'app', name: 'a' }, grants: [{ connection_id: 'interface', allowed_methods: ['GET'], allowed_paths: ['/**'] }] }));
  return key.json?.key ?? 'none';
}

/** The mail server's password, signing secrets and a leaked key through the management interface; returns what must not be left. */
async function driveOutward(broker, upstream, password, problems) {
  const token = await managementKey(broker);
  const expect = async (status, method, path, options) => {
    const got = await ask(broker, method, path, { token, ...options });
    if (got.status !== status) problems.push(`${method} ${path}: ${got.status} instead of ${status}: ${got.text.slice(0, 200)}`);
    if (got.text.includes(password)) problems.push('the password came back');
    return got.json ?? {};
  };
  const settings = { smtp_user: 'svc', smtp_password: password };
  await expect(200, 'PATCH', '/api/v1/settings', { body: settings });
  await expect(422, 'PATCH', '/api/v1/settings', { body: { ...settings, smtp_tls: 'ssl' } });
  await expect(422, 'PATCH', '/api/v1/settings', { body: { ...settings, smtp_tls: 'none' } });
  await expect(422, 'PATCH', '/api/v1/settings', { body: { [password]: 1 } });
  await expect(412, 'PATCH', '/api/v1/settings', { body: settings, headers: { 'if-match': '"4711"' } });
  const hook = { name: 'outward', url: 'https://hooks.example.com/', events: ['token.lost'] };
  const made = await expect(201, 'POST', '/api/v1/webhooks', { body: hook });
  const rotated = await expect(200, 'POST', '/api/v1/webhooks/outward/rotate-secret');
  await broker.addConnection('outward', upstream);
  const { key } = await broker.issueKey('outward');
  const json = { 'content-type': 'application/json' };
  const report = JSON.stringify([{ token: key, type: 'relaykey', url: `https://example.com/?k=${key}`, source: 'commit' }]);
  await expect(401, 'POST', '/api/v1/leaks/github', { token: '', raw: report, headers: { ...json, 'github-public-key-identifier': 'x', 'github-public-key-signature': 'AAAA' } });
  await expect(400, 'POST', '/api/v1/leaks', { raw: `{"tokens":["${key}"`, headers: json });
  await expect(422, 'POST', '/api/v1/leaks', { body: { tokens: [key], more: key } });
  await expect(200, 'POST', '/api/v1/leaks', { raw: `${key}\n`, headers: { 'content-type': 'text/plain' } });
  await expect(200, 'POST', '/api/v1/leaks', { body: { tokens: [key] } });
  return { secrets: [made.secret ?? '', rotated.secret ?? ''], key };
}

async function main() {
  const dir = mkdtempSync(join(tmpdir(), 'relaykey-canary-'));
  // made at run time, so that it can be in no page cache or binary by accident
  const secret = `canary-${randomBytes(24).toString('hex')}-upstream`;
  const rotated = `canary-${randomBytes(24).toString('hex')}-rotated`;
  const importedKey = `sk_${randomBytes(24).toString('hex')}`;
  const proxyPassword = `canary-${randomBytes(24).toString('hex')}-proxy`;
  const mailPassword = `canary-${randomBytes(24).toString('hex')}-mail`;
  const upstream = await startUpstream({ dir, key: secret });
  const echo = await startRawServer({ dir, key: secret, answers: echoes(secret) });
  const broker = await Broker.start({ relays: 2, config: ['secret-memory locked'] });
  let failures = 0;
  let checks = 0;
  let leaks = 0;
  const check = (what, hits) => {
    checks++;
    if (hits.length) failures++;
    const verdict = expectLeak ? '#' : hits.length ? 'not ok' : 'ok';
    console.log(`${verdict} ${checks} - ${what}${hits.length ? `: ${[...new Set(hits)].slice(0, 6).join('; ')}` : ''}`);
  };
  try {
    const agents = [];
    const waiting = [];
    const styles = { bearer: ['bearer'], basicuser: ['basic:svc'], header: ['header:x-custom-key'], query: ['query:api_key'] };
    for (const [name, auth] of Object.entries(styles)) {
      await broker.addConnection(name, upstream, { auth });
      const { key } = await broker.issueKey(name);
      for (let c = 0; c < 6; c++) {
        const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
        agents.push(agent);
        for (let i = 0; i < 12; i++) {
          const path = ['things', 'sse?n=2&ms=5', 'status/500', 'bytes?n=70000'][i % 4];
          await request(broker, 'GET', `/${name}/${path}`, { key, agent });
          if (i % 4 === 0) await request(broker, 'POST', `/${name}/upload`, { key, agent, body: randomBytes(40000) });
        }
      }
      // sent over a pooled connection and not answered yet, during the search too: the head is gone already
      waiting.push(request(broker, 'GET', `/${name}/slow?ms=120000`, { key, agent: agents.at(-1) }).catch(() => {}));
      // ends that are not clean: the upstream hangs up, the client hangs up, the key is revoked in the middle
      await request(broker, 'GET', `/${name}/close`, { key }).catch(() => {});
      await request(broker, 'GET', `/${name}/truncate`, { key }).catch(() => {});
      await request(broker, 'GET', `/${name}/things`, { key: `${key}x` });
      const gone = https.get({ host: '127.0.0.1', port: broker.proxy, ca: broker.ca, path: `/${name}/sse?n=100&ms=20`,
        headers: { authorization: `Bearer ${key}` } });
      gone.on('error', () => {});
      await sleep(120);
      gone.destroy();
      const { id, key: doomed } = await broker.issueKey(name);
      const cut = request(broker, 'GET', `/${name}/sse?n=100&ms=20`, { key: doomed }).catch(() => {});
      await sleep(120);
      await broker.json(['key', 'revoke', id]);
      await cut;
    }
    // a .env file: the broker gets the key from the command line's import
    const imported = await startUpstream({ dir, key: importedKey });
    const env = `ELEVENLABS_BASE_URL=${imported.baseUrl}\nELEVENLABS_API_KEY=${importedKey}\n`;
    const made = await broker.cli(['import', '-', '--ca', imported.caFile, '--allow-private'], env);
    const importedRelay = /rk_app_\w+/.exec(made.stdout)?.[0];
    for (let i = 0; i < 8; i++) await request(broker, 'GET', '/elevenlabs/v1/things', { headers: { 'xi-api-key': importedRelay } });
    await broker.addConnection('rotating', upstream);
    await broker.json(['conn', 'rotate', 'rotating', '--secret-file', '-'], rotated);
    const { key: rk } = await broker.issueKey('rotating');
    await request(broker, 'GET', '/rotating/things', { key: rk });
    // brought back, given again with another base URL, tested: each takes a secret through the keeper or a relay once more
    await broker.json(['conn', 'rollback', 'rotating', '1']);
    await request(broker, 'GET', '/rotating/things', { key: rk });
    await broker.json(['conn', 'update', 'rotating', '--base-url', `${upstream.baseUrl}/v2`, '--secret-file', '-'], rotated);
    await broker.cli(['conn', 'rollback', 'rotating', '1']);
    for (const name of [...Object.keys(styles), 'rotating']) {
      for (const path of ['/things', '/close', '/nothing']) await broker.cli(['conn', 'test', name, '--path', path]);
    }
    const clients = ['curve', 'rsa'].map((cn) => ({ cn, ...makeClientCertificate(dir, 'mock', cn, { rsa: cn === 'rsa' }) }));
    const egress = await driveEgress(broker, dir, secret, `svc:${proxyPassword}`, clients);
    const courier = await driveCourier(broker, dir, mailPassword);
    const viaInterface = [];
    const issued = await driveInterface(broker, upstream, secret, `svc:${proxyPassword}`, viaInterface);
    const outward = await driveOutward(broker, upstream, mailPassword, viaInterface);
    // at the end and all at once, so that no later request cleans up by accident
    const echoKeys = {};
    for (const [name, auth] of Object.entries(styles)) {
      await broker.addConnection(`echo${name}`, echo, { auth });
      echoKeys[name] = (await broker.issueKey(`echo${name}`)).key;
    }
    for (const [name, key] of Object.entries(echoKeys)) {
      for (const way of ['waits', 'waitshead', 'flood']) waiting.push(leave(broker, `/echo${name}/${way}`, key, 15000).catch(() => {}));
    }
    await sleep(500);
    await Promise.all(Object.entries(echoKeys).flatMap(([name, key]) => [1, 2].flatMap(() => [
      ...['whole', 'pieces', 'extras', 'surplus', 'garbage', 'badchunk', 'cutoff'].map((way) => request(broker, 'GET', `/echo${name}/${way}`, { key }).catch(() => {})),
      ...['begun', 'begunhead', 'flood'].map((way) => leave(broker, `/echo${name}/${way}`, key, 300)),
    ])));
    for (let i = 0; i < 8; i++) await request(broker, 'GET', '/echobearer/extras', { key: echoKeys.bearer });
    await sleep(300);

    const keys = clients.flatMap(({ cn, key }) => keyNeedles(cn, key));
    const wanted = [...needles(secret), ...needles(rotated), ...needles(importedKey), ...needles(proxyPassword), ...keys, { form: 'issued relay key', bytes: Buffer.from(issued) },
      { form: 'leaked relay key', bytes: Buffer.from(outward.key) }];
    const outgoing = [mailPassword, ...courier.secrets, ...outward.secrets].flatMap(needles);
    check('the proxy and the client certificates were used as meant', egress.problems);
    check('mail and webhooks were sent as meant', courier.problems);
    check('the management interface was used as meant', viaInterface);
    check('the search finds a private key in a process that has it', searchMemory(process.pid, keys).found.length ? [] : ['not found in the canary itself']);
    const processes = broker.processes();
    const roles = new Set(processes.map((p) => p.role));
    check('all roles are running', ['supervisor', 'keeper', 'relay', 'console', 'courier'].filter((r) => !roles.has(r)).map((r) => `no ${r}`));
    // the search itself must be able to find something: the upstream's own memory holds the key
    check('the search finds the key in a process that has it', searchMemory(process.pid, wanted).found.length ? [] : ['not found in the mock upstream']);
    for (const { pid, role } of processes) {
      const { found, bytes } = searchMemory(pid, role === 'keeper' ? wanted : [...wanted, ...outgoing]);
      if (role === 'keeper') {
        // "form at START name+offset": all in one mapping, which is the arena
        const places = new Set(searchMemory(pid, outgoing).found.map((f) => / at (\w+) /.exec(f)[1]));
        check('passwords and signing secrets are in the secret memory of the keeper alone', places.size === 1 || expectLeak ? [] : [`${places.size} mappings`]);
      }
      leaks += found.length;
      check(`no copy in the memory of the ${role} (${(bytes / 1048576).toFixed(1)} MiB read)`, bytes < 1048576 ? ['memory could not be read'] : found);
    }
    let count = 0;
    for (const file of files(broker.dir)) {
      const hits = search(readFileSync(file), [...wanted, ...outgoing]);
      count++;
      if (hits.length) check(`no copy in ${file}`, hits);
    }
    check(`no copy in the ${count} files of the state directory`, count > 5 ? [] : ['too few files were found']);
    check('no copy in the log', search(Buffer.from(broker.log), [...wanted, ...outgoing]));
    check('the imported key was used and shown to nobody', [...(imported.seen.some((r) => r.authorized) ? [] : ['no authorized request']), ...imported.complaints,
      ...search(Buffer.from(made.stdout + made.stderr), needles(importedKey))]);
    check('no copy in the memory of an import in the middle of its work', await searchImport(broker, imported));
    const management = await managementKey(broker);
    const tokenFile = join(dir, 'management-key');
    writeFileSync(tokenFile, management, { mode: 0o600 });
    check('nor of one from elsewhere, nor of its management key', await searchImport(broker, imported,
      ['--url', `https://127.0.0.1:${broker.ports.console}`, '--token-file', tokenFile, '--ca', broker.caFile], [management]));
    check('the echoing upstream was asked in every way', Object.keys(echo.answers).filter((way) => !echo.requests.some((r) => r.name === way)));
    check('the upstream saw the real key and nothing else', [...upstream.complaints, ...(upstream.seen.some((r) => r.authorized) ? [] : ['no authorized request'])]);
    for (const agent of agents) agent.destroy();
    await Promise.all(waiting);
    await imported.stop();
    await egress.stop();
    await courier.stop();
  } finally {
    await broker.end();
    await upstream.stop();
    await echo.stop();
    rmSync(dir, { recursive: true, force: true });
  }
  if (expectLeak) {
    console.log(`${leaks ? 'ok' : 'not ok'} 1 - a build without the wipe is caught: ${leaks} copies found`);
    process.exit(leaks ? 0 : 1);
  }
  console.log(`# pass ${checks - failures}\n# fail ${failures}`);
  process.exit(failures ? 1 : 0);
}

if (process.getuid() !== 0) {
  console.log('not ok - the canary test needs root: it reads the memory of undumpable processes');
  process.exit(1);
}
await main();
