import type { Registry } from 'prom-client';
import { exposeCounter, exposeGauge } from './prom-bridge.ts';

/** What the proxy knows of statements; each is read when somebody scrapes. */
export interface Knowledge {
  readonly learned: { readonly size: number; readonly evicted: number };
  readonly digests: {
    readonly size: number;
    readonly evicted: number;
    readonly othersCount: number;
  };
  readonly routines: {
    readonly status: {
      readonly isCurrent: boolean;
      readonly readings: number;
      readonly failures: number;
    };
    readonly catalogue: {
      readonly listing: {
        readonly routines: readonly unknown[];
        readonly unsafeViews: readonly unknown[];
      };
    };
  };
}

/** Learned statements, digests and routines. All are 0 until something is bound. */
export class KnowledgeMetrics {
  #bound: Knowledge | null = null;

  constructor(registry: Registry) {
    this.#gauge(registry, 'lagwise_learned_statements', {
      help: 'Digests that go to the primary because a replica refused them as writes',
      read: ({ learned }) => learned.size,
    });
    this.#counter(registry, 'lagwise_learned_statements_evicted_total', {
      help: 'Learned digests that gave way to newer ones',
      read: ({ learned }) => learned.evicted,
    });
    this.#gauge(registry, 'lagwise_digests', {
      help: 'Digests in the table of statements',
      read: ({ digests }) => digests.size,
    });
    this.#counter(registry, 'lagwise_digests_evicted_total', {
      help: 'Digests that gave way to others in the table of statements',
      read: ({ digests }) => digests.evicted,
    });
    this.#counter(registry, 'lagwise_digest_others_total', {
      help: 'Statements whose digest is not in the table',
      read: ({ digests }) => digests.othersCount,
    });
    this.#gauge(registry, 'lagwise_routines', {
      help: 'Stored functions and procedures in the catalogue',
      read: ({ routines }) => routines.catalogue.listing.routines.length,
    });
    this.#gauge(registry, 'lagwise_unsafe_views', {
      help: 'Views that run on the primary because of what they call',
      read: ({ routines }) => routines.catalogue.listing.unsafeViews.length,
    });
    this.#gauge(registry, 'lagwise_routines_current', {
      help: '1 while the catalogue of routines is trusted, 0 while it has to be read again',
      read: ({ routines }) => (routines.status.isCurrent ? 1 : 0),
    });
    this.#counter(registry, 'lagwise_routine_readings_total', {
      help: 'Readings of the catalogue of routines that succeeded',
      read: ({ routines }) => routines.status.readings,
    });
    this.#counter(registry, 'lagwise_routine_reading_failures_total', {
      help: 'Readings of the catalogue of routines that failed',
      read: ({ routines }) => routines.status.failures,
    });
  }

  /** Where the numbers come from. */
  bind(knowledge: Knowledge): void {
    this.#bound = knowledge;
  }

  #gauge(registry: Registry, name: string, { help, read }: Shown): void {
    exposeGauge({ registry, name, help }, () => this.#samples(read));
  }

  #counter(registry: Registry, name: string, { help, read }: Shown): void {
    exposeCounter({ registry, name, help }, () => this.#samples(read));
  }

  #samples(read: Shown['read']): readonly { readonly value: number }[] {
    return this.#bound === null ? [] : [{ value: read(this.#bound) }];
  }
}

interface Shown {
  readonly help: string;
  readonly read: (knowledge: Knowledge) => number;
}
