// The command line as somebody elsewhere uses it: over the management interface, with a management key of its own.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { managementKey } from './api.mjs';
import { relaykey, run } from './broker.mjs';

/** No variable of whoever runs the tests; what a proxy would make of these requests is not asked here. */
export const ENV = { RELAYKEY_CONFIG: '', RELAYKEY_URL: '', RELAYKEY_TOKEN_FILE: '', RELAYKEY_CA: '', https_proxy: '', HTTPS_PROXY: '', all_proxy: '', ALL_PROXY: '' };

export const docs = (text) => text.split('\n').filter(Boolean).map((l) => JSON.parse(l));

export class Remote {
  /** With an admin's key, in a file of `dir`. */
  static async of(broker, dir) {
    const remote = new Remote();
    Object.assign(remote, { broker, dir });
    remote.key = await managementKey(broker);
    remote.tokenFile = remote.keep('admin', `${remote.key}\n`);
    return remote;
  }

  /** A file that only its owner reads, unless `mode` says otherwise. */
  keep(name, text, mode = 0o600) {
    const path = join(this.dir, name);
    writeFileSync(path, text, { mode });
    return path;
  }

  get url() { return `https://127.0.0.1:${this.broker.ports.console}`; }

  /** The options that stand before the command. */
  way({ url = this.url, token = this.tokenFile, ca = this.broker.caFile } = {}) {
    return ['--url', url, '--token-file', token, ...(ca ? ['--ca', ca] : [])];
  }

  /** Runs it and checks the exit status; gives {stdout, stderr}. */
  async cli(args, { status = 0, input = '', env = {}, ...options } = {}) {
    const got = await run(relaykey, [...this.way(options), ...args], { input, env: { ...ENV, ...env } });
    assert.equal(got.status, status, `relaykey --url ... ${args.join(' ')}: ${got.stderr}${got.stdout}`);
    if (status !== 0) assert.match(got.stderr, /^relaykey: .+/, 'a refusal has a reason');
    return got;
  }

  async json(args, options) {
    const text = (await this.cli([...args, '--json'], options)).stdout;
    return text.trim() ? JSON.parse(text) : null;
  }

  async lines(args, options) {
    return docs((await this.cli([...args, '--json'], options)).stdout);
  }

  /** Both ways: the same exit status, the same output, the same reason. */
  async same(args, { input = '', strip = (x) => x } = {}) {
    const near = await this.broker.cli(args, input);
    const far = await run(relaykey, [...this.way(), ...args], { input, env: ENV });
    assert.equal(far.status, near.status, `${args.join(' ')}: ${far.stderr} | ${near.stderr}`);
    const shown = (got) => (args.includes('--json') ? docs(got.stdout).map(strip) : got.stdout);
    assert.deepEqual(shown(far), shown(near), args.join(' '));
    assert.equal(far.stderr, near.stderr, args.join(' '));
    return far;
  }
}
