// What no well-behaved client or upstream sends. Every refusal has a twin that differs in the one thing and passes.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker, until } from '../lib/broker.mjs';
import { connect, isWhole, raw, request, statusOf } from '../lib/client.mjs';
import { startRawServer } from '../mock/rawserver.mjs';
import { startUpstream } from '../mock/upstream.mjs';

const REAL_KEY = 'sk-real-73fe10b9c2a4d586-upstream-only';
let dir, upstream, wire, broker, key, pids;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'relaykey-strict-'));
  upstream = await startUpstream({ dir, key: REAL_KEY });
  wire = await startRawServer({ dir, key: REAL_KEY });
  broker = await Broker.start({ relays: 1 });
  await broker.addConnection('mock', upstream);
  await broker.addConnection('wire', wire);
  const grant = ['--method', '*', '--path', '/**'];
  key = (await broker.json(['key', 'issue', '--holder', 'app:strict', '--conn', 'mock', ...grant, '--conn', 'wire', ...grant])).key;
  pids = broker.processes().map((p) => `${p.role} ${p.pid}`).sort();
});

after(async () => {
  await broker?.end();
  await upstream?.stop();
  await wire?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** A request as bytes: `line`, then Host and the key, then `more` (each a line), then `body`. */
function bytes({ line = 'GET /mock/things HTTP/1.1', host = 'Host: localhost', more = [], body = '', eol = '\r\n' } = {}) {
  const lines = [line, ...(host === null ? [] : [host]), `Authorization: Bearer ${key}`, ...more];
  return Buffer.from(lines.join(eol) + eol + eol + body, 'latin1');
}

const post = (more, body = 'hello') => bytes({ line: 'POST /mock/things HTTP/1.1', more, body });
/** Everything that is answered within some time; `askOne`: up to the end of one answer. */
const ask = (data, ms = 800) => raw(broker, data, { ms });
const askOne = (data) => raw(broker, data, { ms: 3000, enough: isWhole });

/** Sends it; the answer, which has to come with the end of the connection and may not be followed by another. */
async function refused(data, status) {
  const seen = upstream.count;
  const answer = await ask(data, 400);
  assert.equal(statusOf(answer), status, answer.slice(0, 200));
  assert.equal(answer.match(/HTTP\/1\.1 \d{3}/g).length, 1, answer);
  assert.match(answer, /\r\nconnection: close\r\n/i);
  assert.equal(upstream.count, seen, 'it reached the upstream');
  return answer;
}

/**
 * Declares a test of malformed requests: `bad` is a list of [what, bytes]; each is refused with `status` and the detail
 * `code`. `good` are the twins.
 */
function strict(name, { status = 400, code, bad, good }) {
  test(`${name}: refused, and the twin passes`, async () => {
    for (const [what, make] of bad()) {
      const answer = await refused(make, status);
      assert.ok(answer.includes(`(${code})`), `${what}: ${answer.slice(answer.indexOf('{'))}`);
    }
    for (const [what, make] of good()) {
      const seen = upstream.count;
      assert.equal(statusOf(await askOne(make)), 200, what);
      assert.equal(upstream.count, seen + 1, what);
    }
  });
}

const headers = (list) => list.map(([what, ...more]) => [what, bytes({ more })]);

strict('line ends that are not CR LF, and folded lines', {
  code: 'bad_line_end',
  bad: () => [
    ['bare LF throughout', bytes({ eol: '\n' })],
    ...headers([['one bare CR', 'X-A: 1\rX-B: 2'], ['one bare LF', 'X-A: 1\nX-B: 2'], ['a folded value', 'X-A: 1', ' 2'], ['a value folded with a tab', 'X-A: 1', '\t2']]),
    ['a blank before the first field', bytes({ host: ' Host: localhost' })],
  ],
  good: () => headers([['two fields', 'X-A: 1', 'X-B: 2'], ['blanks inside a value', 'X-A: 1 2\t3']]),
});

strict('field names that are none', {
  code: 'bad_header_name',
  bad: () => headers([
    ['a space before the colon', 'X-A : 1'], ['a tab before the colon', 'X-A\t: 1'], ['no name', ': 1'], ['no colon', 'X-A'],
    ['a bracket', 'X(A): 1'], ['a control byte', 'X\x01A: 1'], ['a NUL', 'X\0A: 1'], ['a byte over 127', 'X\xe9A: 1'],
    ['an underscore spelling of Content-Length', 'Content_Length: 5'], ['... of Transfer-Encoding', 'Transfer_Encoding: chunked'],
  ]),
  good: () => headers([['every byte of a token', "X-!#$%&'*+.^_`|~09aZ: 1"]]),
});

strict('field values with bytes that are not text', {
  code: 'bad_header_value',
  bad: () => headers([0, 1, 8, 11, 12, 27, 127, 128, 255].map((b) => [`byte ${b}`, `X-A: a${String.fromCharCode(b)}b`])),
  good: () => headers([['tab and visible bytes', 'X-A: a\t b~!"\\'], ['an empty value', 'X-A:'], ['no blank behind the colon', 'X-A:1']]),
});

strict('lengths that could be read in two ways', {
  code: 'bad_content_length',
  bad: () => ['5, 5', '+5', '-1', '0x5', '5 5', '05', '5.0', '', 'five', '9223372036854775808', '99999999999999999999']
    .map((v) => [v, post([`Content-Length: ${v}`])])
    .concat([['two that differ', post(['Content-Length: 5', 'Content-Length: 6'])], ['two that agree', post(['Content-Length: 5', 'Content-Length: 5'])]]),
  good: () => [['one number', post(['Content-Length: 5'])], ['blanks around it', post(['content-length:  5 '])]],
});

strict('transfer codings other than one "chunked"', {
  code: 'bad_framing',
  bad: () => [['gzip'], ['gzip, chunked'], ['chunked, chunked'], ['chunked, identity'], ['xchunked'], ['chunked;a=b'], ['"chunked"'], ['']]
    .map(([v]) => [v, post([`Transfer-Encoding: ${v}`], '5\r\nhello\r\n0\r\n\r\n')])
    .concat([
      ['twice', post(['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], '0\r\n\r\n')],
      ['with a length', post(['Content-Length: 5', 'Transfer-Encoding: chunked'], '0\r\n\r\n')],
      ['with a length behind it', post(['Transfer-Encoding: chunked', 'Content-Length: 5'], '0\r\n\r\n')],
      ['on HTTP/1.0', bytes({ line: 'POST /mock/things HTTP/1.0', more: ['Transfer-Encoding: chunked'], body: '0\r\n\r\n' })],
    ]),
  good: () => [['chunked', post(['Transfer-Encoding: chunked'], '5\r\nhello\r\n0\r\n\r\n')], ['in capitals', post(['TRANSFER-ENCODING: CHUNKED'], '0\r\n\r\n')]],
});

strict('versions other than 1.0 and 1.1', {
  code: 'bad_http_version',
  bad: () => ['GET /mock/things', 'GET /mock/things HTTP/2.0', 'GET /mock/things HTTP/1.2', 'GET /mock/things HTTP/1.10', 'GET /mock/things http/1.1',
    'GET /mock/things HTTP/1.1 ', 'GET /mock/things HTTP/1', 'GET /mock/things  HTTP/1.1'].map((line) => [line, bytes({ line })]),
  good: () => [['1.1', bytes()], ['1.0', bytes({ line: 'GET /mock/things HTTP/1.0' })]],
});

strict('hosts that are missing, repeated or malformed', {
  code: 'bad_host',
  bad: () => [
    ['none', bytes({ host: null })], ['two', bytes({ more: ['Host: localhost'] })], ['two that differ', bytes({ more: ['Host: other'] })],
    ...['a b', 'user@localhost', 'localhost/mock', 'localhost,other', 'local host:1', 'localhost:port'].map((h) => [h, bytes({ host: `Host: ${h}` })]),
    ['not that of the target', bytes({ line: 'GET https://other/mock/things HTTP/1.1' })],
  ],
  good: () => [['with a port', bytes({ host: 'Host: localhost:8443' })], ['that of the target', bytes({ line: 'GET https://localhost/mock/things HTTP/1.1' })],
    ['none on 1.0', bytes({ line: 'GET /mock/things HTTP/1.0', host: null })]],
});

strict('targets that are no path', {
  code: 'bad_target',
  bad: () => ['OPTIONS * HTTP/1.1', 'GET localhost:443 HTTP/1.1', 'GET ftp://localhost/mock/things HTTP/1.1', 'GET https://localhost HTTP/1.1',
    'GET mock/things HTTP/1.1', 'GET https:///mock/things HTTP/1.1', 'PRI * HTTP/2.0', 'GET /mock/a\x01b HTTP/1.1'].map((line) => [line, bytes({ line })]),
  good: () => [['OPTIONS on a path', bytes({ line: 'OPTIONS /mock/things HTTP/1.1' })]],
});

strict('methods that are none, and CONNECT and TRACE', {
  code: 'bad_method',
  bad: () => ['CONNECT localhost:443 HTTP/1.1', 'TRACE /mock/things HTTP/1.1', 'G(T /mock/things HTTP/1.1', 'GE\tT /mock/things HTTP/1.1',
    `${'A'.repeat(25)} /mock/things HTTP/1.1`, ' GET /mock/things HTTP/1.1'].map((line) => [line, bytes({ line })]),
  good: () => [['a longer one', bytes({ line: 'PROPFIND /mock/things HTTP/1.1' })]],
});

strict('a Connection field that names what frames or authenticates', {
  code: 'bad_connection_header',
  bad: () => headers(['Host', 'Authorization', 'x-api-key', 'X-RelayKey', 'Content-Length', 'Transfer-Encoding', 'keep-alive, authorization', 'a b']
    .map((v) => [v, `Connection: ${v}`])),
  good: () => headers([['a field of its own', 'Connection: x-hop', 'X-Hop: 1'], ['nothing', 'Connection: ,'], ['keep-alive', 'Connection: keep-alive']]),
});

strict('an expectation other than 100-continue', {
  status: 417,
  code: 'bad_expect',
  bad: () => headers([['unknown', 'Expect: 200-ok'], ['two', 'Expect: 100-continue', 'Expect: 100-continue']]),
  good: () => headers([['with no body to wait for', 'X-Expect: 200-ok']]),
});

strict('too many fields', {
  status: 431,
  code: 'too_many_headers',
  bad: () => [['101', bytes({ more: Array.from({ length: 99 }, (_, i) => `X-${i}: 1`) })]],
  good: () => [['100', bytes({ more: Array.from({ length: 98 }, (_, i) => `X-${i}: 1`) })]],
});

strict('a head that is too large', {
  status: 431,
  code: 'head_too_large',
  bad: () => [
    ['one field', bytes({ more: [`X-A: ${'a'.repeat(33000)}`] })],
    ['many fields', bytes({ more: Array.from({ length: 90 }, (_, i) => `X-${i}: ${'a'.repeat(400)}`) })],
    ['no end of it', Buffer.from(`GET /mock/things HTTP/1.1\r\nX-A: ${'a'.repeat(70000)}`)],
    ['no end of the request line', Buffer.from(`GET /${'a'.repeat(70000)}`)],
    ['100 KB with an end', bytes({ more: Array.from({ length: 50 }, (_, i) => `X-${i}: ${'a'.repeat(2000)}`) })],
  ],
  good: () => [['12 KB', bytes({ more: [`X-A: ${'a'.repeat(12000)}`] })]],
});

test('a head of nearly 32 KB reaches an upstream that takes it', async () => {
  const answer = await ask(bytes({ line: 'GET /wire/large HTTP/1.1', more: [`X-A: ${'a'.repeat(31500)}`] }));
  assert.equal(statusOf(answer), 200, answer.slice(0, 300));
});

test('nothing behind a malformed request is looked at; behind a refused one it is', async () => {
  await refused(Buffer.concat([bytes({ more: ['X-A : 1'] }), bytes()]), 400);
  const seen = upstream.count;
  const denied = bytes({ line: 'GET /nowhere/things HTTP/1.1' });
  const answer = await ask(Buffer.concat([denied, bytes()]));
  assert.deepEqual(answer.match(/HTTP\/1\.1 \d{3}/g), ['HTTP/1.1 404', 'HTTP/1.1 200']);
  assert.equal(upstream.count, seen + 1);
});

test('HTTP/1.0 ends the connection unless keep-alive is asked for', async () => {
  const old = (more) => bytes({ line: 'GET /mock/things HTTP/1.0', more });
  const once = await ask(Buffer.concat([old([]), old([])]));
  assert.equal(once.match(/HTTP\/1\.1 200/g).length, 1);
  const twice = await ask(Buffer.concat([old(['Connection: keep-alive']), old(['Connection: keep-alive'])]));
  assert.equal(twice.match(/HTTP\/1\.1 200/g).length, 2);
  assert.match(twice, /\r\nconnection: keep-alive\r\n/i);
  assert.doesNotMatch(twice, /transfer-encoding/i);
});

test('an upgrade to anything but a WebSocket is refused; the field alone is dropped and the request passes', async () => {
  const seen = upstream.count;
  for (const to of ['h2c', 'TLS/1.0', 'websocket, h2c', 'h2c, websocket', 'websocket/13', '']) {
    const answer = await ask(bytes({ more: ['Connection: Upgrade, HTTP2-Settings', 'HTTP2-Settings: AAMAAABk', `Upgrade: ${to}`] }));
    assert.equal(statusOf(answer), 501, to);
    assert.match(answer, /upgrade_not_supported/);
  }
  assert.equal(upstream.count, seen);
  const plain = await ask(bytes({ more: ['Upgrade: h2c'] }));
  assert.equal(statusOf(plain), 200);
  assert.doesNotMatch(plain, /h2c/);
});

const HANDSHAKE = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='];

test('a WebSocket handshake that is not whole is refused with its connection; the whole one reaches the upstream', async () => {
  const without = (name) => HANDSHAKE.filter((l) => !l.startsWith(name));
  const bad = [
    ['bad_websocket_key', bytes({ more: without('Sec-WebSocket-Key') })],
    ['bad_websocket_key', bytes({ more: [...HANDSHAKE, 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='] })],
    ['bad_websocket_key', bytes({ more: [...without('Sec-WebSocket-Key'), 'Sec-WebSocket-Key: AAAA'] })],
    ['bad_websocket_version', bytes({ more: without('Sec-WebSocket-Version') })],
    ['bad_websocket_version', bytes({ more: [...without('Sec-WebSocket-Version'), 'Sec-WebSocket-Version: 14'] })],
    ['websocket_not_get', bytes({ line: 'POST /mock/things HTTP/1.1', more: HANDSHAKE })],
    ['websocket_with_body', bytes({ more: [...HANDSHAKE, 'Content-Length: 5'], body: 'hello' })],
  ];
  for (const [code, data] of bad) assert.ok((await refused(data, 400)).includes(`(${code})`), code);
  wire.answers.handshake = 'HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno';
  // what follows an upgrade that did not happen is not the next request
  const answer = await ask(Buffer.concat([bytes({ line: 'GET /wire/handshake HTTP/1.1', more: HANDSHAKE }), bytes()]));
  assert.deepEqual(answer.match(/HTTP\/1\.1 \d{3}/g), ['HTTP/1.1 403']);
  assert.match(wire.requests.at(-1).text, /\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n/);
});

const chunked = (body, name = 'chunks') => bytes({ line: `POST /wire/${name} HTTP/1.1`, more: ['Transfer-Encoding: chunked'], body });

test('chunk framing that could be read in two ways ends the request before the upstream has the whole of it', async () => {
  const bad = ['+5\r\nhello\r\n0\r\n\r\n', '-5\r\nhello\r\n0\r\n\r\n', '0x5\r\nhello\r\n0\r\n\r\n', ' 5\r\nhello\r\n0\r\n\r\n', '5 \r\nhello\r\n0\r\n\r\n', '\r\nhello\r\n0\r\n\r\n',
    'g\r\nhello\r\n0\r\n\r\n', '10000000000000005\r\nhello\r\n0\r\n\r\n', '5\nhello\r\n0\r\n\r\n', '5\r\nhelloXY0\r\n\r\n', '5\r\nhello\n0\r\n\r\n', '5\r\nhello0\r\n\r\n',
    `5;${'x'.repeat(300)}\r\nhello\r\n0\r\n\r\n`, '5;a="\r\n"\r\nhello\r\n0\r\n\r\n', '5\r\nhello\r\n0\r\nX A: 1\r\n\r\n', '5\r\nhello\r\n0\r\nno colon\r\n\r\n',
    '5\r\nhello\r\n0\r\nX-A: 1\r\n folded\r\n\r\n', `5\r\nhello\r\n0\r\n${'X-A: 1\r\n'.repeat(1100)}\r\n`];
  for (const body of bad) {
    const from = wire.requests.length;
    const answer = await askOne(chunked(body));
    assert.notEqual(statusOf(answer), 200, JSON.stringify(body.slice(0, 40)));
    if (statusOf(answer)) assert.equal(statusOf(answer), 400, JSON.stringify(body.slice(0, 40)));
    assert.ok(wire.requests.slice(from).every((r) => !r.whole), JSON.stringify(body.slice(0, 40)));
  }
});

test('well-formed chunks of every shape arrive as they were meant', async () => {
  const good = ['5\r\nhello\r\n0\r\n\r\n', '005\r\nhello\r\n000\r\n\r\n', '2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n', '5;a=b;c="d"\r\nhello\r\n0\r\n\r\n',
    '5\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n'];
  for (const body of good) {
    const from = wire.requests.length;
    assert.equal(statusOf(await askOne(chunked(body))), 200, body);
    const { text } = wire.requests[from];
    const got = text.slice(text.indexOf('\r\n\r\n') + 4);
    assert.equal([...got.matchAll(/[0-9a-f]+\r\n([a-z]*)\r\n/g)].map((m) => m[1]).join(''), 'hello', JSON.stringify(got));
    assert.doesNotMatch(got, /trailer|a=b/i);
  }
});

test('framing is made anew: however a length or a coding is spelt, the upstream gets one of the broker\'s own', async () => {
  const cases = [
    ['Content-Length: 5', [['cOnTeNt-LeNgTh:  5 \t'], 'hello']],
    ['Transfer-Encoding: chunked', [['TRANSFER-encoding:  Chunked '], '5;x=y\r\nhello\r\n0\r\nX-T: 1\r\n\r\n']],
    ['Content-Length: 0', [['Content-Length: 0'], '']],
  ];
  for (const [framing, [more, body]] of cases) {
    const from = wire.requests.length;
    assert.equal(statusOf(await askOne(bytes({ line: 'POST /wire/framed HTTP/1.1', more: [...more, 'Connection: x-length', 'X-Length: 6'], body }))), 200);
    const { text } = wire.requests[from];
    const head = text.slice(0, text.indexOf('\r\n\r\n') + 2);
    assert.deepEqual(head.match(/^(content-length|transfer-encoding|connection|x-length)[^\r]*/gim), [framing], head);
  }
});

test('an underscore spelling of a credential counts as one: another key in it is refused, the same one is taken out', async () => {
  const names = ['x_api_key', 'X-Api_Key', 'api_key', 'xi_api_key', 'x_goog_api_key', 'X_Postmark_Server_Token', 'x_relaykey', 'x_auth_token', 'private_token'];
  for (const name of names) {
    const from = wire.requests.length;
    const twice = (value) => askOne(bytes({ line: 'GET /wire/twins HTTP/1.1', more: [`${name}: ${value}`] }));
    assert.equal(statusOf(await twice('planted')), 401, name);
    assert.equal(wire.requests.length, from, name);
    assert.equal(statusOf(await twice(key)), 200, name);
    assert.deepEqual(wire.requests.at(-1).text.match(/^.*(api_?key|token|authorization|relaykey).*$/gim), [`Authorization: Bearer ${REAL_KEY}`], name);
  }
});

test('underscore spellings of what an upstream might act on do not travel, other fields with an underscore do', async () => {
  const names = ['Proxy_Authorization', 'X_RelayKey_Trace', 'X_Forwarded_For', 'x_real_ip', 'X_HTTP_Method_Override', 'x_original_url'];
  const from = wire.requests.length;
  assert.equal(statusOf(await askOne(bytes({ line: 'GET /wire/twins HTTP/1.1', more: [...names.map((n) => `${n}: planted`), 'X_Other_Field: passes'] }))), 200);
  const { text } = wire.requests[from];
  assert.doesNotMatch(text, /planted/);
  assert.match(text, /\r\nX_Other_Field: passes\r\n/);
});

test('an expectation on HTTP/1.0 is not answered; on 1.1 once, and only when the request is allowed', async () => {
  const expect = (version, path = '/mock/things') => ask(bytes({ line: `POST ${path} HTTP/${version}`, more: ['Expect: 100-continue', 'Content-Length: 5'] }), 400);
  assert.equal(await expect('1.0'), '');
  assert.equal(await expect('1.1'), 'HTTP/1.1 100 Continue\r\n\r\n');
  const denied = await expect('1.1', '/nowhere/things');
  assert.deepEqual(denied.match(/HTTP\/1\.1 \d{3}/g), ['HTTP/1.1 404']);
  assert.match(denied, /\r\nconnection: close\r\n/i);
});

const pipelined = (n, line, last = '') => Buffer.concat([...Array.from({ length: n }, (_, i) => bytes({ line: line.replace('%', i) })), Buffer.from(last)]);

test('a thousand requests in one segment are answered one by one and in order, and nobody else waits for them', async () => {
  const socket = await connect(broker);
  let got = '';
  socket.on('data', (d) => { got += d.toString('latin1'); });
  socket.write(pipelined(1000, 'GET /mock/p/% HTTP/1.1'));
  let slowest = 0;
  while ((got.match(/"url":"\/v1\/p\//g)?.length ?? 0) < 1000) {
    const started = Date.now();
    assert.equal((await request(broker, 'GET', '/mock/things', { key })).status, 200);
    slowest = Math.max(slowest, Date.now() - started);
  }
  assert.deepEqual([...got.matchAll(/"url":"\/v1\/p\/(\d+)"/g)].map((m) => Number(m[1])), Array.from({ length: 1000 }, (_, i) => i));
  assert.ok(slowest < 1000, `${slowest} ms`);
  socket.destroy();
});

test('ten thousand refusals in one segment, and a client that reads none of them, take nothing from others', async () => {
  const relay = broker.pidOf('relay');
  const memory = () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${relay}/status`, 'utf8'))[1]);
  const before = memory();
  const greedy = await Promise.all(Array.from({ length: 4 }, () => connect(broker)));
  for (const [i, socket] of greedy.entries()) {
    socket.on('error', () => {}).pause();
    // half of them asked of the keeper, half answered by the relay alone
    socket.write(pipelined(10000, i % 2 ? 'GET /nowhere/% HTTP/1.1' : 'GET /healthz HTTP/1.1'));
  }
  let slowest = 0;
  for (let i = 0; i < 20; i++) {
    const started = Date.now();
    assert.equal((await request(broker, 'GET', '/mock/things', { key })).status, 200);
    slowest = Math.max(slowest, Date.now() - started);
  }
  assert.ok(slowest < 1000, `${slowest} ms`);
  if (!readFileSync(`/proc/${broker.child.pid}/maps`, 'utf8').includes('libasan')) assert.ok(memory() - before < 4096, `${memory() - before} KiB more`);
  greedy.forEach((s) => s.destroy());
});

test('a hundred thousand chunks of one byte arrive whole while others are served', async () => {
  const n = 100000;
  const upload = raw(broker, Buffer.concat([bytes({ line: 'POST /mock/upload HTTP/1.1', more: ['Transfer-Encoding: chunked'] }), Buffer.from('1\r\nx\r\n'.repeat(n)), Buffer.from('0\r\n\r\n')]),
    { ms: 5000, enough: isWhole });
  const started = Date.now();
  assert.equal((await request(broker, 'GET', '/mock/things', { key })).status, 200);
  assert.ok(Date.now() - started < 1000);
  assert.match(await upload, new RegExp(`"bytes":${n}`));
});

test('unfinished heads do not keep others waiting', async () => {
  const slow = await Promise.all(Array.from({ length: 100 }, () => connect(broker)));
  slow.forEach((s, i) => { s.on('error', () => {}); s.write(`GET /mock/things HTTP/1.1\r\nX-${i}: `); });
  const started = Date.now();
  assert.equal((await request(broker, 'GET', '/mock/things', { key })).status, 200);
  assert.ok(Date.now() - started < 1000);
  slow.forEach((s) => s.destroy());
});

test('a head that comes byte by byte is read like any other', async () => {
  const socket = await connect(broker);
  socket.setNoDelay(true);
  let got = '';
  socket.on('data', (d) => { got += d; });
  for (const b of bytes()) {
    socket.write(Buffer.from([b]));
    await new Promise((done) => setImmediate(done));
  }
  await until(() => got.startsWith('HTTP/1.1 200'), 'the answer');
  socket.destroy();
});

test('malformed requests are in the audit log with the reason, and without what was malformed', async () => {
  await refused(bytes({ line: 'GET /mock/audited-4711 HTTP/1.1', more: ['X-Planted: hunter2', 'X-A : 1'] }), 400);
  await refused(bytes({ line: 'DELETE /mock/audited-4712?q=hunter2 HTTP/1.1', host: null }), 400);
  const rows = await until(async () => {
    const found = (await broker.lines(['audit', 'list', '--limit', '10', '--status', '400'])).filter((r) => /audited-471/.test(r.path));
    return found.length === 2 ? found : null;
  }, 'two audit rows');
  rows.sort((a, b) => a.seq - b.seq);
  assert.deepEqual(rows.map((r) => [r.type, r.decision, r.reason, r.detail, r.method, r.status]), [
    ['request', 'denied', 'bad_request', 'bad_header_name', 'GET', 400], ['request', 'denied', 'bad_request', 'bad_host', 'DELETE', 400]]);
  for (const row of rows) {
    assert.match(row.request_id, /^req_/);
    assert.equal(row.client_ip, '127.0.0.1');
    assert.ok(!JSON.stringify(row).includes('hunter2') && !JSON.stringify(row).includes(key));
  }
});

// ---- upstreams that misbehave

const flood = (socket, part, limit = 4 << 20) => {
  let sent = 0;
  const more = () => {
    while (sent < limit && !socket.destroyed) {
      sent += part.length;
      if (!socket.write(part)) return socket.once('drain', more);
    }
    return undefined;
  };
  more();
};

const HOSTILE = {
  'no-end-of-a-field': (s) => { s.write('HTTP/1.1 200 OK\r\nX-A: '); flood(s, 'a'.repeat(8192)); },
  'no-end-of-fields': (s) => { s.write('HTTP/1.1 200 OK\r\n'); flood(s, 'X-A: aaaaaaaaaaaaaaaa\r\n'.repeat(50)); },
  'no-end-of-the-status-line': (s) => { s.write('HTTP/1.1 200 '); flood(s, 'a'.repeat(8192)); },
  garbage: 'SSH-2.0-OpenSSH_9.2\r\n\r\n',
  'binary-garbage': Array.from({ length: 512 }, (_, i) => String.fromCharCode((i * 37) & 255)).join(''),
  'length-and-chunked': 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'two-lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!',
  'a-length-with-a-sign': 'HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello',
  'gzip-coding': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
  'bare-line-feeds': 'HTTP/1.1 200 OK\nContent-Length: 5\n\nhello',
  'a-folded-field': 'HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 5\r\n\r\nhello',
  'a-space-before-the-colon': 'HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello',
  'a-nul-in-a-value': 'HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 5\r\n\r\nhello',
  'http-2-text': 'HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  'status-zero': 'HTTP/1.1 000 No\r\nContent-Length: 5\r\n\r\nhello',
  'status-six-hundred': 'HTTP/1.1 600 No\r\nContent-Length: 5\r\n\r\nhello',
  'status-of-two-digits': 'HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello',
  'an-upgrade-nobody-asked-for': 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
  'a-websocket-nobody-asked-for': 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  'a-flood-of-interim-responses': (s) => flood(s, 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n', 1 << 18),
  'closed-at-once': (s) => s.destroy(),
  'ended-at-once': (s) => s.end(),
  'closed-in-the-head': (s) => { s.write('HTTP/1.1 200 OK\r\nContent-'); setTimeout(() => s.destroy(), 30); },
};

for (const [name, answer] of Object.entries(HOSTILE)) {
  test(`an upstream response with ${name.replaceAll('-', ' ')} is a 502`, async () => {
    wire.answers[name] = answer;
    for (const method of ['GET', 'POST']) {
      const got = await askOne(bytes({ line: `${method} /wire/${name} HTTP/1.1`, more: ['Content-Length: 0'] }));
      const final = got.slice(got.lastIndexOf('HTTP/1.1'));
      assert.equal(statusOf(final), 502, got.slice(0, 300));
      assert.match(final, /upstream_unreachable/);
      assert.doesNotMatch(final, /hello/);
    }
    assert.equal((await request(broker, 'GET', '/wire/good', { key })).text, 'good');
  });
}

const BROKEN = {
  'a-chunk-size-that-is-none': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n',
  'a-chunk-without-its-end': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX',
  'chunks-cut-off': (s) => { s.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'); setTimeout(() => s.end(), 30); },
  'a-body-cut-off': (s) => { s.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello'); setTimeout(() => s.end(), 30); },
};

for (const [name, answer] of Object.entries(BROKEN)) {
  test(`a response with ${name.replaceAll('-', ' ')} is visibly incomplete for the client`, async () => {
    wire.answers[name] = answer;
    await assert.rejects(request(broker, 'GET', `/wire/${name}`, { key }));
    assert.equal((await request(broker, 'GET', '/wire/good', { key })).text, 'good');
    const row = await until(async () => (await broker.lines(['audit', 'list', '--limit', '20'])).find((r) => r.path === `/v1/${name}` && r.outcome), 'the audit row');
    assert.equal(row.outcome, 'upstream_gone');
  });
}

test('bytes behind a response never become the answer to another request', async () => {
  const planted = 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nplanted';
  wire.answers.surplus = `HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello${planted}`;
  wire.answers['surplus-chunked'] = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n${planted}`;
  wire.answers['surplus-204'] = `HTTP/1.1 204 No Content\r\n\r\n${planted}`;
  wire.answers['surplus-304'] = `HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n${planted}`;
  wire.answers['surplus-later'] = (s) => { s.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'); setTimeout(() => s.write(planted), 20); };
  for (const name of ['surplus', 'surplus-chunked', 'surplus-204', 'surplus-304', 'surplus-later']) {
    const got = await request(broker, 'GET', `/wire/${name}`, { key });
    assert.equal(got.text, /20?4|304/.test(name) ? '' : 'hello', name);
    await new Promise((done) => setTimeout(done, 60));
    for (let i = 0; i < 3; i++) assert.equal((await request(broker, 'GET', '/wire/good', { key })).text, 'good', name);
  }
});

test('a body behind the answer to HEAD is not taken for a response', async () => {
  wire.answers.head = 'HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno';
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  const head = await request(broker, 'HEAD', '/wire/head', { key, agent });
  assert.deepEqual([head.status, head.text, head.headers['content-length']], [200, '', '40']);
  for (let i = 0; i < 3; i++) assert.equal((await request(broker, 'GET', '/wire/good', { key, agent })).text, 'good');
  agent.destroy();
});

test('interim responses pass, and bytes over 127 in a value pass unchanged', async () => {
  wire.answers.hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nX-Name: caf\xe9\r\nContent-Length: 5\r\n\r\nhello';
  const answer = await ask(bytes({ line: 'GET /wire/hints HTTP/1.1' }));
  assert.deepEqual(answer.match(/HTTP\/1\.1 \d{3}/g), ['HTTP/1.1 103', 'HTTP/1.1 200']);
  assert.match(answer, /X-Name: caf\xe9\r\n/i);
  assert.ok(answer.endsWith('hello'));
});

test('an upstream cannot speak in the name of the broker', async () => {
  wire.answers.posing = 'HTTP/1.1 200 OK\r\nx-relaykey-decision: denied\r\nX-RelayKey-Request-Id: req_fake\r\nx-relaykey-block-reason: fake\r\n'
    + 'Connection: x-private\r\nX-Private: 1\r\nKeep-Alive: timeout=9\r\nContent-Length: 5\r\n\r\nhello';
  const answer = await ask(bytes({ line: 'GET /wire/posing HTTP/1.1' }));
  assert.equal(statusOf(answer), 200);
  assert.deepEqual(answer.match(/x-relaykey-decision: \S+/gi), ['x-relaykey-decision: allowed']);
  assert.doesNotMatch(answer, /fake|x-private|timeout=9/i);
});

test('a response without a length ends with the connection and arrives whole', async () => {
  wire.answers['until-close'] = (s) => { s.write('HTTP/1.1 200 OK\r\n\r\nhello'); setTimeout(() => s.end(' again'), 30); };
  assert.equal((await request(broker, 'GET', '/wire/until-close', { key })).text, 'hello again');
});

test('after all of it the same processes serve, and every audit row is there', async () => {
  assert.deepEqual(broker.processes().map((p) => `${p.role} ${p.pid}`).sort(), pids);
  assert.equal((await request(broker, 'GET', '/healthz')).status, 200);
  assert.equal((await broker.json(['audit', 'verify'])).ok, true);
  assert.deepEqual(upstream.complaints, []);
  for (const r of wire.requests) assert.doesNotMatch(r.text, /rk_(app|agent|person|vendor)_/);
});
