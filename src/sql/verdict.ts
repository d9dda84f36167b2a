import {
  type ABOUT_ONE_SERVER,
  ASKS_ONLY,
  type Classification,
  type ReasonCode,
  type StatementClass,
} from './classification.ts';
import { RANK } from './marks.ts';

const ASKING: ReadonlySet<ReasonCode> = new Set(ASKS_ONLY);
const isAsking = (reason: ReasonCode): boolean => ASKING.has(reason);

/** What is known so far of a packet's statements. */
export class Verdict implements Classification {
  cls: StatementClass = 'unknown';
  reason: ReasonCode = 'empty';
  effects = 0;
  digestHi = 0;
  digestLo = 0;
  schemaStart = -1;
  schemaEnd = -1;
  hintStart = -1;
  hintEnd = -1;
  killTarget: number | null = null;
  killQueryOnly = false;
  needsProxy = false;

  /** Forgets the packet before. */
  protected clear(): void {
    this.effects = 0;
    this.schemaStart = -1;
    this.schemaEnd = -1;
    this.hintStart = -1;
    this.hintEnd = -1;
    this.killTarget = null;
    this.killQueryOnly = false;
    this.needsProxy = false;
  }

  /** What the statement's first words say; the rest can only make it more careful. */
  become(cls: StatementClass, reason: ReasonCode): void {
    this.cls = cls;
    this.reason = reason;
  }

  /** Makes the class more careful; never less. */
  raise(cls: StatementClass, reason: ReasonCode): void {
    const isGraver = cls === 'write' && this.cls === 'write' && isAsking(this.reason);
    if (RANK[cls] <= RANK[this.cls] && !(isGraver && !isAsking(reason))) return;
    this.cls = cls;
    this.reason = reason;
  }

  /** What it asks for differs by server. A read stays one; of all else less is known now. */
  asksServer(reason: (typeof ABOUT_ONE_SERVER)[number]): void {
    if (this.cls === 'read') this.reason = reason;
    else this.raise('unknown', reason);
  }
}
