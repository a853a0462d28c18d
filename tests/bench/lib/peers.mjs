// The proxies that are compared, each in front of the same upstream with the same certificates.
//
// A peer is {name, port, prefix, caFile, key, pids(), stop()}: prefix is what stands before the upstream's path, pids()
// says which process plays which role.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BIN, Broker, freePort } from '../../lib/broker.mjs';
import { makeCertificates } from '../../mock/certs.mjs';
import { haproxyConfig, nginxProxyConfig, nginxUpstreamConfig } from './configs.mjs';
import { childrenOf, startServer, stopPrograms } from './program.mjs';

export const REAL_KEY = 'sk-bench-upstream-key-0123456789abcdef';
export const SMALL_PATH = '/v1/responses';
const PREFIX = '/bench';

const brokers = new Set();

/** Ends whatever a scenario has left running. Returns what a broker has to say about a role that died meanwhile. */
export async function stopEverything() {
  const all = [...brokers];
  brokers.clear();
  await Promise.all(all.map((broker) => broker.end()));
  await stopPrograms();
  return all.flatMap((broker) => broker.log.split('\n').filter((line) => /role-died|role-slow-stop/.test(line)));
}

const nginxArgs = (dir) => (path) => ['-p', dir, '-e', 'stderr', '-c', path];

function upstreamOf(child, port, certs) {
  return { name: 'direct', port, prefix: '', certs, caFile: certs.caFile, key: REAL_KEY, stop: child.stop };
}

/** nginx that answers every request with a small JSON. As a peer it is the way without a proxy. */
export async function startSmallUpstream(dir) {
  const certs = makeCertificates(dir, 'bench');
  const port = await freePort();
  const child = await startServer(dir, 'upstream', 'nginx', nginxArgs(dir), nginxUpstreamConfig(dir, port, certs), port);
  return upstreamOf(child, port, certs);
}

/** tests/bench/upstream.c: large bodies and events. */
export async function startBodyUpstream(dir) {
  const certs = makeCertificates(dir, 'bench');
  const port = await freePort();
  const child = await startServer(dir, 'upstream', join(BIN, '..', 'bench', 'upstream'),
    () => [String(port), certs.certFile, certs.keyFile], '', port);
  return upstreamOf(child, port, certs);
}

export async function startNginx(dir, upstream, { buffering = true, name = 'nginx' } = {}) {
  const port = await freePort();
  const config = nginxProxyConfig(dir, port, upstream, { buffering, name, secret: REAL_KEY });
  const child = await startServer(dir, name, 'nginx', nginxArgs(dir), config, port);
  return {
    name,
    port,
    prefix: PREFIX,
    caFile: upstream.certs.caFile,
    pids: () => [{ pid: child.pid, role: 'master' }, ...childrenOf(child.pid).map((pid) => ({ pid, role: 'worker' }))],
    stop: child.stop,
  };
}

export async function startHaproxy(dir, upstream) {
  const port = await freePort();
  const both = join(dir, 'haproxy.pem');
  writeFileSync(both, Buffer.concat([upstream.certs.cert, upstream.certs.key]), { mode: 0o600 });
  const child = await startServer(dir, 'haproxy', 'haproxy', (path) => ['-db', '-f', path],
    haproxyConfig(port, upstream, { both, secret: REAL_KEY }), port);
  return {
    name: 'haproxy',
    port,
    prefix: PREFIX,
    caFile: upstream.certs.caFile,
    pids: () => [{ pid: child.pid, role: 'worker' }],
    stop: child.stop,
  };
}

/**
 * The broker with one connection, `bench`, to the upstream, and one relay key for everything on it.
 * options: name, sync ('full' or 'normal'), config (more lines of relaykeyd.conf)
 */
export async function startBroker(dir, upstream, { name = 'relaykey', sync = 'full', config = [] } = {}) {
  mkdirSync(join(dir, name));
  const broker = await Broker.start({ dir: join(dir, name), relays: 2, config: [`journal-sync ${sync}`, 'max-connections-per-client 50000', ...config] });
  brokers.add(broker);
  await broker.json(['conn', 'add', 'bench', '--base-url', `https://localhost:${upstream.port}`, '--ca',
    upstream.certs.caFile, '--allow-private', '--secret-file', '-'], REAL_KEY);
  const { key } = await broker.issueKey('bench', { holder: 'app:bench' });
  return {
    name,
    broker,
    key,
    port: broker.proxy,
    prefix: PREFIX,
    caFile: broker.caFile,
    pids: () => broker.processes(),
    status: () => broker.json(['status']),
    stop: () => broker.stop(),
  };
}

/** nginx, haproxy and the broker before one upstream. */
export async function startPeers(dir, upstream) {
  const peers = [await startNginx(dir, upstream), await startHaproxy(dir, upstream), await startBroker(dir, upstream)];
  for (const peer of peers) peer.key = peers.at(-1).key; // the same bytes are sent to each
  return peers;
}
