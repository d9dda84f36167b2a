import type { Observation } from './observe.ts';
import { type Place, placed, type Script, type Step } from './script.ts';
import { setupOf, touchesShared } from './setup.ts';
import type { Lane, System } from './systems.ts';
import { WireClient } from './wire-client.ts';

/** What the clients of a script saw: their logins, then a reply for each step. */
export interface Run {
  readonly logins: readonly Observation[];
  readonly replies: readonly Observation[];
}

/** Two runs that are not equal. */
export interface Difference {
  /** Where they part: the index of a step, or of a client where `login` is true. */
  readonly at: number;
  readonly login: boolean;
  readonly direct: Observation;
  readonly proxied: Observation;
}

/** Runs the script on both systems; null when all was equal. */
export async function compare(
  lane: Lane,
  script: Script,
  place: Place,
): Promise<Difference | null> {
  const [direct, proxied] = await Promise.all([
    runScript(lane.direct, script, place),
    runScript(lane.proxied, script, place),
  ]);
  return differenceOf(direct, proxied);
}

/** Where two runs part; null when they are equal. */
export function differenceOf(direct: Run, proxied: Run): Difference | null {
  return (
    firstDifference(direct.logins, proxied.logins, true) ??
    firstDifference(direct.replies, proxied.replies, false)
  );
}

function firstDifference(
  direct: readonly Observation[],
  proxied: readonly Observation[],
  login: boolean,
): Difference | null {
  for (const [at, mine] of direct.entries()) {
    const theirs = proxied[at] ?? [];
    if (!isEqual(mine, theirs)) {
      return { at, login, direct: mine, proxied: theirs };
    }
  }
  return null;
}

/** A refusal to guess, which tells the client why. */
const REFUSAL = /^error 1105 HY000 lagwise: the connection that ran the statement before/;
/** Which row it was servers count on from the statement before. */
const ROW_NUMBER = / at row \d+/g;

function isEqual(mine: Observation, theirs: Observation): boolean {
  if (theirs.some((line) => REFUSAL.test(line))) return true;
  const plain = (line: string | undefined) => line?.replaceAll(ROW_NUMBER, '');
  return (
    mine.length === theirs.length &&
    mine.every((line, index) => plain(line) === plain(theirs[index]))
  );
}

/** Runs a script, one step after the other. */
export async function runScript(system: System, script: Script, place: Place): Promise<Run> {
  await system.setUp(setupOf(script).map((statement) => placed(statement, place)));
  await system.settle();
  const clients = script.clients.map(
    ({ user, schema, collation, flags }) =>
      new WireClient(
        system.endpoint,
        {
          user,
          password: system.endpoint.passwords[user],
          schema: schema === null ? null : placed(schema, place),
          collation,
          flags,
        },
        place,
      ),
  );
  try {
    const logins: Observation[] = [];
    for (const client of clients) logins.push(await client.connect());
    const replies: Observation[] = [];
    const barriers = new Barriers(system, clients);
    for (const step of script.steps) {
      const client = clients[step.c];
      if (client === undefined) throw new Error(`There is no client ${step.c}`);
      await barriers.before(step, client);
      if (step.do === 'settle') await system.settle();
      replies.push(await client.act(step));
      barriers.after(step);
    }
    return { logins, replies };
  } finally {
    for (const client of clients) client.close();
  }
}

/**
 * A session is promised its own writes and nothing of others'. So before a client may look at what
 * others committed, all servers get it: when a step names what is shared, and before each step of a
 * client in (or before) a transaction, for that may be the one that takes the snapshot.
 */
class Barriers {
  readonly #system: System;
  readonly #clients: readonly WireClient[];
  /** Clients that did something since the last barrier. */
  readonly #active = new Set<number>();
  /** Clients that have prepared statements on what is shared. */
  readonly #prepared = new Set<number>();

  constructor(system: System, clients: readonly WireClient[]) {
    this.#system = system;
    this.#clients = clients;
  }

  async before(step: Step, client: WireClient): Promise<void> {
    const sql = 'sql' in step ? step.sql : '';
    if (step.do === 'reconnect' || step.do === 'changeUser' || !client.isConnected) {
      // Who logs in anew is somebody else: nothing is promised of what the former one wrote.
      await this.#system.barrier();
      return;
    }
    const looks =
      touchesShared(sql) ||
      /\b(begin|start transaction|xa|prepare)\b/i.test(sql) ||
      this.#prepared.has(step.c) ||
      client.inTransaction;
    if (looks && [...this.#active].some((c) => c !== step.c)) {
      await this.#system.barrier();
      this.#active.clear();
    }
  }

  after(step: Step): void {
    if (this.#clients.length > 1) this.#active.add(step.c);
    if (!('sql' in step) || !touchesShared(step.sql)) return;
    if (step.do === 'prepare' || /\bprepare\b/i.test(step.sql)) this.#prepared.add(step.c);
  }
}
