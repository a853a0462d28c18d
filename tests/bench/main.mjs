// Runs the scenarios one after the other and puts their tables together; see tests/bench/run.
import { appendFileSync, chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commit, machine, versions } from './lib/machine.mjs';
import { stopEverything } from './lib/peers.mjs';
import { tool } from './lib/tools.mjs';

const SCENARIOS = ['throughput', 'latency', 'tail', 'sizes', 'sse', 'memory', 'keys', 'slow-token', 'control'];
const BY_NAME = ['profile']; // only when asked for
const RESULTS = new URL('RESULTS.md', import.meta.url);

function options(argv) {
  const chosen = { record: false, quick: false, names: [] };
  for (const arg of argv) {
    if (arg === '--record') chosen.record = true;
    else if (arg === '--quick') chosen.quick = true;
    else if (SCENARIOS.includes(arg) || BY_NAME.includes(arg)) chosen.names.push(arg);
    else {
      console.error(`usage: tests/bench/run [--record] [--quick] [SCENARIO...]\nscenarios: ${[...SCENARIOS, ...BY_NAME].join(' ')}`);
      process.exit(2);
    }
  }
  if (chosen.names.length === 0) chosen.names = SCENARIOS;
  return chosen;
}

/** Runs one scenario in a directory of its own; one that fails is told and does not end the others. */
async function scenario(name, quick) {
  const dir = mkdtempSync(join(tmpdir(), `relaykey-bench-${name}-`));
  chmodSync(dir, 0o711); // workers that are another user find their files
  const remove = () => rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  process.on('exit', remove);
  const started = Date.now();
  const result = { failed: false };
  try {
    const { run } = await import(`./scenario/${name.replace('-', '_')}.mjs`);
    result.text = await run({ dir, quick });
  } catch (err) {
    console.error(`${name}: ${err.stack}`);
    Object.assign(result, { text: `failed: ${err.message.split('\n')[0]}`, failed: true });
  }
  const deaths = await stopEverything();
  if (deaths.length) Object.assign(result, { text: `${result.text}\n\nA process of the broker died:\n\n    ${deaths.join('\n    ')}`, failed: true });
  remove();
  process.off('exit', remove);
  return { text: `### ${name}\n\n${result.text}\n`, failed: result.failed, seconds: (Date.now() - started) / 1000 };
}

const { record, quick, names } = options(process.argv.slice(2));
if (!existsSync(tool('load'))) {
  console.error('build it first: make all bench-binaries (make bench does)');
  process.exit(2);
}
const heading = `## ${new Date().toISOString().slice(0, 10)}, commit ${commit()}${quick ? ' (quick: short runs, not for comparison)' : ''}`;
const parts = [`${heading}\n\n${await versions()}. ${machine()}.\n`];
console.log(`\n${parts[0]}`);
let failed = 0;
for (const name of names) {
  const { text, seconds, failed: bad } = await scenario(name, quick);
  parts.push(text);
  console.log(text);
  if (bad) failed++;
  console.error(`(${name}: ${Math.round(seconds)} s)`);
}
const cells = (verdict) => parts.join('').split(`| ${verdict} |`).length - 1;
parts.push(`Targets: ${cells('met')} met, ${cells('missed')} missed.\n`);
console.log(parts.at(-1));
if (record) appendFileSync(RESULTS, `\n${parts.join('\n')}`);
process.exit(failed ? 1 : 0);
