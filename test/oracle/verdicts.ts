import {
  ABOUT_ONE_SERVER,
  type ClassifyContext,
  type ReasonCode,
  type StatementClass,
} from '../../src/sql/classification.ts';
import { Classifier } from '../../src/sql/classify.ts';
import type { RoutineFacts } from '../../src/sql/routine-facts.ts';
import type { Flavor } from '../../src/topology/snapshot.ts';
import { charsetKind } from '../../src/sql/charset-kind.ts';
import { bytesOf } from './connection.ts';
import type { Judged, Verdict } from './judge.ts';
import { MODES, type Statement } from './statement.ts';

/** A statement that was judged and classified. */
export interface Compared extends Judged {
  readonly cls: StatementClass;
  readonly reason: ReasonCode;
}

/** What the proxy would know of the servers. */
export interface Knowledge {
  readonly flavor: Flavor;
  readonly serverVersion: number;
  readonly routines: RoutineFacts | null;
}

/** What the proxy would know of a session in the statement's mode on such a server. */
function contextOf(
  { mode = 'plain' }: Statement,
  { flavor, serverVersion, routines }: Knowledge,
): ClassifyContext {
  const { sqlMode, charset } = MODES[mode];
  const has = (name: string) => sqlMode?.split(',').includes(name) ?? false;
  return {
    noBackslashEscapes: has('NO_BACKSLASH_ESCAPES'),
    ansiQuotes: has('ANSI_QUOTES'),
    ignoreSpace: has('IGNORE_SPACE'),
    charsetKind: charsetKind(charset),
    routines,
    flavor,
    serverVersion,
  };
}

const classifier = new Classifier();

/** Classifies what was judged. */
export function compare(judged: readonly Judged[], known: Knowledge): Compared[] {
  return judged.map((each) => {
    const bytes = bytesOf(each.statement.sql);
    const context = contextOf(each.statement, known);
    const { cls, reason } = classifier.classify(bytes, 0, bytes.length, context);
    return { ...each, cls, reason };
  });
}

/** Nothing but a read may have it. */
const READ_CLASSES: ReadonlySet<StatementClass> = new Set(['read', 'local', 'same-server']);
const AT_THE_PRIMARY: ReadonlySet<StatementClass> = new Set(['write', 'unknown', 'transaction']);
const STAYS: ReadonlySet<ReasonCode> = new Set(ABOUT_ONE_SERVER);
/** A replica answers, or nobody needs to be asked. */
const leaves = ({ cls, reason }: Compared): boolean => READ_CLASSES.has(cls) && !STAYS.has(reason);

/** What the comparison comes to. */
export interface Findings {
  readonly counts: Readonly<Record<Verdict, number>>;
  readonly total: number;
  /** Writes that would leave the primary: there must be none. */
  readonly writesAsReads: readonly Compared[];
  /** State and server-bound statements that would be taken for reads, or go astray otherwise. */
  readonly stateAsReads: readonly Compared[];
  /** True reads that stay at the primary. */
  readonly readsMissed: readonly Compared[];
  readonly neither: readonly Compared[];
}

/** Sorts what was compared. */
export function findingsOf(compared: readonly Compared[]): Findings {
  const withVerdict = (...verdicts: readonly Verdict[]) =>
    compared.filter(({ verdict }) => verdicts.includes(verdict));
  return {
    counts: {
      write: withVerdict('write').length,
      read: withVerdict('read').length,
      state: withVerdict('state').length,
      primary: withVerdict('primary').length,
      server: withVerdict('server').length,
      neither: withVerdict('neither').length,
    },
    total: compared.length,
    writesAsReads: withVerdict('write').filter(({ cls }) => READ_CLASSES.has(cls)),
    stateAsReads: [
      ...withVerdict('state').filter(({ cls }) => cls === 'read'),
      ...withVerdict('server').filter((each) => each.cls === 'read' && leaves(each)),
      ...withVerdict('primary').filter(({ cls }) => !AT_THE_PRIMARY.has(cls)),
    ],
    readsMissed: withVerdict('read').filter((each) => !leaves(each)),
    neither: withVerdict('neither'),
  };
}

/** One line for the log of a run. */
export function summary(version: string, findings: Findings): string {
  const { counts, total, writesAsReads, stateAsReads, readsMissed } = findings;
  const rightReads = counts.read - readsMissed.length;
  return [
    `${version}: ${total} statements, ${total - counts.neither} judged`,
    `${counts.write} writes, ${counts.state + counts.primary} state, ${counts.server} server-bound, ${counts.read} reads`,
    `${writesAsReads.length} writes as reads, ${stateAsReads.length} state as reads`,
    `${((100 * rightReads) / counts.read).toFixed(2)} % of reads as reads`,
    `${counts.neither} neither`,
  ].join('; ');
}

/** A statement as one line: bytes that are no text are shown as such. */
export function shown({ statement, cls, reason, verdict, because }: Compared): string {
  return `${verdict} (${because}) as ${cls}/${reason}: ${textOf(statement)}`;
}

const MAX_SHOWN = 400;

/** The statement's name in lists: its text with its mode, when it has one. */
export function textOf({ sql, mode }: Statement): string {
  const text = typeof sql === 'string' ? sql : sql.toString('latin1');
  const short = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
  return mode === undefined ? short : `[${mode}] ${short}`;
}
