/**
 * How true is the lag that Lagwise reports? Holds a replica back in several ways while the primary is
 * written to, and compares each published figure with what the replica really showed then.
 *
 *     node tools/run.mjs test/lag/accuracy.ts --flavor mysql,mariadb --png docs/lag-accuracy.png
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { startLab } from '../../src/lab/start-lab.ts';
import { drawAccuracy, type FlavorRuns } from './chart.ts';
import { watchLab } from './cluster.ts';
import { type Injection, measureRun, type Run } from './measure.ts';
import { summarise, tableOf } from './summary.ts';
import { Truth } from './truth.ts';

const REPLICA = 'db2';

const { values } = parseArgs({
  options: {
    flavor: { type: 'string', default: 'mysql' },
    seconds: { type: 'string', default: '10' },
    writes: { type: 'string', default: '75' },
    /** Where and how much: `receiver:50`, `delay:1000`, `applier:800`. */
    runs: {
      type: 'string',
      default:
        'receiver:0,receiver:50,receiver:200,receiver:1000,receiver:5000,delay:1000,delay:5000,applier:800',
    },
    /** Milliseconds between heartbeats; without it there are none. */
    heartbeat: { type: 'string' },
    interval: { type: 'string', default: '250' },
    json: { type: 'string' },
    png: { type: 'string' },
  },
});

const all: FlavorRuns[] = [];
for (const flavor of values.flavor.split(',')) {
  if (flavor !== 'mysql' && flavor !== 'mariadb') throw new Error(`No such flavor: ${flavor}`);
  all.push(await measureFlavor(flavor));
}
if (values.json !== undefined) {
  const figures = all.map(({ title, runs }) => ({ title, runs: runs.map(summarise) }));
  writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`);
}
if (values.png !== undefined) writeFileSync(values.png, drawAccuracy(all));

async function measureFlavor(flavor: 'mysql' | 'mariadb'): Promise<FlavorRuns> {
  await using lab = await startLab({ flavor, replicas: 1 });
  await lab.rootQuery('db1', `GRANT ALL ON lagwise.* TO '${lab.accounts.monitor.user}'@'%'`);
  const heartbeatMs = values.heartbeat === undefined ? null : Number(values.heartbeat);
  const topology = watchLab(lab, { heartbeatMs, intervalMs: Number(values.interval) });
  const title = `${flavor === 'mysql' ? 'MySQL' : 'MariaDB'} ${lab.version}`;
  const runs: Run[] = [];
  try {
    await using truth = await Truth.start(lab, REPLICA, Number(values.writes));
    for (const injection of values.runs.split(',').map(injectionOf)) {
      const seconds = Number(values.seconds);
      runs.push(
        await measureRun({ lab, topology, truth }, { injection, replica: REPLICA, seconds }),
      );
    }
  } finally {
    await topology.stop();
  }
  console.log(`\n${title}\n\n${tableOf(runs.map(summarise))}`);
  return { title, runs };
}

function injectionOf(text: string): Injection {
  const [where = '', ms = ''] = text.split(':');
  if (where !== 'receiver' && where !== 'delay' && where !== 'applier') {
    throw new Error(`A run is receiver:MS, delay:MS or applier:MS, not ${text}`);
  }
  return { where, lagMs: Number(ms) };
}
