import { alignColumns } from './screen.ts';
import type { DemoSummary } from './summary.ts';

/** The summary for people. */
export function summaryText(summary: DemoSummary): string {
  return [
    '',
    `── Summary (${summary.flavor} ${summary.version}, workload ${inSeconds(summary.workloadMs)}) ──`,
    '',
    ...serverTable(summary),
    '  (server: what the server itself has counted, of the killed one up to the kill; the proxy counts',
    '  the preparation of a statement too)',
    '',
    ...facts(summary).map(([name, value]) => `${name.padEnd(30)}${value}`),
    '',
    summary.ok ? 'Every promise was kept.' : `BROKEN: ${summary.failures.join('; ')}`,
    `The whole run took ${inSeconds(summary.wallMs)}.`,
  ].join('\n');
}

function serverTable(summary: DemoSummary): string[] {
  const header = ['server', '', 'statements', 'reads', '(server)', 'share', 'writes', '(server)'];
  const rows = Object.keys(summary.statementsByServer).map((id) => [
    id,
    history(id, summary),
    String(summary.statementsByServer[id] ?? 0),
    String(summary.readsByServer[id] ?? 0),
    String(summary.readsCountedByServers[id] ?? 0),
    id in summary.readShare ? `${((summary.readShare[id] ?? 0) * 100).toFixed(1)} %` : '',
    String(summary.writesByServer[id] ?? 0),
    String(summary.writesCountedByServers[id] ?? 0),
  ]);
  return alignColumns([header, ...rows]);
}

function history(id: string, { killed, promoted }: DemoSummary): string {
  if (id === killed) return 'primary, killed, came back as a replica';
  return id === promoted ? 'replica, then primary' : 'replica';
}

function facts(summary: DemoSummary): readonly (readonly [name: string, value: string])[] {
  const errors = Object.entries(summary.clientErrors).map(([kind, count]) => `${kind} ${count}`);
  const seen = Object.entries(summary.writesSeenByReplicas).map(([id, n]) => `${id} ${n}`);
  return [
    [
      'Misrouted writes',
      `${summary.misroutedWrites} (writes that replicas saw: ${seen.join(', ')})`,
    ],
    ['Rows acknowledged', String(summary.rowsAcknowledged)],
    ['Rows found on the new primary', String(summary.rowsFound)],
    ['Acknowledged but lost', String(summary.lostWrites)],
    [
      'Rows of unknown outcome',
      `${summary.rowsOfUnknownOutcome}, of which ${summary.rowsOfUnknownOutcomeFound} are there`,
    ],
    [
      'Torn transactions',
      summary.balanceDrift === 0 ? 'none' : `sum off by ${summary.balanceDrift}`,
    ],
    ['Stale reads of own writes', String(summary.staleOwnReads)],
    ['Wrong answers', String(summary.wrongAnswers)],
    ['Errors seen by clients', errors.length === 0 ? 'none' : errors.join(', ')],
    ['Time without writes', inMs(summary.timeWithoutWritesMs)],
    ['  of it after the promotion', inMs(summary.timeWithoutWritesAfterPromotionMs)],
  ];
}

function inSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function inMs(ms: number | null): string {
  return ms === null ? 'not known: no write was acknowledged again' : `${ms} ms`;
}
