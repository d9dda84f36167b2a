import {
  missingFrom,
  type Position,
  parseJoined,
  positionContains,
  unitePositions,
} from '../../gtid/position.ts';
import { LagwiseError } from '../../lib/errors.ts';
import type { ServerId } from '../../lib/ids.ts';
import type { BackendConnection } from '../../pool/backend-connection.ts';
import type { Swallowed } from '../../pool/swallow.ts';
import { type Requirement, shows } from '../../routing/visibility.ts';
import type { ServingRole } from '../../telemetry/labels.ts';
import type { Flavor, ServerView, Snapshot } from '../../topology/snapshot.ts';
import { encodeQuery } from '../../wire/packets/query.ts';
import { REPLY, type ReplyKind } from '../../wire/reply-kinds.ts';
import { decodeOnlyValue } from '../../wire/text-resultset.ts';
import type { Command } from '../command/command.ts';
import type { ReplicaChoice } from './replica-choice.ts';
import type { SessionDeps } from '../session-deps.ts';

/** A longer position is not waited for: the statement would be longer than most reads. */
const MAX_POSITION_CHARS = 16_384;

/** What each flavour calls the function that waits for a position, and how it is asked. */
const WORDS = {
  mysql: { wait: 'WAIT_FOR_EXECUTED_GTID_SET', verb: 'DO' },
  // Its DO is always OK, whatever fails in it.
  mariadb: { wait: 'MASTER_GTID_WAIT', verb: 'SELECT' },
} as const satisfies Record<Flavor, { wait: string; verb: string }>;

/**
 * All that a server can have shown, and a little more. Readers see a commit before the server's own
 * position has it: on MySQL its GTID is owned until then (owned first, or it could slip through in
 * between); on MariaDB it is in the binary log, if what is replicated goes there.
 */
const SHOWN = {
  mysql: {
    primary: "CONCAT_WS(',', @@GLOBAL.gtid_owned, @@GLOBAL.gtid_executed)",
    replica: "CONCAT_WS(',', @@GLOBAL.gtid_owned, @@GLOBAL.gtid_executed)",
  },
  mariadb: {
    primary: "CONCAT_WS(',', @@GLOBAL.gtid_current_pos, @@GLOBAL.gtid_binlog_pos)",
    replica:
      "IF(@@GLOBAL.log_bin AND @@GLOBAL.log_slave_updates, CONCAT_WS(',', @@GLOBAL.gtid_current_pos, @@GLOBAL.gtid_binlog_pos), NULL)",
  },
} as const satisfies Record<Flavor, Record<ServingRole, string>>;
/** `uuid:5#17`: the thread that owns it. */
const OWNER = /#\d+/gu;

/** What a statement that must not fail is answered with. */
export const GUARD_REPLY = {
  mysql: REPLY.SIMPLE,
  mariadb: REPLY.RESULT,
} as const satisfies Record<Flavor, ReplyKind>;

/** Lends connections for a question of the proxy's own. */
export interface Lender {
  /** Null where none is free. */
  borrow(server: ServerView): Promise<BackendConnection | null>;
  giveBack(connection: BackendConnection): void;
  swallow(
    connection: BackendConnection,
    bytes: Buffer,
    kinds: readonly ReplyKind[],
  ): Promise<readonly Swallowed[]>;
}

/** A replica that may serve a read, if it catches up in time. */
export interface Candidate {
  readonly server: ServerView;
  /** The statement that waits for it; null where it is known to have what is wanted. */
  readonly awaits: string | null;
}

/**
 * A statement that ends when the server has `missing`, and fails (ER_SUBQUERY_NO_1_ROW) where it has
 * not got there in time. Its answer is short either way.
 * @see https://dev.mysql.com/doc/refman/en/gtid-functions.html
 * @see https://mariadb.com/kb/en/master_gtid_wait/
 */
function waitStatement(flavor: Flavor, missing: string, waitMs: number): string {
  const { wait, verb } = WORDS[flavor];
  const call = `${wait}('${missing}', ${(waitMs / 1000).toFixed(3)})`;
  return `${verb} IF(${call} = 0, 0, (SELECT 1 UNION SELECT 2))`;
}

/** MariaDB 12 has words in place of numbers. */
const IS_WRITABLE = "CONCAT(@@GLOBAL.read_only) IN ('0', 'OFF')";
/**
 * As long as commits wait for a replica to confirm them if nobody says otherwise
 * (`rpl_semi_sync_source_timeout`).
 */
const COMMITS_END_S = 10;
/**
 * The server shows all that was in its binary log; what it does not show yet is owned. In one
 * character set, whatever the session has: REGEXP_REPLACE takes no mixture with `binary`. A session
 * that has chosen a GTID for itself may not wait.
 */
const ALL_SHOWN = `(@@SESSION.gtid_owned <> '' OR WAIT_FOR_EXECUTED_GTID_SET(REGEXP_REPLACE(CONVERT(@@GLOBAL.gtid_owned USING latin1), _latin1'#[0-9]+', _latin1''), ${COMMITS_END_S}) = 0)`;

/**
 * A statement that must not fail on the primary before a read; null for none.
 * @param checks.isWritable another proxy may know already that it is the primary no more
 * @param checks.showsAll what was begun must be shown. MariaDB has nothing to wait on.
 */
export function primaryCheck(
  flavor: Flavor,
  checks: { readonly isWritable: boolean; readonly showsAll: boolean },
): string | null {
  const all: string[] = [];
  if (checks.isWritable) all.push(IS_WRITABLE);
  if (checks.showsAll && flavor === 'mysql') all.push(ALL_SHOWN);
  if (all.length === 0) return null;
  return `${WORDS[flavor].verb} IF(${all.join(' AND ')}, 0, (SELECT 1 UNION SELECT 2))`;
}

/**
 * The second rung of the ladder: no replica is known to show what a session must see, but one may
 * have it by now, or very soon. Finds out what exactly has to be there, and which replica is to be
 * asked to wait for it.
 */
export class CatchUp {
  private readonly deps: SessionDeps;
  private readonly lender: Lender;
  private readonly choice: ReplicaChoice;

  constructor(deps: SessionDeps, lender: Lender, choice: ReplicaChoice) {
    this.deps = deps;
    this.lender = lender;
    this.choice = choice;
  }

  /**
   * Where the read may run, and behind what; null for the primary.
   * @param preferred taken if it will do at all
   */
  async find(command: Command, preferred: ServerId | null = null): Promise<Candidate | null> {
    const { topology, config } = this.deps;
    const { waitMs } = config.routing;
    const before = topology.current();
    const demand = this.choice.demand(before, command);
    const aim = this.choice.aimOf(before, demand, preferred);
    // What the replica in use is known to show nobody has to be asked.
    const { requirements } = demand;
    const open =
      aim === null ? requirements : requirements.filter((each) => !shows(aim, [each], before));
    const wanted = await this.whatIsWanted(open, before);
    if (wanted === null || wanted.text.length > MAX_POSITION_CHARS) return null;
    // Meanwhile more may be known.
    const server = this.choice.near(topology.current(), demand, wanted, aim?.id ?? null);
    if (server === null || server.flavor === null || server.position === null) return null;
    // Another one than was asked for, of which less is known.
    if (server.id !== aim?.id && open.length < requirements.length) return null;
    const { position } = server;
    if (positionContains(position, wanted)) return { server, awaits: null };
    const missing = missingFrom(position, wanted);
    return { server, awaits: waitStatement(server.flavor, missing, waitMs) };
  }

  /**
   * All of it in one position: the token that a client may carry to another connection.
   * @returns null where it cannot be found out
   */
  async positionFor(requirements: readonly Requirement[]): Promise<Position | null> {
    return await this.whatIsWanted(requirements, this.deps.topology.current());
  }

  /** All that the read must see, in one position; null where it cannot be found out. */
  private async whatIsWanted(
    requirements: readonly Requirement[],
    snapshot: Snapshot,
  ): Promise<Position | null> {
    let wanted: Position | null = null;
    for (const requirement of requirements) {
      const part = await this.positionOf(requirement, snapshot);
      if (part === null) return null;
      wanted = wanted === null ? part : unitePositions(wanted, part);
    }
    return wanted;
  }

  private async positionOf(requirement: Requirement, snapshot: Snapshot): Promise<Position | null> {
    if (requirement.t === 'commits') {
      if (requirement.position !== null) return requirement.position;
      const askedAtMs = performance.now();
      const told = await this.ask(snapshot.primary);
      if (told !== null) this.choice.learned(told, askedAtMs);
      return told;
    }
    const shown = snapshot.servers.find(({ id }) => id === requirement.server);
    const isUp = shown?.role === 'replica' && shown.grownSinceMs <= requirement.atMs;
    const told = isUp ? await this.ask(shown) : null;
    // A replica has shown nothing that the primary did not have, or own at least.
    return told ?? (await this.ask(snapshot.primary));
  }

  /** What a server has shown by now; null where it cannot be asked at once, or has no GTIDs. */
  private async ask(server: ServerView | null): Promise<Position | null> {
    if (server === null || server.position === null) return null;
    const { id, role, ineligible } = server;
    if (role !== 'primary' && ineligible !== null) return null;
    let connection: BackendConnection | null = null;
    try {
      connection = await this.lender.borrow(server);
      const asked = role === 'primary' ? 'primary' : 'replica';
      return connection === null ? null : await this.askOn(connection, asked);
    } catch (error) {
      if (!(error instanceof LagwiseError)) throw error;
      this.deps.logger.debug({ err: error, server: id }, 'Could not ask a server for its position');
      return null;
    } finally {
      if (connection !== null) this.lender.giveBack(connection);
    }
  }

  private async askOn(connection: BackendConnection, role: ServingRole): Promise<Position | null> {
    const { flavor, caps } = connection;
    const query = encodeQuery(`SELECT ${SHOWN[flavor][role]}`, caps);
    const [told] = await this.lender.swallow(connection, query, [REPLY.RESULT]);
    if (told === undefined || told.error !== null) return null;
    const text = decodeOnlyValue(told.result, caps, MAX_POSITION_CHARS);
    return text === null ? null : parseJoined(flavor, text.replaceAll(OWNER, ''));
  }
}
