import type { PolicySource } from '../routing/policy.ts';
import type { AdminAnswer } from './admin-client.ts';
import type { Explanation } from './explain-statement.ts';
import type { Destination } from './judge-statement.ts';

const TARGETS: Readonly<Record<Destination, string>> = {
  primary: 'the primary',
  replica: 'a replica',
  same: 'the server that the session is on',
  local: 'nowhere, Lagwise answers it',
  any: 'wherever the session is; the change goes along',
};

const SOURCES: Readonly<Record<PolicySource, string>> = {
  hint: 'its comment',
  attribute: 'a query attribute',
  setting: 'the session',
  rule: 'a rule',
  user: 'the account',
  config: 'the configuration',
};

/** The explanation for people. @param asked the admin address, and what came of it */
export function explanationText(
  explained: Explanation,
  asked: { readonly base: string; readonly answer: AdminAnswer },
): string {
  const { policy, hint } = explained;
  const lag = `${policy.maxLagMs} ms`;
  const rows: [string, string][] = [
    ['statement', explained.digestText === '' ? '(empty)' : explained.digestText],
    ['digest', explained.digest],
    ['class', `${explained.class} (${explained.classReason})`],
    ['', explained.classWhy],
    ['goes to', TARGETS[explained.target]],
    ...(explained.reason === explained.classReason ? [] : [row('', explained.why)]),
    ...explained.effectsInWords.map((words) => row('effect', words)),
  ];
  if (hint !== null) {
    rows.push(['comment', pairs(hint.says)]);
    for (const problem of hint.problems) rows.push(['', `not understood: ${problem}`]);
  }
  if (explained.rules.length > 0) rows.push(['rules', explained.rules.join(', ')]);
  rows.push(
    ['consistency', `${policy.consistency}, from ${SOURCES[policy.sources.consistency]}`],
    ['lag limit', `${lag}, from ${SOURCES[policy.sources.maxLagMs]}`],
  );
  if (policy.replicaTags.length > 0) {
    const tags = policy.replicaTags.join(', ');
    rows.push(['tags', `${tags}, from ${SOURCES[policy.sources.replicaTags]}`]);
  }
  return `${rows.map(([name, words]) => line(name, words)).join('')}${serversText(explained, asked)}`;
}

const row = (label: string, words: string): [string, string] => [label, words];

const LABEL_WIDTH = 13;

function line(label: string, words: string): string {
  return `${label.padEnd(LABEL_WIDTH)}${words}\n`;
}

function pairs(object: Readonly<Record<string, unknown>>): string {
  const list = Object.entries(object).map(([key, value]) => `${key}=${String(value)}`);
  return list.length === 0 ? 'says nothing' : list.join(', ');
}

function serversText(
  { servers, notes }: Explanation,
  { base, answer }: { readonly base: string; readonly answer: AdminAnswer },
): string {
  const head =
    answer.t === 'ok'
      ? `\nservers now, by ${base}\n`
      : `\nNo proxy was asked for its servers: ${base} cannot be reached (${answer.why})\n`;
  const width = Math.max(0, ...(servers ?? []).map(({ id }) => id.length)) + 2;
  const rows = (servers ?? []).map(
    ({ id, eligible, why }) => `  ${eligible ? 'yes' : 'no '}  ${id.padEnd(width)}${why}\n`,
  );
  const list =
    rows.length === 0 && answer.t === 'ok' ? ['  it goes to none in particular\n'] : rows;
  const more = notes.length === 0 ? '' : `\n${notes.map((note) => `${note}\n`).join('')}`;
  return `${head}${list.join('')}${more}`;
}
