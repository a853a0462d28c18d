// Programs in the foreground, ended by pid however the benchmark ends.
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { until } from '../../lib/broker.mjs';
import { probe } from './probe.mjs';

const started = new Set();
process.on('exit', () => started.forEach((child) => child.kill('SIGTERM')));

/** What the program prints is kept in `out` and `err`, and both as they came in `log`. */
export function startProgram(file, args) {
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  started.add(child);
  child.out = child.err = child.log = '';
  child.stdout.on('data', (d) => { child.out += d; child.log += d; });
  child.stderr.on('data', (d) => { child.err += d; child.log += d; });
  child.stdin.on('error', () => {});
  child.on('error', (err) => { child.err += err.message; child.log += err.message; });
  child.ended = new Promise((done) => child.once('close', (code) => { started.delete(child); done(code); }));
  child.stop = () => { child.kill('SIGTERM'); return child.ended; };
  return child;
}

/** Runs a program to its end; fails with what it said when its status is not 0. Returns its standard output. */
export async function runProgram(file, args, input = '') {
  const child = startProgram(file, args.map(String));
  child.stdin.end(input);
  const status = await child.ended;
  if (status !== 0) throw new Error(`${basename(file)}: ${child.err.trim() || `status ${status}`}`);
  return child.out;
}

export async function stopPrograms() {
  await Promise.all([...started].map((child) => child.stop()));
}

/** A program with a configuration file that listens on `port`. args(path) are its arguments. */
export async function startServer(dir, name, file, args, config, port) {
  const path = join(dir, `${name}.conf`);
  writeFileSync(path, config);
  const child = startProgram(file, args(path));
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`${name} ended: ${child.log}`);
    return probe(port);
  }, `${name} to listen`);
  return child;
}

export function childrenOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' }).trim().split('\n').map(Number);
  }
}
