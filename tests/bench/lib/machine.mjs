// What a result depends on: versions, the machine, the file system that fsync goes to.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, statfsSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { relaykey } from '../../lib/broker.mjs';

function output(file, args) {
  const got = spawnSync(file, args, { encoding: 'utf8' });
  return got.error ? '' : `${got.stdout}${got.stderr}`;
}

export function commit() {
  const head = output('git', ['rev-parse', '--short', 'HEAD']).trim();
  const changed = output('git', ['status', '--porcelain', '--untracked-files=no']).trim();
  return head ? `${head}${changed ? ' with changes' : ''}` : 'unknown';
}

export async function versions() {
  const found = (file, args, pattern) => pattern.exec(output(file, args))?.[1] ?? 'missing';
  const softhsm = execFileSync('dpkg-query', ['-W', '-f', '${Version}', 'softhsm2'], { encoding: 'utf8' });
  return [
    output(relaykey, ['--version']).trim(),
    `nginx ${found('nginx', ['-v'], /nginx\/(\S+)/)}`,
    `haproxy ${found('haproxy', ['-v'], /version (\S+)/)}`,
    `SoftHSM ${softhsm}`,
    `OpenSSL ${found('openssl', ['version'], /OpenSSL (\S+)/)}`,
    `Linux ${release()}`,
  ].join(', ');
}

const TMPFS_MAGIC = 0x01021994;

export function machine() {
  const load = readFileSync('/proc/loadavg', 'utf8').split(' ')[0];
  const disk = statfsSync(tmpdir()).type === TMPFS_MAGIC ? '; the state directory is on tmpfs, where fsync is free' : '';
  return `${cpus().length} cores (${cpus()[0].model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB; `
    + `load before the run ${load}; client, peers and upstream share the cores${disk}`;
}
