import { Bench } from 'tinybench';
import { serverId } from '../../../src/lib/ids.ts';
import { ServerLoad } from '../../../src/pool/server-load.ts';
import { chooseReplica } from '../../../src/routing/choose-replica.ts';
import { betterReplica } from '../../../src/routing/replica-move.ts';
import { aServer, aSnapshot, seeded } from '../../support/snapshots.ts';

/**
 * What it costs to note a read (for each statement) and to choose a replica (for each session when
 * there is a new snapshot): `node test/bench/micro/choose-replica.ts`.
 */
const REPLICAS = 5;
const ROUNDS = 1000;

const servers = Array.from({ length: REPLICAS }, (_, at) =>
  aServer({ id: serverId(`db${at}`), zone: at % 2 === 0 ? 'a' : 'b' }),
);
const [reader] = servers;
if (reader === undefined) throw new Error('No server');
const snapshot = aSnapshot({ servers });
const loads = new Map(servers.map(({ id }) => [id, new ServerLoad(id)]));
const loadOf = (id: (typeof reader)['id']): ServerLoad => loads.get(id) ?? new ServerLoad(id);
const demand = { maxLagMs: 1000, requirements: [], zone: null };
const random = seeded(1);
const load = loadOf(reader.id);

const bench = new Bench({ time: 1000, warmupTime: 300 });
let nowMs = 0;
bench
  .add('note a read', () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      nowMs += 0.05;
      load.noteRead(0.2 + random(), nowMs);
    }
  })
  .add('a random number, for comparison', () => {
    for (let round = 0; round < ROUNDS; round += 1) nowMs += random();
  })
  .add(`choose one of ${REPLICAS}`, () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      chooseReplica(snapshot, demand, loadOf, random);
    }
  })
  .add(`choose one of ${REPLICAS} by zone`, () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      chooseReplica(snapshot, { ...demand, zone: 'a' }, loadOf, random);
    }
  })
  .add(`stay with one of ${REPLICAS}`, () => {
    for (let round = 0; round < ROUNDS; round += 1) betterReplica(snapshot, demand, reader, loadOf);
  });
await bench.run();
for (const { name, result } of bench.tasks) {
  if (!('latency' in result)) throw new Error(`${name} did not run`);
  const nanoseconds = (result.latency.p50 * 1e6) / ROUNDS;
  process.stdout.write(`${name.padEnd(36)}${nanoseconds.toFixed(0).padStart(6)} ns\n`);
}
