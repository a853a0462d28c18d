// The whole way of a new address: refused, mailed by a real SMTP server program, the link followed as a browser (and a
// mail scanner) would, and then let through.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import https from 'node:https';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker, until } from '../lib/broker.mjs';
import { request } from '../lib/client.mjs';
import { startMailServer } from '../mock/mailserver.mjs';
import { startUpstream } from '../mock/upstream.mjs';

const REAL_KEY = 'sk-real-3c75a0e98bd1f264-upstream-only';
let dir, upstream, mail, broker, people = 0;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'relaykey-confirm-'));
  upstream = await startUpstream({ dir, key: REAL_KEY });
  mail = await startMailServer({ dir });
  broker = await Broker.start({ relays: 1, config: ['trusted-proxy 127.0.0.1'] });
  await broker.addConnection('mock', upstream);
  await broker.json(['settings', 'set', '--smtp-host', '127.0.0.1', '--smtp-port', String(mail.port), '--smtp-tls', 'starttls',
    '--smtp-ca', mail.caFile, '--mail-from', 'relaykey@example.com', '--public-url', `https://127.0.0.1:${broker.ports.console}`]);
});

after(async () => {
  await broker?.end();
  await mail?.stop();
  await upstream?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const from = (ip, key) => request(broker, 'GET', '/mock/status/200', { key, headers: { 'x-forwarded-for': ip, 'user-agent': '<b>cursor</b>/0.42' } });

/** One request to the address of a link. */
function open(method, link, headers = {}) {
  return new Promise((resolve, reject) => {
    const req = https.request(link, { method, ca: broker.ca, agent: false, headers: { ...(method === 'POST' ? { 'content-length': 0 } : {}), ...headers } }, (res) => {
      let text = '';
      res.on('data', (d) => { text += d; });
      res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, text }));
    });
    req.on('error', reject);
    req.end();
  });
}

async function person() {
  const holder = `person:confirm${++people}`;
  const { key } = await broker.issueKey('mock', { holder });
  const to = `confirm${people}@example.com`;
  await broker.json(['holder', 'set', holder, '--email', to]);
  assert.equal((await from('203.0.113.1', key)).status, 200);
  return { key, holder, to };
}

const mailsTo = (to) => mail.received.filter((m) => m.to.includes(to));
async function linkTo(to, nth = 0) {
  const got = await until(() => mailsTo(to)[nth], `the mail to ${to}`, 20000);
  const link = /https:\/\/\S+\/confirm\/[0-9A-Za-z]+/.exec(got.mail.text)[0];
  assert.ok(got.mail.html.includes(link));
  return { link, got };
}

test('the link in the mail confirms the address, once, with a click and not by being followed', async () => {
  const { key, to } = await person();
  for (let i = 0; i < 3; i++) assert.equal((await from('203.0.113.2', key)).status, 423);
  const { link, got } = await linkTo(to);
  for (const part of ['203.0.113.2', 'mock', '0.42']) assert.ok(got.mail.text.includes(part), part);
  assert.ok(!got.mail.html.includes('<b>cursor'));
  for (const method of ['GET', 'HEAD', 'GET']) assert.equal((await open(method, link)).status, 200);
  assert.equal((await from('203.0.113.2', key)).status, 423);
  const page = await open('GET', link);
  assert.match(page.text, /203\.0\.113\.2/);
  assert.match(page.text, /&lt;b&gt;cursor/);
  assert.match(page.headers['content-security-policy'], /default-src 'none'; style-src 'sha256-/);
  assert.deepEqual([page.headers['referrer-policy'], page.headers['cache-control']], ['no-referrer', 'no-store']);
  assert.equal((await open('POST', link, { 'sec-fetch-site': 'cross-site' })).status, 403);
  assert.equal((await from('203.0.113.2', key)).status, 423);
  const done = await open('POST', link, { 'sec-fetch-site': 'same-origin', origin: 'null', 'content-type': 'application/x-www-form-urlencoded' });
  assert.equal(done.status, 200);
  assert.match(done.text, /trusted now/);
  assert.equal((await from('203.0.113.2', key)).status, 200);
  for (const method of ['GET', 'POST']) assert.equal((await open(method, link)).status, 404);
  assert.equal(mailsTo(to).length, 1);
});

test('a link that was mailed to the former address is void', async () => {
  const { key, holder, to } = await person();
  assert.equal((await from('203.0.113.2', key)).status, 423);
  const { link } = await linkTo(to);
  await broker.json(['holder', 'set', holder, '--email', `new-${to}`]);
  assert.equal((await open('POST', link)).status, 404);
  assert.equal((await from('203.0.113.2', key)).status, 423);
  assert.equal((await open('POST', (await linkTo(`new-${to}`)).link)).status, 200);
  assert.equal((await from('203.0.113.2', key)).status, 200);
});

test('with the rule off only presets are trusted on the spot', async () => {
  await broker.json(['settings', 'set', '--trust-first-ip', 'no', '--trust-preset', '198.51.100.0/24']);
  try {
    const { key } = await broker.issueKey('mock', { holder: 'person:preset' });
    assert.equal((await from('203.0.113.1', key)).status, 423);
    assert.equal((await from('198.51.100.7', key)).status, 200);
    assert.equal((await from('203.0.113.1', key)).status, 423);
  } finally {
    await broker.json(['settings', 'set', '--trust-first-ip', 'yes']);
  }
});

test('a mail that waits while everything is killed arrives, and its link works', async () => {
  const { key, to } = await person();
  mail.manner = () => 451;
  assert.equal((await from('203.0.113.2', key)).status, 423);
  await until(async () => (await broker.lines(['approvals'])).some((t) => t.address === '203.0.113.2'), 'the address to wait');
  const gone = broker.exited;
  for (const { pid } of broker.processes()) {
    try { process.kill(pid, 'SIGKILL'); } catch { /* ended by itself */ }
  }
  await gone;
  mail.manner = null;
  await broker.launch();
  await broker.healthy();
  assert.equal((await open('POST', (await linkTo(to)).link)).status, 200);
  assert.equal((await from('203.0.113.2', key)).status, 200);
});
