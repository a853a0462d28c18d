// Rounds: the peers one after the other, as close together as can be, so that whatever the machine does to one it
// does to all. A ratio is taken inside a round, and the median over the rounds.
import { median } from './stats.mjs';

/** Calls measure(peer) for each peer in each round; returns {name: [result, ...]}. The order turns from round to round. */
export async function inRounds(peers, rounds, measure) {
  const results = Object.fromEntries(peers.map((peer) => [peer.name, []]));
  for (let round = 0; round < rounds; round++) {
    const first = round % peers.length;
    for (const peer of [...peers.slice(first), ...peers.slice(0, first)]) results[peer.name].push(await measure(peer));
  }
  return results;
}

/** Median over the rounds of of(result) / of(base's result in that round). */
export function ratio(results, base, of) {
  return median(results.map((result, round) => of(result) / of(base[round])));
}

export const middle = (results, of) => median(results.map(of));
