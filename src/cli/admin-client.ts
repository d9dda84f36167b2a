import { messageOf } from '../lib/errors.ts';
import { type ServerId, serverId } from '../lib/ids.ts';
import { RoutineCatalogue } from '../monitor/routine-catalogue.ts';
import { ROUTINE_KIND, type RoutineFacts, type RoutineKind } from '../sql/routine-facts.ts';
import type { Role, ServerView, Snapshot } from '../topology/snapshot.ts';

/** What a running proxy says of its servers, or why it cannot be asked. */
export type AdminAnswer =
  | {
      readonly t: 'ok';
      readonly snapshot: Snapshot;
      /** Where the proxy stands. */
      readonly zone: string | null;
      /** Replicas that rest, and why. */
      readonly resting: ReadonlyMap<ServerId, string>;
      /** The part of their weight that replicas have. */
      readonly ramps: ReadonlyMap<ServerId, number>;
      /** Why a replica has refused statements of a digest; a digest that is missing was not refused. */
      readonly learned: ReadonlyMap<string, string>;
      /** What it knows of stored routines, null where it does not tell. */
      readonly routines: RoutineFacts | null;
    }
  | { readonly t: 'failed'; readonly why: string };

const TIMEOUT_MS = 2000;
/** 256 servers take about 200 kB. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;
/** As many as one answer of it has. */
const MAX_ROUTINES = 10_000;

/** Asks a running proxy. @param base such as `http://127.0.0.1:6080` */
export async function askAdmin(base: string): Promise<AdminAnswer> {
  try {
    const servers = await get(new URL('/api/servers', base));
    const snapshot = snapshotOf(servers);
    if (snapshot === null) return { t: 'failed', why: 'it does not answer as Lagwise does' };
    // An older proxy learns nothing; that is no reason to show no servers.
    const learned = await get(new URL('/api/learned', base)).then(learnedOf, () => new Map());
    const path = `/api/routines?limit=${MAX_ROUTINES}`;
    const routines = await get(new URL(path, base)).then(routinesOf, () => null);
    return { t: 'ok', snapshot, ...standingsOf(servers), learned, routines };
  } catch (thrown) {
    const cause = thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown;
    return { t: 'failed', why: messageOf(cause) };
  }
}

async function get(url: URL): Promise<unknown> {
  const response = await fetch(url, {
    signal: AbortSignal.timeout(TIMEOUT_MS),
    redirect: 'error',
    headers: { accept: 'application/json' },
  });
  if (!response.ok) throw new Error(`it answers with status ${response.status}`);
  if (Number(response.headers.get('content-length') ?? 0) > MAX_ANSWER_BYTES) {
    throw new Error('its answer is too long');
  }
  return response.json();
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
}

function listOf(value: unknown): readonly unknown[] | null {
  return Array.isArray(value) ? value : null;
}

function snapshotOf(value: unknown): Snapshot | null {
  const fields = fieldsOf(value);
  const list = listOf(fields?.['servers']);
  if (fields === null || list === null) return null;
  const servers: ServerView[] = [];
  for (const each of list) {
    const server = serverOf(fieldsOf(each));
    if (server === null) return null;
    servers.push(server);
  }
  return {
    version: numberOf(fields['version']) ?? 0,
    epoch: numberOf(fields['epoch']) ?? 0,
    servers,
    primary: servers.find(({ role }) => role === 'primary') ?? null,
    noPrimary: textOf(fields['noPrimary']),
  };
}

const ROLES: readonly Role[] = ['primary', 'replica', 'unassigned', 'down'];

function serverOf(fields: Fields | null): ServerView | null {
  const id = textOf(fields?.['id']);
  const role = ROLES.find((each) => each === fields?.['role']);
  if (fields === null || id === null || role === undefined) return null;
  const flavor = fields['flavor'];
  const lagMs = numberOf(fields['lagMs']);
  const why = textOf(fields['lagUnknownBecause']) ?? 'it does not say why';
  return {
    id: serverId(id),
    host: textOf(fields['host']) ?? '',
    port: numberOf(fields['port']) ?? 0,
    tags: textsOf(fields['tags']),
    reserved: fields['reserved'] === true,
    zone: textOf(fields['zone']),
    weight: numberOf(fields['weight']) ?? 1,
    role,
    flavor: flavor === 'mysql' || flavor === 'mariadb' ? flavor : null,
    version: textOf(fields['version']),
    readOnly: null,
    lag: lagMs === null ? { t: 'unknown', why } : { t: 'known', lagMs, method: 'gtid' },
    replication: null,
    replicating: null,
    // Only for reads of a session that has not written: any moment will do.
    caughtUpToMs: 0,
    gtidSet: null,
    position: null,
    positionAtMs: -1,
    grownSinceMs: 0,
    seenAtMs: -1,
    filters: textOf(fields['filters']),
    ineligible: textOf(fields['ineligible']),
  };
}

/** What `/api/servers` says besides the snapshot; an older proxy says nothing of it. */
function standingsOf(value: unknown) {
  const fields = fieldsOf(value);
  const resting = new Map<ServerId, string>();
  const ramps = new Map<ServerId, number>();
  for (const each of listOf(fields?.['servers']) ?? []) {
    const server = fieldsOf(each);
    const id = textOf(server?.['id']);
    if (server === null || id === null) continue;
    const rest = textOf(server['restsBecause']);
    const ramp = numberOf(server['ramp']);
    if (rest !== null) resting.set(serverId(id), rest);
    if (ramp !== null) ramps.set(serverId(id), ramp);
  }
  return { zone: textOf(fields?.['zone']), resting, ramps };
}

function learnedOf(value: unknown): ReadonlyMap<string, string> {
  const rows = listOf(fieldsOf(value)?.['learned']) ?? [];
  return new Map(
    rows.flatMap((row): [string, string][] => {
      const fields = fieldsOf(row);
      const digest = textOf(fields?.['digest']);
      const why = textOf(fields?.['why']);
      return digest === null || why === null ? [] : [[digest, why]];
    }),
  );
}

const KINDS: ReadonlyMap<unknown, RoutineKind> = new Map([
  ['reads', ROUTINE_KIND.READS],
  ['stateful-read', ROUTINE_KIND.STATEFUL_READ],
  ['writes', ROUTINE_KIND.WRITES],
  ['opaque', ROUTINE_KIND.OPAQUE],
]);

/** The catalogue as far as it is told; what is missing or not understood stays unknown. */
function routinesOf(value: unknown): RoutineFacts | null {
  const fields = fieldsOf(value);
  const list = listOf(fields?.['routines']);
  if (fields === null || list === null) return null;
  const named = (rows: unknown) =>
    (listOf(rows) ?? []).map((row) => {
      const { schema, name, type, kind } = fieldsOf(row) ?? {};
      return {
        schema: textOf(schema) ?? '',
        name: textOf(name) ?? '',
        type: type === 'procedure' ? ('procedure' as const) : ('function' as const),
        kind: KINDS.get(kind) ?? ROUTINE_KIND.UNKNOWN,
        why: '',
      };
    });
  return new RoutineCatalogue({
    routines: named(list),
    unsafeViews: named(fields['unsafeViews']),
    loadable: textsOf(fields['loadable']),
    packages: textsOf(fields['packages']),
    isComplete: fields['isComplete'] === true && fields['count'] === list.length,
  });
}

const textsOf = (value: unknown): readonly string[] =>
  (listOf(value) ?? []).filter((each) => typeof each === 'string');

const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null);
const numberOf = (value: unknown): number | null => (typeof value === 'number' ? value : null);
