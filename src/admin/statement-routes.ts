import { digestName, parseDigestName } from '../routing/digest-id.ts';
import { DIGEST_ORDERS, type DigestOrder, type DigestTable } from '../routing/digest-table.ts';
import type { LearnedStatements } from '../routing/learned-statements.ts';
import type { RoutineCatalogue } from '../monitor/routine-catalogue.ts';
import type { RoutineStatus } from '../monitor/routine-watch.ts';
import { ROUTINE_KIND, type RoutineKind } from '../sql/routine-facts.ts';
import { json, type Question, type Reply } from './reply.ts';

/** What the proxy knows of statements beyond their text. */
export interface StatementKnowledge {
  readonly digests: DigestTable;
  readonly learned: LearnedStatements;
  readonly routines: { readonly catalogue: RoutineCatalogue; readonly status: RoutineStatus };
}

type Handle<Options> = (options: Options, question: Question) => Reply;
type StatementRoute<Options> = readonly [
  path: string,
  route: {
    readonly about: string;
    readonly on: Readonly<Partial<Record<'GET' | 'DELETE', Handle<Options>>>>;
  },
];

const DEFAULT_LIMIT = 100;
/** As many as the table has. */
const MAX_LIMIT = 10_000;

/** The routes about statements. `knowledge` finds them in the server's options. */
export function statementRoutes<Options>(
  knowledge: (options: Options) => StatementKnowledge | undefined,
): readonly StatementRoute<Options>[] {
  const on =
    (handle: (known: StatementKnowledge, question: Question) => Reply): Handle<Options> =>
    (options, question) => {
      const known = knowledge(options);
      return known === undefined
        ? json(404, { error: 'Nothing is kept about statements' })
        : handle(known, question);
    };
  return [
    [
      '/api/digests',
      {
        about: `the statements seen, ?limit=100&sort=${DIGEST_ORDERS.join('|')}`,
        on: { GET: on(showDigests) },
      },
    ],
    [
      '/api/learned',
      {
        about: 'the statements that go to the primary since a replica refused them; DELETE forgets',
        on: { GET: on(showLearned), DELETE: on(forgetAll) },
      },
    ],
    ['/api/learned/*', { about: 'DELETE forgets one, by its digest', on: { DELETE: on(forget) } }],
    [
      '/api/routines',
      {
        about: 'what stored functions and procedures do, ?limit=100',
        on: { GET: on(showRoutines) },
      },
    ],
  ];
}

function showDigests({ digests }: StatementKnowledge, { query }: Question): Reply {
  const limit = readLimit(query);
  const order = readOrder(query);
  if (limit === null) return badLimit();
  if (order === null) {
    return json(400, { error: `Unknown sort, expected one of ${DIGEST_ORDERS.join(', ')}` });
  }
  return json(200, {
    size: digests.size,
    evicted: digests.evicted,
    othersCount: digests.othersCount,
    digests: digests.list(order, limit).map(({ firstMs, lastMs, ...row }) => ({
      ...row,
      totalUs: Math.round(row.totalUs),
      maxUs: Math.round(row.maxUs),
      meanUs: row.count === 0 ? 0 : Math.round(row.totalUs / row.count),
      firstSeen: isoTime(firstMs),
      lastSeen: isoTime(lastMs),
    })),
  });
}

function showLearned({ learned }: StatementKnowledge): Reply {
  return json(200, {
    size: learned.size,
    evicted: learned.evicted,
    learned: learned.list().map(({ firstMs, lastMs, ...row }) => ({
      ...row,
      firstSeen: isoTime(firstMs),
      lastSeen: isoTime(lastMs),
    })),
  });
}

function forgetAll({ learned }: StatementKnowledge): Reply {
  return json(200, { forgotten: learned.clear() });
}

function forget({ learned }: StatementKnowledge, { rest }: Question): Reply {
  const halves = parseDigestName(rest);
  if (halves === null) return json(400, { error: 'A digest has 16 hexadecimal digits' });
  const name = digestName(halves.hi, halves.lo);
  return learned.forget(name)
    ? json(200, { forgotten: 1 })
    : json(404, { error: `Digest ${name} is not among the learned ones` });
}

function showRoutines({ routines }: StatementKnowledge, { query }: Question): Reply {
  const limit = readLimit(query);
  if (limit === null) return badLimit();
  const { catalogue, status } = routines;
  const { listing } = catalogue;
  const { readAtMs, ...shown } = status;
  return json(200, {
    ...shown,
    readAt: readAtMs === null ? null : isoTime(readAtMs),
    isComplete: listing.isComplete,
    count: listing.routines.length,
    routines: listing.routines
      .slice(0, limit)
      .map(({ kind, ...routine }) => ({ ...routine, kind: WORD_OF_KIND[kind] })),
    unsafeViews: listing.unsafeViews.slice(0, limit),
    loadable: listing.loadable.slice(0, limit),
  });
}

const WORD_OF_KIND: Readonly<Record<RoutineKind, string>> = {
  [ROUTINE_KIND.UNKNOWN]: 'unknown',
  [ROUTINE_KIND.READS]: 'reads',
  [ROUTINE_KIND.STATEFUL_READ]: 'stateful-read',
  [ROUTINE_KIND.WRITES]: 'writes',
  [ROUTINE_KIND.OPAQUE]: 'opaque',
};

function readLimit(query: URLSearchParams): number | null {
  const text = query.get('limit') ?? `${DEFAULT_LIMIT}`;
  const limit = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return limit >= 1 && limit <= MAX_LIMIT ? limit : null;
}

function badLimit(): Reply {
  return json(400, { error: `limit is a number from 1 to ${MAX_LIMIT}` });
}

function readOrder(query: URLSearchParams): DigestOrder | null {
  const text = query.get('sort') ?? 'total';
  return DIGEST_ORDERS.find((order) => order === text) ?? null;
}

/** A moment of the monotonic clock as people read time. */
function isoTime(monotonicMs: number): string {
  return new Date(performance.timeOrigin + monotonicMs).toISOString();
}
