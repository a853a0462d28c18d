// 200 MB up and 200 MB down, at constant memory of the broker.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker } from '../lib/broker.mjs';
import { request } from '../lib/client.mjs';
import { startUpstream } from '../mock/upstream.mjs';

const TOTAL = 200 * 1000 * 1000;
const MOST_GROWTH = 8 << 20;
const BLOCK = Buffer.alloc(65536, 'large body ');
let dir, upstream, broker, key;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'relaykey-large-'));
  upstream = await startUpstream({ dir, key: 'sk-real-large-0123456789abcdef' });
  broker = await Broker.start();
  await broker.addConnection('mock', upstream);
  key = (await broker.issueKey('mock')).key;
  await request(broker, 'GET', '/mock/bytes?n=1000000', { key });
  await request(broker, 'POST', '/mock/upload', { key, body: Buffer.alloc(1000000) });
});

after(async () => {
  await broker?.end();
  await upstream?.stop();
  rmSync(dir, { recursive: true, force: true });
});

function resident() {
  return broker.processes().reduce((sum, { pid }) => {
    const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return sum + Number(line[1]) * 1024;
  }, 0);
}

/** Runs `body` and returns by how much the broker's memory grew at most meanwhile. */
async function growth(body) {
  const start = resident();
  let most = start;
  const timer = setInterval(() => { most = Math.max(most, resident()); }, 50);
  try {
    await body();
  } finally {
    clearInterval(timer);
  }
  return most - start;
}

for (const chunked of [false, true]) {
  const how = chunked ? 'chunked' : 'with a length';
  test(`200 MB up ${how}, whole and at constant memory`, async () => {
    const hash = createHash('sha256');
    let answer;
    const grown = await growth(() => new Promise((resolve, reject) => {
      const req = https.request({ host: '127.0.0.1', port: broker.proxy, ca: broker.ca, method: 'POST', path: '/mock/upload',
        agent: false, headers: { authorization: `Bearer ${key}`, ...(chunked ? {} : { 'content-length': TOTAL }) } }, (res) => {
        let text = '';
        res.on('data', (d) => { text += d; });
        res.on('end', () => { answer = JSON.parse(text); resolve(); });
      });
      req.on('error', reject);
      let left = TOTAL;
      const push = () => {
        while (left > 0) {
          const part = left >= BLOCK.length ? BLOCK : BLOCK.subarray(0, left);
          left -= part.length;
          hash.update(part);
          if (!req.write(part)) return req.once('drain', push);
        }
        return req.end();
      };
      push();
    }));
    assert.deepEqual(answer, { bytes: TOTAL, sha256: hash.digest('hex') });
    assert.ok(grown < MOST_GROWTH, `the broker grew by ${(grown / 1048576).toFixed(1)} MiB`);
  });

  test(`200 MB down ${how}, whole and at constant memory, with a reader that pauses`, async () => {
    let bytes = 0;
    const grown = await growth(() => new Promise((resolve, reject) => {
      https.get({ host: '127.0.0.1', port: broker.proxy, ca: broker.ca, path: `/mock/bytes?n=${TOTAL}${chunked ? '&chunked=1' : ''}`,
        agent: false, headers: { authorization: `Bearer ${key}` } }, (res) => {
        res.on('data', (d) => {
          const before = bytes;
          bytes += d.length;
          // stand still now and then: what is not read must not pile up in the broker
          if (Math.floor(bytes / 40e6) !== Math.floor(before / 40e6)) {
            res.pause();
            setTimeout(() => res.resume(), 300);
          }
        });
        res.on('end', resolve);
        res.on('error', reject);
      }).on('error', reject);
    }));
    assert.equal(bytes, TOTAL);
    assert.ok(grown < MOST_GROWTH, `the broker grew by ${(grown / 1048576).toFixed(1)} MiB`);
  });
}
