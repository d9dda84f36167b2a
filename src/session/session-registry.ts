import { type ConnId, connId } from '../lib/ids.ts';
import type { Command } from './command/command.ts';
import type { EndReason, PinReason } from '../telemetry/labels.ts';

/** Where a session is: the words of the session list. */
export type SessionPhase = 'idle' | 'running' | 'replication' | 'login' | 'closed';

/** What a list of sessions shows of one. */
export interface SessionInfo {
  readonly id: ConnId;
  readonly user: string;
  readonly clientAddr: string;
  readonly phase: SessionPhase;
  readonly schema: string | null;
  readonly primary: string | null;
  readonly replica: string | null;
  readonly inTransaction: boolean;
  /** Why the session is tied to its server, empty where it is not. */
  readonly pins: readonly PinReason[];
  readonly idleMs: number;
}

/** A session as others see it. */
export interface RegisteredSession {
  readonly id: ConnId;
  readonly user: string;
  /** What it works on, or did last: `info` says which. */
  readonly command: Command;
  info(nowMs: number): SessionInfo;
  onTopology(): void;
  /** Ends it if its client has been silent for longer than it may. */
  endIfSilent(nowMs: number): void;
  /** Ends at once what runs, and with `connection` the session too. */
  kill(what: 'QUERY' | 'CONNECTION', by: Killer): Promise<void>;
  /** Ends the session as soon as no transaction is open. */
  drain(): void;
  /** The one way a session ends; with an error, and where one is awaited, that is its answer. */
  end(reason: EndReason, error: unknown): void;
}

/** Who kills: a server judges by this account whether it may. */
export interface Killer {
  readonly user: string;
  readonly password: Buffer;
  /** The session kills itself, and its KILL awaits an answer. */
  readonly isOwn: boolean;
}

/** All sessions of the proxy by their ids. */
export class SessionRegistry {
  private readonly byId = new Map<ConnId, RegisteredSession>();
  private lastId = 0;

  get size(): number {
    return this.byId.size;
  }

  /** An id that no session has. Ids are 32 bits on the wire and come round again. */
  nextId(): ConnId {
    do {
      this.lastId = (this.lastId % 0xffff_fffe) + 1;
    } while (this.byId.has(connId(this.lastId)));
    return connId(this.lastId);
  }

  add(session: RegisteredSession): void {
    this.byId.set(session.id, session);
  }

  remove(id: ConnId): void {
    this.byId.delete(id);
  }

  get(id: number): RegisteredSession | undefined {
    return this.byId.get(connId(id));
  }

  [Symbol.iterator](): IterableIterator<RegisteredSession> {
    return this.byId.values();
  }
}
