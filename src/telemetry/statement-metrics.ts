import type { Registry } from 'prom-client';
import type { Consistency } from '../config/rule-schema.ts';
import type { ServerId } from '../lib/ids.ts';
import { ROUTE_REASONS, type RouteReason } from '../routing/route.ts';
import { STATEMENT_CLASSES, type StatementClass } from '../sql/classification.ts';
import { samplesOf } from './client-metrics.ts';
import {
  FALLBACK_REASONS,
  type FallbackReason,
  PIN_REASONS,
  type PinReason,
  SERVING_ROLES,
  type ServingRole,
} from './labels.ts';
import { ClosedCounter, Log2Histogram } from './plain-counters.ts';
import { exposeCounter, exposeGauge, exposeHistograms, type Sample } from './prom-bridge.ts';

/**
 * Statements that one server ran, by what it was for them. A backend connection keeps the counter
 * of its server and role, so that a statement costs one addition.
 */
export class ServerStatements {
  readonly primary = new ClosedCounter<StatementClass>(STATEMENT_CLASSES);
  readonly replica = new ClosedCounter<StatementClass>(STATEMENT_CLASSES);
  /** How far behind the server was when it ran reads, by how much they had to see. */
  readonly staleness: Readonly<Record<Consistency, Log2Histogram>> = {
    eventual: new Log2Histogram(),
    session: new Log2Histogram(),
    global: new Log2Histogram(),
    strong: new Log2Histogram(),
  };
  /** Statements sent here as reads that the server refused as writes. */
  misroutes = 0;
}

/** Where statements went, why, and how long they took. */
export class StatementMetrics {
  /** Why each statement went where it went. */
  readonly routes = new ClosedCounter<RouteReason>(ROUTE_REASONS);
  /** Reads that a replica could have taken, but the primary ran. */
  readonly fallbacks = new ClosedCounter<FallbackReason>(FALLBACK_REASONS);
  /** From the statement's last byte in to its reply's last byte out. */
  readonly durations: Readonly<Record<ServingRole, Log2Histogram>> = {
    primary: new Log2Histogram(),
    replica: new Log2Histogram(),
  };
  readonly #pins = new ClosedCounter<PinReason>(PIN_REASONS);
  readonly #unpins = new ClosedCounter<PinReason>(PIN_REASONS);
  readonly #servers = new Map<ServerId, ServerStatements>();

  constructor(registry: Registry) {
    this.#exposePins(registry);
    exposeCounter(
      {
        registry,
        name: 'lagwise_statements_total',
        help: 'Statements sent to servers, by what the server was and what the statement was',
        labels: ['server', 'role', 'class'],
      },
      () => this.#statementSamples(),
    );
    exposeCounter(
      {
        registry,
        name: 'lagwise_misroutes_total',
        help: 'Statements that a replica refused because they write; they then ran on the primary',
        labels: ['server'],
      },
      () => this.#misrouteSamples(),
    );
    exposeCounter(
      {
        registry,
        name: 'lagwise_route_decisions_total',
        help: 'Routing decisions, by reason',
        labels: ['reason'],
      },
      () => samplesOf(this.routes, 'reason'),
    );
    exposeCounter(
      {
        registry,
        name: 'lagwise_replica_fallbacks_total',
        help: 'Reads that a replica could have taken but the primary ran, by reason',
        labels: ['reason'],
      },
      () => samplesOf(this.fallbacks, 'reason'),
    );
    exposeHistograms(
      {
        registry,
        name: 'lagwise_statement_duration_seconds',
        help: 'From the last byte of a statement in to the last byte of its reply out',
      },
      'role',
      this.durations,
    );
  }

  /** The counters of a server: ask once for each connection, not for each statement. */
  forServer(id: ServerId): ServerStatements {
    let counters = this.#servers.get(id);
    if (counters === undefined) {
      counters = new ServerStatements();
      this.#servers.set(id, counters);
    }
    return counters;
  }

  /** Servers that have run anything, with their counters. */
  get servers(): Iterable<readonly [ServerId, ServerStatements]> {
    return this.#servers;
  }

  /** A session is tied to its server; `unpinned` must be called once for it with the same reason. */
  pinned(reason: PinReason): void {
    this.#pins.inc(reason);
  }

  /** The reason has ended, or the session has. */
  unpinned(reason: PinReason): void {
    this.#unpins.inc(reason);
  }

  #exposePins(registry: Registry): void {
    exposeCounter(
      {
        registry,
        name: 'lagwise_pins_total',
        help: 'Times that a session was tied to one server, by reason',
        labels: ['reason'],
      },
      () => samplesOf(this.#pins, 'reason'),
    );
    exposeGauge(
      {
        registry,
        name: 'lagwise_pinned_sessions',
        help: 'Sessions tied to one server now, by reason; one with two reasons counts for both',
        labels: ['reason'],
      },
      () => this.#pinnedSamples(),
    );
  }

  *#pinnedSamples(): Generator<Sample> {
    for (const reason of PIN_REASONS) {
      yield { labels: { reason }, value: this.#pins.get(reason) - this.#unpins.get(reason) };
    }
  }

  *#statementSamples(): Generator<Sample> {
    for (const [server, counters] of this.#servers) {
      for (const role of SERVING_ROLES) {
        for (const { labels, value } of samplesOf(counters[role], 'class')) {
          yield { labels: { server, role, ...labels }, value };
        }
      }
    }
  }

  *#misrouteSamples(): Generator<Sample> {
    for (const [server, { misroutes }] of this.#servers) {
      yield { labels: { server }, value: misroutes };
    }
  }
}
