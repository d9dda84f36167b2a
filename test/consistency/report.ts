import type { CampaignReport } from './campaign.ts';

/** The report of a run in words. */
export function wordedReport(report: CampaignReport): string {
  const { options, judgement, nemesis } = report;
  const rate = Math.round(report.operations / (report.tookMs / 1000));
  const lines = [
    `${report.flavor} ${report.version}, level ${options.level}${options.mixed === true ? ' and others mixed' : ''}${options.judgedAs === undefined ? '' : ` judged as ${options.judgedAs}`}, seed ${options.seed}, ${report.proxies} proxies${options.breakConsistency === true ? ', consistency broken on purpose' : ''}`,
    `operations  ${report.operations} (${report.reads} reads) in ${(report.tookMs / 1000).toFixed(1)} s, ${rate}/s; checked in ${Math.round(report.checkMs)} ms`,
    `failed      ${report.failedReads} reads (${share(report.failedReads, report.reads)}), ${report.failedWrites} writes; ${listed(report.errors)}`,
    ...report.messages.map((message) => `  ${message}`),
    `took        ${times('reads', report.latenciesMs.read)}; ${times('writes', report.latenciesMs.write)}`,
    `sessions    ${report.sessions}, ${report.carriedSessions} logins carried one on, ${report.renewedSessions} began on the connection of another`,
    `shown by    ${listed(report.shownBy)}`,
    `proxies     ${listed(report.metrics)}`,
    `faults      ${listed(nemesis.done)} in ${nemesis.rounds} rounds`,
    `violations  ${judgement.total === 0 ? 'none' : listed(judgement.counts)}`,
    ...judgement.examples.map(({ text }) => text),
    ...(report.around.length === 0 ? [] : ['around the first of them:']),
    ...report.around.map((line) => `  ${line}`),
  ];
  return lines.join('\n');
}

function share(part: number, whole: number): string {
  return whole === 0 ? '0 %' : `${((part / whole) * 100).toFixed(2)} %`;
}

function listed(counts: Readonly<Record<string, number>>): string {
  const shown = Object.entries(counts).filter(([, count]) => count !== 0);
  return shown.length === 0 ? 'none' : shown.map(([name, n]) => `${name} ${n}`).join(', ');
}

function times(what: string, percentiles: Readonly<Record<string, number>>): string {
  const shown = Object.entries(percentiles).map(([name, ms]) => `${name} ${ms.toFixed(1)}`);
  return `${what} ${shown.join(', ')} ms`;
}
