// The proxies that are compared, each in front of the same upstream with the same certificates.
//
// A peer is {name, port, caFile, key, pids(), stop()}; pids() says which process plays which role.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Broker, freePort, until } from '../../lib/broker.mjs';
import { makeCertificates } from '../../mock/certs.mjs';
import { haproxyConfig, nginxProxyConfig, nginxUpstreamConfig } from './configs.mjs';
import { probe } from './probe.mjs';

export const REAL_KEY = 'sk-bench-upstream-key-0123456789abcdef';
export const BENCH_PATH = '/bench/v1/responses';

const started = new Set();
process.on('exit', () => started.forEach((child) => child.kill('SIGTERM')));

/** Starts a program that stays in the foreground; what it prints is kept for the case that it ends. */
export function startProgram(file, args) {
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  started.add(child);
  child.log = '';
  child.stdout.on('data', (d) => { child.log += d; });
  child.stderr.on('data', (d) => { child.log += d; });
  child.stdin.on('error', () => {});
  child.on('error', (err) => { child.log += err.message; });
  child.ended = new Promise((done) => child.once('close', (code) => { started.delete(child); done(code); }));
  child.stop = () => { child.kill('SIGTERM'); return child.ended; };
  return child;
}

function childrenOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' }).trim().split('\n').map(Number);
  }
}

/** A program with a configuration file that listens on `port`. */
async function startServer(dir, name, file, args, config, port) {
  const path = join(dir, `${name}.conf`);
  writeFileSync(path, config);
  const child = startProgram(file, args(path));
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`${name} ended: ${child.log}`);
    return probe(port);
  }, `${name} to listen`);
  return child;
}

const nginxArgs = (dir) => (path) => ['-p', dir, '-e', 'stderr', '-c', path];

/** nginx that answers every request with a small JSON. */
export async function startSmallUpstream(dir) {
  const certs = makeCertificates(dir, 'bench');
  const port = await freePort();
  const child = await startServer(dir, 'upstream', 'nginx', nginxArgs(dir), nginxUpstreamConfig(dir, port, certs), port);
  return { name: 'upstream', port, certs, pids: () => childrenOf(child.pid).map((pid) => ({ pid, role: 'worker' })), stop: child.stop };
}

export async function startNginx(dir, upstream, { buffering = true, name = 'nginx' } = {}) {
  const port = await freePort();
  const config = nginxProxyConfig(dir, port, upstream, { buffering, name, secret: REAL_KEY });
  const child = await startServer(dir, name, 'nginx', nginxArgs(dir), config, port);
  return {
    name,
    port,
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
  const broker = await Broker.start({ dir: join(dir, name), relays: 2, config: [`journal-sync ${sync}`, ...config] });
  await broker.json(['conn', 'add', 'bench', '--base-url', `https://localhost:${upstream.port}`, '--ca',
    upstream.certs.caFile, '--allow-private', '--secret-file', '-'], REAL_KEY);
  const { key } = await broker.issueKey('bench', { holder: 'app:bench' });
  return {
    name,
    broker,
    key,
    port: broker.proxy,
    caFile: broker.caFile,
    pids: () => broker.processes(),
    status: () => broker.json(['status']),
    stop: () => broker.stop(),
  };
}

/** nginx, haproxy and the broker before one upstream; fails when one of them does not answer. */
export async function startPeers(dir, { broker = {} } = {}) {
  const upstream = await startSmallUpstream(dir);
  const relaykey = await startBroker(dir, upstream, broker);
  const peers = [await startNginx(dir, upstream), await startHaproxy(dir, upstream), relaykey];
  for (const peer of peers) peer.key = relaykey.key; // the same bytes are sent to each
  return {
    upstream,
    peers,
    relaykey,
    stop: async () => { for (const peer of [...peers, upstream]) await peer.stop(); },
  };
}
