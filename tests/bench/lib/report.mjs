// Markdown tables, and the verdict on a target.
import { figure } from './stats.mjs';

export function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** "at least 0.70: met": the two cells of a figure that has a target. */
export function atLeast(value, target, text = figure(target)) {
  return [`≥ ${text}`, value >= target ? 'met' : 'missed'];
}

export function atMost(value, target, text = figure(target)) {
  return [`≤ ${text}`, value <= target ? 'met' : 'missed'];
}

export const noTarget = ['', ''];
