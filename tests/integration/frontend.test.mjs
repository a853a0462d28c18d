// The broker behind load balancers: PROXY protocol v2 and X-Forwarded-For, from those that are trusted and from others.
// 127.0.0.1 is a trusted proxy, 127.0.0.2 is not.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { Broker, sleep, until } from '../lib/broker.mjs';
import { isWhole, statusOf } from '../lib/client.mjs';
import { startUpstream } from '../mock/upstream.mjs';

const REAL_KEY = 'sk-real-5d07f1b3c6a98e24-upstream-only';
const TRUSTED = '127.0.0.1', OTHER = '127.0.0.2';
const INSIDE = '198.51.100.7', OUTSIDE = '203.0.113.9';
let dir, upstream;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'relaykey-frontend-'));
  upstream = await startUpstream({ dir, key: REAL_KEY });
});

after(async () => {
  await upstream?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const v4 = (text) => Buffer.from(text.split('.').map(Number));
const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

/** A PROXY v2 header. */
function proxyHeader({ command = 0x21, family = 0x11, from = INSIDE, extra = Buffer.alloc(0), body } = {}) {
  body ??= Buffer.concat([v4(from), v4('10.0.0.1'), Buffer.from([0x1f, 0x90, 1, 0xbb]), extra]);
  return Buffer.concat([SIGNATURE, Buffer.from([command, family, body.length >> 8, body.length & 255]), body]);
}

/** Raw TCP from `source`, then `pieces`, then TLS and one request. Its answer; '' when the broker closes first. */
async function ask(broker, { source = TRUSTED, pieces = [], key, headers = [], path = '/mock/things' }) {
  const socket = net.connect({ host: '127.0.0.1', port: broker.proxy, localAddress: source });
  socket.setNoDelay(true);
  socket.on('error', () => {});
  await once(socket, 'connect');
  for (const piece of pieces) {
    socket.write(piece);
    if (pieces.length > 1) await sleep(5);
  }
  return new Promise((resolve) => {
    const secure = tls.connect({ socket, ca: broker.ca, servername: 'localhost' });
    let got = '';
    const done = () => { clearTimeout(timer); socket.destroy(); resolve(got); };
    const timer = setTimeout(done, 3000);
    secure.on('error', done);
    secure.on('close', done);
    secure.on('data', (d) => {
      got += d.toString('latin1');
      if (isWhole(got)) done();
    });
    secure.on('secureConnect', () => secure.write([`GET ${path} HTTP/1.1`, 'Host: localhost', `Authorization: Bearer ${key}`, ...headers, '', ''].join('\r\n')));
  });
}

/** TCP and TLS from `source`; the socket, or null when the broker closes instead. */
function hold(broker, source) {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port: broker.proxy, localAddress: source });
    const secure = tls.connect({ socket, ca: broker.ca, servername: 'localhost' });
    secure.once('secureConnect', () => resolve(secure));
    for (const s of [socket, secure]) s.on('error', () => resolve(null)).on('close', () => resolve(null));
  });
}

const xff = (value) => [`X-Forwarded-For: ${value}`];

async function withBroker(config, use) {
  const broker = await Broker.start({ relays: 1, config });
  try {
    await broker.addConnection('mock', upstream);
    const grant = ['--method', '*', '--path', '/**'];
    const { key } = await broker.issueKey('mock', { extra: grant });
    const { key: limited } = await broker.issueKey('mock', { holder: 'app:inside', extra: [...grant, '--ip', '198.51.100.0/24'] });
    const addressOf = async (answer) => {
      const id = /x-relaykey-request-id: (\S+)/.exec(answer)[1];
      return until(async () => (await broker.lines(['audit', 'list', '--limit', '50'])).find((r) => r.request_id === id)?.client_ip, 'the audit row');
    };
    await use(broker, key, limited, addressOf);
  } finally {
    await broker.end();
  }
}

test('X-Forwarded-For counts from a trusted proxy, and is ignored from anybody else', async () => {
  await withBroker([`trusted-proxy ${TRUSTED}`, 'trusted-proxy 10.0.0.0/8'], async (broker, key, limited, addressOf) => {
    const status = async (options) => statusOf(await ask(broker, options));
    // a key limited to a prefix works for who comes from there, through the proxy
    assert.equal(await status({ key: limited, headers: xff(INSIDE) }), 200);
    assert.equal(await status({ key: limited, headers: xff(OUTSIDE) }), 403);
    assert.equal(await status({ key: limited }), 403);
    // what a client claimed stands left of what the proxy saw
    assert.equal(await status({ key: limited, headers: xff(`${INSIDE}, ${OUTSIDE}`) }), 403);
    assert.equal(await status({ key: limited, headers: xff(`${OUTSIDE}, ${INSIDE}, 10.1.2.3`) }), 200);
    assert.equal(await status({ key: limited, headers: [...xff(OUTSIDE), ...xff(INSIDE)] }), 200);
    // the twin from an address that is not trusted
    assert.equal(await status({ source: OTHER, key: limited, headers: xff(INSIDE) }), 403);
    assert.equal(await addressOf(await ask(broker, { source: OTHER, key, headers: xff(INSIDE) })), OTHER);
    assert.equal(await addressOf(await ask(broker, { key, headers: xff(INSIDE) })), INSIDE);
    assert.equal(await addressOf(await ask(broker, { key })), TRUSTED);
    // a refusal that the relay makes by itself knows it, too
    assert.equal(await addressOf(await ask(broker, { key, headers: xff(INSIDE), path: '/mock/a//b' })), INSIDE);
    // it does not travel on
    assert.doesNotMatch(await ask(broker, { key, headers: xff(INSIDE) }), /forwarded/i);
    // without the PROXY protocol a header in front of TLS is no TLS
    assert.equal(await ask(broker, { key, pieces: [proxyHeader()] }), '');
  });
});

test('with nobody trusted the address is the socket\'s', async () => {
  await withBroker([], async (broker, key, limited, addressOf) => {
    assert.equal(statusOf(await ask(broker, { key: limited, headers: xff(INSIDE) })), 403);
    assert.equal(await addressOf(await ask(broker, { key, headers: xff(INSIDE) })), TRUSTED);
  });
});

test('the PROXY header is required from a trusted proxy and refused from others', async () => {
  await withBroker(['proxy-protocol on', `trusted-proxy ${TRUSTED}`], async (broker, key, limited, addressOf) => {
    const status = async (options) => statusOf(await ask(broker, options));
    assert.equal(await status({ key: limited, pieces: [proxyHeader()] }), 200);
    assert.equal(await status({ key: limited, pieces: [proxyHeader({ from: OUTSIDE })] }), 403);
    assert.equal(await addressOf(await ask(broker, { key, pieces: [proxyHeader({ from: OUTSIDE })] })), OUTSIDE);
    assert.equal(await status({ key: limited, pieces: [proxyHeader({ extra: Buffer.from([4, 0, 2, 0, 0]) })] }), 200);
    // in pieces, each byte on its own
    assert.equal(await status({ key: limited, pieces: [...proxyHeader()].map((b) => Buffer.from([b])) }), 200);
    // IPv6
    const v6 = Buffer.concat([Buffer.from('20010db8000000000000000000000007', 'hex'), Buffer.alloc(16), Buffer.from([0, 1, 0, 2])]);
    assert.equal(await addressOf(await ask(broker, { key, pieces: [proxyHeader({ family: 0x21, body: v6 })] })), '2001:db8::7');
    // the proxy's own connection
    assert.equal(await addressOf(await ask(broker, { key, pieces: [proxyHeader({ command: 0x20, family: 0, body: Buffer.alloc(0) })] })), TRUSTED);

    // who the header names is not a trusted proxy: its X-Forwarded-For is ignored
    assert.equal(await status({ key: limited, pieces: [proxyHeader({ from: OUTSIDE })], headers: xff(INSIDE) }), 403);
    // named by it as a trusted proxy, it counts
    assert.equal(await status({ key: limited, pieces: [proxyHeader({ from: TRUSTED })], headers: xff(INSIDE) }), 200);

    const refused = {
      'no header': [],
      'version 1': [Buffer.from('PROXY TCP4 198.51.100.7 10.0.0.1 8080 443\r\n')],
      'another command': [proxyHeader({ command: 0x22 })],
      'version 3': [proxyHeader({ command: 0x31 })],
      datagrams: [proxyHeader({ family: 0x12 })],
      'a Unix socket': [proxyHeader({ family: 0x31, body: Buffer.alloc(216) })],
      'a TLV that does not fit': [proxyHeader({ extra: Buffer.from([4, 0, 9, 0]) })],
      'addresses that do not fit': [proxyHeader({ body: Buffer.alloc(5) })],
    };
    for (const [what, pieces] of Object.entries(refused)) assert.equal(await ask(broker, { key, pieces }), '', what);
    // from others: none is fine, one is refused
    assert.equal(await addressOf(await ask(broker, { source: OTHER, key })), OTHER);
    assert.equal(await ask(broker, { source: OTHER, key, pieces: [proxyHeader()] }), '');
    assert.match(broker.log, /proxy_header_refused/);
    assert.equal(await status({ key, pieces: [proxyHeader()] }), 200);
  });
});

test('a client has so many connections and not one more; others, and a trusted proxy, are not concerned', async () => {
  await withBroker(['max-connections-per-client 4', `trusted-proxy ${TRUSTED}`], async (broker, key) => {
    const held = [];
    for (let i = 0; i < 4; i++) held.push(await hold(broker, OTHER));
    assert.ok(held.every(Boolean));
    assert.equal(await hold(broker, OTHER), null);
    assert.equal(statusOf(await ask(broker, { source: OTHER, key })), 0);
    await until(() => /too_many_of_one_client.*127\.0\.0\.2/.test(broker.log), 'a word about it in the log');
    assert.equal(statusOf(await ask(broker, { source: '127.0.0.3', key })), 200);
    for (let i = 0; i < 8; i++) held.push(await hold(broker, TRUSTED));
    assert.ok(held.every(Boolean));
    held[0].destroy();
    await until(async () => statusOf(await ask(broker, { source: OTHER, key })) === 200, 'room after one has left');
    held.forEach((s) => s.destroy());
  });
});
