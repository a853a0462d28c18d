// wrk, and the numbers in what it prints.
import { SMALL_PATH } from './peers.mjs';
import { runProgram } from './program.mjs';

const UNITS = { us: 1, ms: 1e3, s: 1e6, m: 6e7 };

function inUs(text) {
  const [, number, unit] = /^([\d.]+)(us|ms|s|m)$/.exec(text);
  return Number(number) * UNITS[unit];
}

/** {requests, rps, p50, p99, errors}: times in µs. options: connections, seconds */
export async function wrk(peer, { connections, seconds }) {
  const stdout = await runProgram('wrk', [
    `-t${connections >= 32 ? 2 : 1}`, `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '--latency',
    '-H', `Authorization: Bearer ${peer.key}`, `https://127.0.0.1:${peer.port}${peer.prefix}${SMALL_PATH}`,
  ]);
  const at = (pattern) => pattern.exec(stdout)?.slice(1) ?? [];
  const [p50] = at(/^\s+50%\s+(\S+)/m);
  if (!p50) throw new Error(`wrk against ${peer.name}: ${stdout}`);
  const socket = at(/Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/).map(Number);
  const refused = Number(at(/Non-2xx or 3xx responses: (\d+)/)[0] ?? 0);
  const requests = Number(at(/(\d+) requests in/)[0]);
  return {
    requests,
    rps: Number(at(/Requests\/sec:\s+([\d.]+)/)[0]) * (1 - refused / Math.max(requests, 1)), // refusing is quick
    p50: inUs(p50),
    p99: inUs(at(/^\s+99%\s+(\S+)/m)[0]),
    errors: socket.reduce((a, b) => a + b, 0) + refused,
  };
}
