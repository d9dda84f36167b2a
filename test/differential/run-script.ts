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

/** Runs the script on both systems; null when all was equal, or the proxy refused to guess. */
export async function compare(
  lane: Lane,
  script: Script,
  place: Place,
): Promise<Difference | null> {
  const [direct, proxied] = await Promise.all([
    runScript(lane.direct, script, place),
    runScript(lane.proxied, script, place),
  ]);
  lane.refusals += proxied.replies.filter(isRefusal).length;
  const strangers = lane.flavor === 'mariadb' ? strangersCounts(script, direct) : [];
  return differenceOf(direct, proxied, [...strangers, ...notSet(script, proxied)]);
}

/**
 * Where two runs part; null when they are equal.
 * @param leftOut steps whose replies are not compared
 */
export function differenceOf(
  direct: Run,
  proxied: Run,
  leftOut: readonly number[] = [],
): Difference | null {
  return (
    firstDifference(direct.logins, proxied.logins, { login: true, leftOut: [] }) ??
    firstDifference(direct.replies, proxied.replies, { login: false, leftOut })
  );
}

function firstDifference(
  direct: readonly Observation[],
  proxied: readonly Observation[],
  { login, leftOut }: { login: boolean; leftOut: readonly number[] },
): Difference | null {
  for (const [at, mine] of direct.entries()) {
    const theirs = proxied[at] ?? [];
    if (!leftOut.includes(at) && !isEqual(mine, theirs)) {
      return { at, login, direct: mine, proxied: theirs };
    }
  }
  return null;
}

const counts = (step: Step): boolean => step.do === 'query' && /^\s*select\b/i.test(step.sql);

/**
 * Steps that ask a MariaDB session for FOUND_ROWS() before it has had any rows: a server answers
 * with what its thread counted last, for whomever.
 */
function strangersCounts(script: Script, { replies }: Run): number[] {
  const counted = new Set<number>();
  return [...script.steps.entries()].flatMap(([at, step]) => {
    const asks = 'sql' in step && /found_rows\s*\(/i.test(step.sql) && !counted.has(step.c);
    const reply = replies[at] ?? [];
    const isNew = step.do === 'reconnect' || reply[0] === '(was disconnected)';
    if (isNew) counted.delete(step.c);
    else if (!asks && counts(step) && reply.some((line) => line.startsWith('row '))) {
      counted.add(step.c);
    }
    return asks ? [at] : [];
  });
}

/** Looks at variables that a client's GET DIAGNOSTICS did not set, since the proxy refused it. */
function notSet(script: Script, { replies }: Run): number[] {
  const refused = new Set<number>();
  return [...script.steps.entries()].flatMap(([at, step]) => {
    const sql = 'sql' in step ? step.sql : '';
    if (/get diagnostics/i.test(sql) && isRefusal(replies[at] ?? [])) refused.add(step.c);
    return refused.has(step.c) && /@[nrem]\b/.test(sql) ? [at] : [];
  });
}

/** A refusal to guess, which tells the client why. */
const REFUSAL = /^error 1105 HY000 lagwise: the connection that ran the statement before/;

/** Whether the proxy refused to guess. */
const isRefusal = (reply: Observation): boolean => reply.some((line) => REFUSAL.test(line));

function isEqual(mine: Observation, theirs: Observation): boolean {
  if (isRefusal(theirs)) return true;
  return (
    mine.length === theirs.length &&
    mine.every((line, index) => isSameLine(line, theirs[index] ?? ''))
  );
}

/**
 * Where one side does not tell how many warnings there are, the other's number does not count. MariaDB
 * sets a flag of the trackers in EOF packets for clients that have none, where a prepared statement
 * is of another schema than the session.
 */
function isSameLine(mine: string, theirs: string): boolean {
  if (mine === theirs) return true;
  if (mine.startsWith('eof ') && mine.replace(' SESSION_STATE_CHANGED', '') === theirs) return true;
  const plain = (line: string) => line.replace(/warnings=(?:\d+|\*)/, 'warnings=*');
  return /warnings=\*/.test(mine + theirs) && plain(mine) === plain(theirs);
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
