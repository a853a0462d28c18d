// The benchmark's own programs (tests/bench/*.c), as functions.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BIN } from '../../lib/broker.mjs';
import { runProgram, startProgram } from './program.mjs';

export const tool = (name) => join(BIN, '..', 'bench', name);

const json = async (name, args) => JSON.parse(await runProgram(tool(name), args));

/** What tells a client whom to ask, and with which keys. */
function keysFile(dir, peer) {
  if (peer.keysFile) return peer.keysFile;
  const path = join(dir, `keys-of-${peer.name}`);
  writeFileSync(path, `${peer.key}\n`, { mode: 0o600 });
  return path;
}

/**
 * tests/bench/load.c. path is the upstream's; options: connections, seconds, warm, rate, body. Throws when a
 * request failed: what fails is quick.
 */
export async function load(dir, peer, path, options) {
  const result = await json('load', ['--port', peer.port, '--ca', peer.caFile, '--keys', keysFile(dir, peer),
    '--path', `${peer.prefix}${path}`, ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])]);
  if (result.errors) console.error(`${peer.name}: ${result.errors} of ${result.requests + result.errors} requests failed`);
  if (result.requests === 0 && result.received + result.sent === 0) throw new Error(`${peer.name} answers nothing`);
  return result;
}

export function readEvents(dir, peer, path, { streams, seconds }) {
  return json('events', [peer.port, peer.caFile, keysFile(dir, peer), `${peer.prefix}${path}`, streams, seconds]);
}

export const fsyncCost = (dir) => json('fsync_bench', [dir]);

/** Holds idle connections until release() is called; held() and release() say how many there are. */
export async function hold(dir, peer, path, count) {
  const child = startProgram(tool('hold'), [peer.port, peer.caFile, keysFile(dir, peer), `${peer.prefix}${path}`, count].map(String));
  const line = (n) => new Promise((resolve, reject) => {
    const look = () => {
      const lines = child.out.split('\n');
      if (lines.length > n + 1) resolve(JSON.parse(lines[n]));
    };
    child.stdout.on('data', look);
    child.once('close', () => reject(new Error(`hold ended: ${child.log}`)));
    look();
  });
  return {
    ...await line(0),
    release: async () => {
      const last = line(1);
      child.stdin.end('\n');
      const result = await last;
      await child.ended;
      return result;
    },
  };
}
