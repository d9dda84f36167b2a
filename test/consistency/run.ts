import { parseArgs } from 'node:util';
import { startLab } from '../../src/lab/start-lab.ts';
import { runCampaign } from './campaign.ts';
import { LEVELS, type Level } from './history.ts';
import { wordedReport } from './report.ts';
import { SWITCH_EVERY } from './schedule.ts';
import { Timeline } from './timeline.ts';

const USAGE = `Usage: node test/consistency/run.ts [options]

  --level LEVEL      ${LEVELS.join(', ')} (session)
  --judged-as LEVEL  hold the reads to the promises of another level
  --operations N     statements of all clients (100000)
  --rounds N         rounds of faults at least (3)
  --seed N           (1)
  --flavor NAME      mysql or mariadb (mysql)
  --clients N        (16)
  --proxies N        (2)
  --switch-every N   rounds behind which the primary changes, 0 for never (3)
  --lose-every N     of those changes, the primary is lost in every Nth, 0 for never (0)
  --mixed            each read asks for one level or another
  --no-faults        leave the replicas alone
  --break            turn off what makes reads fresh: there must be violations

Ends with 1 if there are violations; with --break, if there are none.
`;

const MAX_OPERATIONS = 10_000_000;
const MAX_CLIENTS = 200;
/** As many as a history can tell apart. */
const MAX_PROXIES = 7;
const MAX_ROUNDS = 10_000;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      level: { type: 'string', default: 'session' },
      'judged-as': { type: 'string' },
      operations: { type: 'string', default: '100000' },
      rounds: { type: 'string', default: '3' },
      seed: { type: 'string', default: '1' },
      flavor: { type: 'string', default: 'mysql' },
      clients: { type: 'string', default: '16' },
      proxies: { type: 'string', default: '2' },
      'switch-every': { type: 'string', default: String(SWITCH_EVERY) },
      'lose-every': { type: 'string', default: '0' },
      mixed: { type: 'boolean', default: false },
      'no-faults': { type: 'boolean', default: false },
      break: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (values.flavor !== 'mysql' && values.flavor !== 'mariadb') {
    throw new Error(`--flavor is mysql or mariadb, not ${values.flavor}`);
  }
  const judgedAs = values['judged-as'];
  const timeline = new Timeline();
  const onStep = (text: string) => timeline.note(text);
  const loseEvery = numberFrom('--lose-every', values['lose-every'], MAX_ROUNDS, 0);
  await using lab = await startLab({ flavor: values.flavor, onStep, semiSync: loseEvery > 0 });
  const report = await runCampaign(lab, {
    level: levelFrom('--level', values.level),
    ...(judgedAs === undefined ? {} : { judgedAs: levelFrom('--judged-as', judgedAs) }),
    operations: numberFrom('--operations', values.operations, MAX_OPERATIONS),
    minRounds: numberFrom('--rounds', values.rounds, MAX_ROUNDS),
    seed: numberFrom('--seed', values.seed, Number.MAX_SAFE_INTEGER / 1000),
    clients: numberFrom('--clients', values.clients, MAX_CLIENTS),
    proxies: numberFrom('--proxies', values.proxies, MAX_PROXIES),
    switchEvery: numberFrom('--switch-every', values['switch-every'], MAX_ROUNDS, 0),
    loseEvery,
    mixed: values.mixed,
    breakConsistency: values.break,
    timeline,
    ...(values['no-faults'] ? { faults: [] } : {}),
  });
  process.stdout.write(`${wordedReport(report)}\n`);
  return report.judgement.total > 0 === values.break ? 0 : 1;
}

function levelFrom(option: string, text: string): Level {
  const level = LEVELS.find((each) => each === text);
  if (level === undefined) throw new Error(`${option} is one of ${LEVELS.join(', ')}, not ${text}`);
  return level;
}

function numberFrom(option: string, text: string, max: number, min = 1): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= min && number <= max) return number;
  throw new Error(`${option} is a whole number from ${min} to ${max}, not ${text}`);
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  return 2;
});
