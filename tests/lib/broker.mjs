// A real broker for a test: its own set-up directory and SoftHSM token, free ports, ended by pid.
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
export const BIN = process.env.RELAYKEY_BIN ?? join(ROOT, 'build', 'bin');

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Waits until `check` returns something truthy and gives that back; fails with `what` after `ms`. */
export async function until(check, what, ms = 10000) {
  const end = Date.now() + ms;
  for (;;) {
    const got = await check();
    if (got) return got;
    if (Date.now() > end) throw new Error(`timed out waiting for ${what}`);
    await sleep(20);
  }
}

export async function freePort() {
  const server = net.createServer();
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** Runs a program with `input` on its standard input; never throws for an exit status. */
export function run(file, args, { input = '', env = {}, cwd } = {}) {
  return new Promise((resolve) => {
    const child = execFile(file, args, { cwd, env: { ...process.env, ...env }, maxBuffer: 1 << 28 }, (err, stdout, stderr) => {
      resolve({ status: err ? (typeof err.code === 'number' ? err.code : 128) : 0, stdout, stderr });
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

export const relaykeyd = join(BIN, 'relaykeyd');
export const relaykey = join(BIN, 'relaykey');

/** `relaykey setup` in a new directory; returns the directory and the ports it was given. */
export async function setUp(dir, extra = []) {
  const proxy = await freePort();
  const consolePort = await freePort();
  const got = await run(relaykey, ['setup', '--dir', dir, '--proxy', `127.0.0.1:${proxy}`,
    '--console', `127.0.0.1:${consolePort}`, ...extra]);
  if (got.status !== 0) throw new Error(`setup failed: ${got.stderr}${got.stdout}`);
  return { proxy, console: consolePort };
}

/** Brokers that nobody has ended: a test that fails, a `before` that throws, an interrupted run. */
const running = new Set();
process.on('exit', () => {
  for (const broker of running) {
    // its roles end when their supervisor does
    if (broker.child?.exitCode === null && broker.child.signalCode === null) broker.child.kill('SIGKILL');
    if (broker.own) rmSync(broker.base, { recursive: true, force: true, maxRetries: 3 });
  }
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));

export class Broker {
  /** options: relays, config (lines added to relaykeyd.conf), setup (arguments), keepDir */
  static async start(options = {}) {
    const broker = new Broker();
    broker.own = !options.dir;
    broker.base = options.dir ?? mkdtempSync(join(tmpdir(), 'relaykey-test-'));
    running.add(broker);
    broker.dir = join(broker.base, 'broker');
    broker.ports = options.ports ?? await setUp(broker.dir, options.setup);
    broker.config = join(broker.dir, 'relaykeyd.conf');
    const lines = [`relays ${options.relays ?? 2}`, ...(options.config ?? [])];
    const names = lines.map((l) => l.split(/\s+/)[0]);
    const kept = readFileSync(broker.config, 'utf8').split('\n').filter((l) => !names.includes(l.trim().split(/\s+/)[0]));
    writeFileSync(broker.config, `${kept.join('\n')}\n${lines.join('\n')}\n`);
    await broker.launch();
    return broker;
  }

  get proxy() { return this.ports.proxy; }
  get ca() { return readFileSync(join(this.dir, 'ca.pem')); }
  get caFile() { return join(this.dir, 'ca.pem'); }
  get url() { return `https://127.0.0.1:${this.proxy}`; }

  /** Starts the daemon and waits for its line; throws with its log when it ends instead. */
  async launch() {
    this.log = '';
    this.child = spawn(relaykeyd, ['--config', this.config, '--foreground'], { stdio: ['ignore', 'pipe', 'pipe'] });
    const child = this.child;
    this.exited = new Promise((done) => child.once('exit', (code, signal) => done({ code, signal })));
    let out = '';
    child.stdout.on('data', (d) => { out += d; });
    child.stderr.on('data', (d) => { this.log += d; });
    const ready = until(() => out.includes('\n'), 'the readiness line', 30000).then(() => 'ready');
    const first = await Promise.race([ready, this.exited]);
    ready.catch(() => {});
    if (first !== 'ready') throw new Error(`relaykeyd ended with ${first.code ?? first.signal}: ${this.log}`);
    this.readyLine = out.trim();
  }

  /** Runs the CLI; returns {status, stdout, stderr}. */
  cli(args, input = '') {
    return run(relaykey, ['--config', this.config, ...args], { input });
  }

  /** Runs the CLI with --json and returns the parsed document; throws on failure. */
  async json(args, input = '') {
    const got = await this.cli([...args, '--json'], input);
    if (got.status !== 0) throw new Error(`relaykey ${args.join(' ')}: status ${got.status}: ${got.stderr}`);
    return got.stdout.trim() ? JSON.parse(got.stdout) : null;
  }

  /** The same for commands that print JSON Lines. */
  async lines(args, input = '') {
    const got = await this.cli([...args, '--json'], input);
    if (got.status !== 0) throw new Error(`relaykey ${args.join(' ')}: status ${got.status}: ${got.stderr}`);
    return got.stdout.split('\n').filter(Boolean).map((l) => JSON.parse(l));
  }

  /** Adds a connection to a mock upstream under `name`. */
  addConnection(name, upstream, { path = '/v1', auth = ['bearer'], secret = upstream.key, extra = [] } = {}) {
    return this.json(['conn', 'add', name, '--base-url', `${upstream.baseUrl}${path}`, '--ca', upstream.caFile,
      '--allow-private', ...auth.flatMap((a) => ['--auth', a]), '--secret-file', '-', ...extra], secret);
  }

  /** Issues a key that may do everything on `conn` unless `extra` says more; returns {id, key, ...}. */
  issueKey(conn, { holder = 'app:test', extra = ['--method', '*', '--path', '/**'] } = {}) {
    return this.json(['key', 'issue', '--conn', conn, '--holder', holder, ...extra]);
  }

  /** [{pid, role}] of the supervisor and every role. */
  processes() {
    const found = [{ pid: this.child.pid, role: 'supervisor' }];
    for (const entry of readdirSync('/proc')) {
      if (!/^\d+$/.test(entry)) continue;
      try {
        const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
        const ppid = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
        if (ppid !== this.child.pid) continue;
        const title = readFileSync(`/proc/${entry}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        const role = /(keeper|relay|console|courier)/.exec(title.replace(/^\S*relaykeyd/, ''))?.[1] ?? title;
        found.push({ pid: Number(entry), role });
      } catch {
        // ended between the two reads
      }
    }
    return found;
  }

  pidOf(role) {
    return this.processes().find((p) => p.role === role)?.pid;
  }

  async healthy(ms = 10000) {
    const { request } = await import('./client.mjs');
    await until(async () => {
      try {
        return (await request(this, 'GET', '/healthz')).status === 200;
      } catch {
        return false;
      }
    }, 'a healthy proxy', ms);
  }

  /** SIGTERM, and waits; returns {code, signal}. */
  async stop() {
    if (this.child && this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGTERM');
    return this.exited;
  }

  async end() {
    await this.stop();
    running.delete(this);
    if (this.own) rmSync(this.base, { recursive: true, force: true });
  }
}
